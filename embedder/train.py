"""Train an embedder with triplet loss on P x K batches: checkpoints, resume, a log of every epoch.

The network served in the end holds the exponential moving average of the weights (Polyak and Juditsky 1992), which on
small data is worth several points over the last step's. Imports TensorFlow (extra `train`).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from embedder import data, images, losses, model
from embedder.errors import DataError, EmbedderError

CONFIG_FILE = "config.json"
LOG_FILE = "log.jsonl"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class TrainConfig:
    """All that decides what a training does; kept in the work folder and in the bundle.

    `schedule` holds (size in pixels, epochs) stages; the last stage's size is the one served unless `serve_size` says
    otherwise. `softmax` weighs the cosine softmax beside the triplet loss (0: triplet alone, the paper), and `mix` is
    the share of steps whose photos are mixed in pairs, which only the softmax can learn from.
    """

    data: tuple[str, ...]
    backbone: str = "mobilenetv3large"
    weights: str = "imagenet"
    head: str = "pooled"
    dim: int = 256
    schedule: tuple[tuple[int, int], ...] = ((224, 50),)
    serve_size: int | None = None
    p: int = 16
    k: int = 4
    lr: float = 1e-4
    margin: float = 1.0
    soft: bool = True
    softmax: float = 0.0
    mix: float = 0.0
    average: float = 0.998
    seed: int = 1

    @property
    def size(self) -> int:
        """Pixels a side of the photos that the bundle will take."""
        return self.serve_size or self.schedule[-1][0]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The inverse of `dataclasses.asdict` after a trip through JSON.

        Raises KeyError or TypeError when keys are missing or unknown.
        """
        values = {**values, "data": tuple(values["data"]), "schedule": tuple(map(tuple, values["schedule"]))}
        return cls(**values)


@dataclass
class EpochLog:
    """One epoch in the training's log. loss, triplet, softmax: means over its steps; figures: the judge's, if asked."""

    epoch: int
    step: int
    size: int
    loss: float
    triplet: float
    softmax: float
    images_per_second: float
    seconds: float
    figures: dict[str, float] = field(default_factory=dict)


