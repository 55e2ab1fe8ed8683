"""One-shot training of a network's upper blocks, from many products of mostly one picture each.

The lower blocks stay as they start (activation_cache), the batch-norm statistics, too, and what the start's pooled
features say of each view is kept by distillation: fine-tuned without either, a network forgets the kinds of products
that the training lacks. A supervised contrastive loss (Khosla et al. 2020, eq. 2) pulls a product's views together.
The Dense layer is fitted in closed form in the end (principal_head). Imports TensorFlow (extra `train`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tqdm import tqdm

from embedder.adaptation.activation_cache import Activations
from embedder.adaptation.principal_head import principal_head
from embedder.errors import DataError, DivergedError, WeightsError
from embedder.training import losses

Keras = Any  # TensorFlow 2.15 ships no types
Labels = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

#: A batch of one set alone asks for what tells its products apart; this share of the batches is.
ONE_SET = 0.4
#: A product is drawn with a chance as its photos are many (two photos of it teach more than two synthetic views of
#: one), a set as its photos are to this power.
SET_POWER = 0.7
#: Photos, at most, whose features the Dense layer is fitted to: a second moment of 1,280 features needs no more.
HEAD_PHOTOS = 4000
#: Share of the steps over which the learning rate rises.
WARM_UP = 0.05


@dataclass(frozen=True)
class AdaptationConfig:
    """The settings of one adaptation; `embedder adapt --help` says what each does."""

    frozen_until: str
    views: int = 3
    size: int = 160
    serve_size: int = 192
    p: int = 64
    steps: int = 2500
    lr: float = 3e-4
    temperature: float = 0.05
    keep: float = 0.2
    dim: int = 256
    average: float = 0.98
    back: float = 0.0
    seed: int = 1


@dataclass(frozen=True)
class Example:
    """One photo of the training: its file, its SKU and the set that it comes from.

    Folders of one name in several sets are one SKU, as everywhere (datasets.find_photos).
    """

    path: Path
    sku: str
    dataset: str


def split_network(backbone: Keras, frozen_until: str) -> tuple[Keras, Keras]:
    """(photo -> [activations of the layer `frozen_until`, pooled features], those activations -> pooled features).

    Both share the backbone's weights. Raises WeightsError when it has no such layer.
    """
    try:
        cut = backbone.get_layer(frozen_until).output
    except ValueError:
        raise WeightsError(f"--frozen-until {frozen_until}: {backbone.name} has no layer of that name.") from None
    pooled = tf.keras.layers.GlobalAveragePooling2D()(backbone.output)
    return tf.keras.Model(backbone.input, [cut, pooled]), tf.keras.Model(cut, pooled)


class PairSampler:
    """Batches of p products, two views each: of two photos where a product has them, of one photo otherwise.

    What is drawn depends on the seed and the step alone.
    """

    def __init__(self, examples: list[Example], views: int, p: int, seed: int) -> None:
        self._rows: dict[str, list[int]] = {}
        for row, example in enumerate(examples):
            self._rows.setdefault(example.sku, []).append(row)
        self.skus = sorted(self._rows)
        if len(self.skus) < p:
            raise DataError(f"A batch takes {p} SKUs, the data has {len(self.skus)}: lower --p or add SKUs.")
        self._views, self._p, self._seed = views, p, seed
        photos = np.array([len(self._rows[sku]) for sku in self.skus], np.float64)
        self._chances = photos / photos.sum()
        self._sets: dict[str, list[int]] = {}
        for place, sku in enumerate(self.skus):
            self._sets.setdefault(examples[self._rows[sku][0]].dataset, []).append(place)
        sizes = np.array([photos[places].sum() for places in self._sets.values()])
        self._set_chances = sizes**SET_POWER / (sizes**SET_POWER).sum()

    def draw(self, step: int) -> tuple[Labels, Labels, Labels]:
        """(photo, view, product) of each of the 2 x p places of a batch, int32 each."""
        rng = np.random.default_rng([self._seed, 10, step])
        if rng.random() < ONE_SET:
            places = self._sets[list(self._sets)[int(rng.choice(len(self._sets), p=self._set_chances))]]
            chosen = rng.choice(places, min(self._p, len(places)), replace=False)
        else:
            chosen = rng.choice(len(self.skus), self._p, replace=False, p=self._chances)
        drawn: list[tuple[int, int, int]] = []
        for product in map(int, chosen):
            rows = self._rows[self.skus[product]]
            if len(rows) > 1:
                drawn += [
                    (int(row), int(rng.integers(self._views)), product) for row in rng.choice(rows, 2, replace=False)
                ]
            else:
                drawn += [(rows[0], int(view), product) for view in rng.choice(self._views, 2, replace=False)]
        photos, views, products = np.array(drawn, np.int32).T
        return photos, views, products


def train_upper(
    upper: Keras, activations: Activations, examples: list[Example], config: AdaptationConfig, *, quiet: bool = True
) -> list[tuple[float, float]]:
    """Train the upper blocks in place, to the moving average of their weights in the end.

    Gives the contrastive loss and the distance from the start (1 - cosine), a pair a step. Raises DivergedError when
    one of them or a weight is not finite.
    """
    sampler = PairSampler(examples, config.views, config.p, config.seed)
    variables = list(upper.trainable_variables)
    averages = [tf.Variable(variable, trainable=False) for variable in variables]
    optimizer = tf.keras.optimizers.Adam(0.0)  # each step sets it
    optimizer.build(variables)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def learn(maps: Any, start: Any, labels: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            vectors = tf.math.l2_normalize(upper(maps, training=False), axis=1)
            contrast = losses.supervised_contrastive(labels, vectors, config.temperature)
            moved = losses.away_from(tf.math.l2_normalize(start, axis=1), vectors)
            # On the scale of the logits, so that `keep` means the same at every temperature.
            loss = contrast + config.keep / config.temperature * moved
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return contrast, moved

    history: list[tuple[float, float]] = []
    with tqdm(total=config.steps, unit="step", disable=quiet, mininterval=1) as bar:
        for step in range(config.steps):
            photos, views, products = sampler.draw(step)
            optimizer.learning_rate.assign(learning_rate(step, config))
            maps, start = (np.asarray(one[photos, views], np.float32) for one in (activations.maps, activations.pooled))
            contrast, moved = learn(tf.constant(maps), tf.constant(start), tf.constant(products))
            keep = min(config.average, (1 + step) / (10 + step))
            for average, variable in zip(averages, variables, strict=True):
                average.assign(keep * average + (1 - keep) * variable)
            history.append((float(contrast), float(moved)))
            if not all(map(math.isfinite, history[-1])):
                raise _diverged(f"step {step + 1}: the loss")
            bar.update()
            bar.set_postfix_str(f"contrastive {history[-1][0]:.3f}, from the start {history[-1][1]:.3f}", refresh=False)
    if not all(bool(tf.reduce_all(tf.math.is_finite(average))) for average in averages):
        raise _diverged("a weight")  # of the last step, whose loss came before
    for average, variable in zip(averages, variables, strict=True):
        variable.assign(average)
    return history


def _diverged(what: str) -> DivergedError:
    return DivergedError(f"The adaptation has diverged and ends here: {what} is not finite. Try a lower --lr.")


def pooled(upper: Keras, activations: Activations) -> Floats:
    """The pooled features that the upper blocks give of every view, float32 [photos, views, features]."""
    run = tf.function(lambda maps: upper(maps, training=False), reduce_retracing=True)
    count, views = activations.maps.shape[:2]
    found = np.empty((count, views, upper.output_shape[-1]), np.float32)
    for start in range(0, count, 64):
        maps = np.asarray(activations.maps[start : start + 64], np.float32)
        features = run(tf.constant(maps.reshape(-1, *maps.shape[2:]))).numpy()
        found[start : start + 64] = features.reshape(len(maps), views, -1)
    return found


def fit_head(upper: Keras, activations: Activations, config: AdaptationConfig) -> Floats:
    """The Dense layer's kernel [features, dim] for what the upper blocks make of these views, or of a part of them."""
    count = len(activations.maps)
    chosen = np.random.default_rng([config.seed, 11]).permutation(count)[:HEAD_PHOTOS]
    features = pooled(upper, activations.of(np.sort(chosen)))
    return principal_head(features.reshape(-1, features.shape[-1]), config.dim)


def learning_rate(step: int, config: AdaptationConfig) -> float:
    """A linear warm-up, then a cosine down to 1 %."""
    rising = min(1.0, (step + 1) / max(1.0, WARM_UP * config.steps))
    return config.lr * rising * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / config.steps)))