class Trainer:
    """One training in one work folder; `run` goes from where it is to the end.

    `start` takes the place of config.weights for a network that `resume` is about to overwrite. Raises DataError for
    settings that exclude each other or too few SKUs, WeightsError for a start that can't be had.
    """

    def __init__(
        self, config: TrainConfig, work: Path, photos: dict[str, list[Path]], *, start: str | None = None
    ) -> None:
        if config.mix > 0 and config.softmax <= 0:
            raise DataError("Mixed photos have two SKUs, which only the softmax can learn from: give --softmax too.")
        if config.head == "flatten" and {size for size, _ in config.schedule} != {config.size}:
            raise DataError("The flatten head takes photos of one size: give --schedule a single size, and serve it.")
        self.config, self.work = config, work
        self.batches = data.PKBatches(photos, config.p, config.k, config.seed)
        tf.keras.utils.set_random_seed(config.seed)
        backbone = model.build_backbone(config.backbone, start or config.weights)
        self.network = model.build_embedder(backbone, config.head, config.dim, config.size)
        self._softmax = losses.CosineSoftmax(len(self.batches.skus), config.dim)
        self._triplet = losses.triplet_hard(config.margin, config.soft)
        self._variables = self.network.trainable_variables + self._softmax.trainable_variables
        self._plan = self._make_plan()
        self._optimizer = tf.keras.optimizers.Adam(0.0)  # `_rate` sets it before each step
        self._optimizer.build(self._variables)
        self._average = [tf.Variable(w, trainable=False) for w in self.network.weights]
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._checkpoint = tf.train.Checkpoint(
            network=self.network,
            softmax=self._softmax,
            optimizer=self._optimizer,
            average=self._average,
            step=self._step,
        )
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(work / CHECKPOINTS), max_to_keep=2)
        self._train_step = tf.function(self._one_step, reduce_retracing=True)

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self._step.numpy())

    def _make_plan(self) -> list[tuple[int, int]]:
        """(size, epoch) of each step."""
        steps: list[tuple[int, int]] = []
        epoch = 0
        for size, epochs in self.config.schedule:
            for _ in range(epochs):
                steps += [(size, epoch)] * self.batches.steps_per_epoch
                epoch += 1
        return steps

    def _rate(self, step: int) -> float:
        """Learning rate: a linear warm-up over the first 3 % of the steps, then a cosine down to 1 %."""
        warm = max(1, len(self._plan) * 3 // 100)
        if step < warm:
            return self.config.lr * (step + 1) / warm
        done = (step - warm) / max(1, len(self._plan) - warm)
        return self.config.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def _one_step(self, pixels: Any, labels: Any, targets: Any, mixed: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            vectors = self.network(pixels, training=True)
            zero = tf.constant(0.0)
            triplet = tf.cond(mixed, lambda: zero, lambda: self._triplet(labels, vectors))
            softmax = self._softmax(vectors, targets) if self.config.softmax > 0 else zero
            loss = triplet + self.config.softmax * softmax
        gradients = tape.gradient(loss, self._variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
        # Early on the average would be mostly the start, so its window grows with the steps.
        step = tf.cast(self._step, tf.float32)
        keep = tf.minimum(self.config.average, (1.0 + step) / (10.0 + step))
        for shadow, weight in zip(self._average, self.network.weights, strict=True):
            if weight.dtype.is_floating:
                shadow.assign(keep * shadow + (1.0 - keep) * weight)
        self._step.assign_add(1)
        return triplet, softmax

    def _feed(self, step: int, batch: data.Batch) -> tuple[Any, Any]:
        skus = len(self.batches.skus)
        pixels = batch.pixels.astype(np.float32)
        targets = np.eye(skus, dtype=np.float32)[batch.labels]
        rng = np.random.default_rng([self.config.seed, 4, step])
        mixed = bool(rng.random() < self.config.mix)
        if mixed:
            pixels, targets = mix(pixels, targets, rng)
        self._optimizer.learning_rate.assign(self._rate(step))
        result: tuple[Any, Any] = self._train_step(
            tf.constant(pixels), tf.constant(batch.labels), tf.constant(targets), tf.constant(mixed)
        )
        return result

    def resume(self) -> int:
        """Load the newest checkpoint if there is one; the step to go on from. Raises EmbedderError if it can't."""
        newest = self._manager.latest_checkpoint
        if newest:
            try:
                status = self._checkpoint.restore(newest).assert_consumed()
                status.expect_partial()  # what the manager counts is its own, and no loss when this object goes
            except (tf.errors.OpError, AssertionError, ValueError) as error:
                raise EmbedderError(f"{newest} does not fit this training: {error}") from error
        return self.step

    def use_average(self) -> None:
        """Put the averaged weights into the network, for export or evaluation."""
        for shadow, weight in zip(self._average, self.network.weights, strict=True):
            if weight.dtype.is_floating:
                weight.assign(shadow)

    def run(
        self,
        *,
        judge: Callable[[Any], dict[str, float]] | None = None,
        judge_every: int = 5,
        quiet: bool = False,
    ) -> list[EpochLog]:
        """Train from the current step to the end; a checkpoint and a log line at the end of each epoch.

        `judge` measures the averaged network every `judge_every` epochs and at the end; its figures go to the log.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        start = self.step
        stream = self.batches.stream([(s, self._plan[s][0]) for s in range(start, len(self._plan))])
        history: list[EpochLog] = []
        sums, seen, began = np.zeros(2), 0, time.monotonic()
        bar = tqdm(total=len(self._plan), initial=start, unit="step", disable=quiet, mininterval=1)
        for step, batch in zip(range(start, len(self._plan)), stream, strict=True):
            size, epoch = self._plan[step]
            sums += [float(value) for value in self._feed(step, batch)]
            seen += 1
            bar.update()
            if step % 10 == 0:
                rate = seen * len(batch.labels) / (time.monotonic() - began)
                bar.set_postfix_str(f"epoch {epoch + 1}, {size} px, loss {sums.sum() / seen:.3f}, {rate:.0f} images/s")
            last = step + 1 == len(self._plan)
            if last or self._plan[step + 1][1] != epoch:
                seconds = time.monotonic() - began
                triplet, softmax = (float(value) for value in sums / seen)
                line = EpochLog(
                    epoch=epoch + 1,
                    step=step + 1,
                    size=size,
                    loss=triplet + self.config.softmax * softmax,
                    triplet=triplet,
                    softmax=softmax,
                    images_per_second=seen * len(batch.labels) / seconds,
                    seconds=seconds,
                )
                # Logged first: killed before the checkpoint, the epoch is trained and logged again; never unlogged.
                self._log(line)
                self._manager.save(checkpoint_number=step + 1)
                if judge and (last or (epoch + 1) % judge_every == 0):
                    line.figures = self._judged(judge)
                    bar.write(f"epoch {epoch + 1}: {line.figures}")
                    self._log(line)
                history.append(line)
                sums, seen, began = np.zeros(2), 0, time.monotonic()
        bar.close()
        return history

    def _log(self, line: EpochLog) -> None:
        with (self.work / LOG_FILE).open("a") as log:
            log.write(json.dumps(asdict(line)) + "\n")

    def _judged(self, judge: Callable[[Any], dict[str, float]]) -> dict[str, float]:
        raw = [weight.numpy() for weight in self.network.weights]
        self.use_average()
        figures = judge(self.network)
        for value, weight in zip(raw, self.network.weights, strict=True):
            weight.assign(value)
        return figures


def mix(pixels: Any, targets: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Mix each photo with another of the batch: half of the time blended (Zhang et al. 2018, mixup), half of the time
    a rectangle of it pasted in (Yun et al. 2019, CutMix); targets in the same share.

    pixels float32 [n, size, size, 3], targets float32 [n, skus] -> the same shapes.
    """
    other = rng.permutation(len(pixels))
    share = float(rng.beta(1.0, 1.0))
    if rng.random() < 0.5:
        mixed = share * pixels + (1 - share) * pixels[other]
    else:
        size = pixels.shape[1]
        side = int(size * math.sqrt(1 - share))
        y, x = rng.integers(0, size - side + 1, 2)
        mixed = pixels.copy()
        mixed[:, y : y + side, x : x + side] = pixels[other, y : y + side, x : x + side]
        share = 1 - (side / size) ** 2
    return mixed.astype(np.float32), (share * targets + (1 - share) * targets[other]).astype(np.float32)


def prepare(config: TrainConfig, work: Path, *, resume: bool, say: Callable[[str], None]) -> Trainer:
    """A trainer in its work folder, at the start or (with `resume`) at its newest checkpoint.

    `say` hears of broken photos and SKUs with a single photo. Raises DataError when the work folder holds another
    training, or one that `resume` was not asked for, or none although it was.
    """
    if has_training(work):
        if not resume:
            raise DataError(f"{work} holds a training already: go on by --resume, or give another --work.")
        stored, asked = asdict(read_config(work)), asdict(config)
        changed = [key for key in asked if stored[key] != asked[key]]
        if changed:
            raise DataError(f"{work} holds a training with other settings ({', '.join(changed)}).")
    elif resume:
        raise DataError(f"{work} holds no training to go on with.")
    photos, broken = data.drop_broken(images.find_photos(*map(Path, config.data)))
    for line in broken:
        say(f"skipped {line}")
    for sku, paths in photos.items():
        if len(paths) == 1:
            say(f"{sku} has one photo: its positives are other views of the same one")
    if resume:
        trainer = resumed(config, work, photos)
        say(f"going on from step {trainer.step}")
        return trainer
    trainer = Trainer(config, work, photos)
    work.mkdir(parents=True, exist_ok=True)
    (work / CONFIG_FILE).write_text(json.dumps(asdict(config), indent=2) + "\n")
    return trainer


def resumed(config: TrainConfig, work: Path, photos: dict[str, list[Path]]) -> Trainer:
    """A trainer at its newest checkpoint, or at the start when there is none yet. Raises EmbedderError."""
    saved = tf.train.latest_checkpoint(str(work / CHECKPOINTS)) is not None
    trainer = Trainer(config, work, photos, start="none" if saved else None)
    trainer.resume()
    return trainer


def has_training(work: Path) -> bool:
    """Whether a training was begun in this work folder."""
    return (work / CONFIG_FILE).is_file()


def read_config(work: Path) -> TrainConfig:
    """The settings of the training in a work folder. Raises DataError when there is none that this version reads."""
    try:
        return TrainConfig.from_dict(json.loads((work / CONFIG_FILE).read_text()))
    except FileNotFoundError:
        raise DataError(f"{work} holds no training: it has no {CONFIG_FILE}.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{work}/{CONFIG_FILE} holds no settings that this version reads ({error!r}).") from error


def make_judge(gallery: Path, queries: Path, size: int) -> Callable[[Any], dict[str, float]]:
    """A judge for `Trainer.run`: top-1 of the queries against the gallery, nearest neighbour by cosine.

    Raises DataError when one of the folders holds no photo, ImageError for a photo that can't be used.
    """
    sets: list[tuple[Any, Any]] = []
    for folder in (gallery, queries):
        named = [(sku, path) for sku, paths in images.find_photos(folder).items() for path in paths]
        if not named:
            raise DataError(f"{folder} holds no photo.")
        sets.append((np.stack([data.read(path, size) for _, path in named]), np.array([sku for sku, _ in named])))

    def judge(network: Any) -> dict[str, float]:
        (known, known_skus), (asked, asked_skus) = [
            (
                np.concatenate(
                    [
                        network(pixels[i : i + 64].astype(np.float32), training=False).numpy()
                        for i in range(0, len(pixels), 64)
                    ]
                ),
                skus,
            )
            for pixels, skus in sets
        ]
        return {"val_top1": float((known_skus[(asked @ known.T).argmax(axis=1)] == asked_skus).mean())}

    return judge


def read_log(work: Path) -> list[dict[str, Any]]:
    """The log of a work folder, one dict an epoch; of several lines of an epoch (trained again, judged) the last."""
    path = work / LOG_FILE
    if not path.is_file():
        return []
    lines = {entry["epoch"]: entry for entry in map(json.loads, path.read_text().splitlines())}
    return [lines[epoch] for epoch in sorted(lines)]
