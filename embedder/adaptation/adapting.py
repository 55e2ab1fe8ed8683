"""`embedder adapt`: photos of many products -> a bundle, or what it is worth with each set left out.

Imports TensorFlow (extra `train`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tqdm import tqdm

from embedder import bundle, datasets, images, model_card
from embedder.adaptation.activation_cache import BATCH, Activations, cached_activations
from embedder.adaptation.domain_evaluation import LeftOut, leave_each_out
from embedder.adaptation.principal_head import principal_head
from embedder.adaptation.upper_blocks import (
    HEAD_PHOTOS,
    AdaptationConfig,
    Example,
    fit_head,
    split_network,
    train_upper,
)
from embedder.errors import DataError
from embedder.inference import self_test
from embedder.networks import embedding_network, folded_weights
from embedder.training import batches
from embedder.training.export import to_litert

Keras = Any  # TensorFlow 2.15 ships no types
Say = Callable[[str], object]
Floats = npt.NDArray[np.float32]


class Adaptation:
    """One adaptation: the network, its photos and their cached activations in the folder `work`.

    `start` names the weights that the backbone starts from; with `toward` it starts `share` of the way to those
    (folded_weights.start_from). Raises WeightsError for weights that can't be had, DataError without a photo that can
    be used.
    """

    def __init__(
        self,
        data: Sequence[Path],
        work: Path,
        config: AdaptationConfig,
        *,
        backbone: str,
        start: str,
        toward: str | None = None,
        share: float = 0.7,
        say: Say = print,
        quiet: bool = True,
    ) -> None:
        tf.keras.utils.set_random_seed(config.seed)
        self.config, self._quiet, self._toward = config, quiet, toward
        self._from: dict[str, Any] = {"backbone": backbone, "weights": Path(start).name}
        if toward is not None:
            self._from |= {"toward": Path(toward).name, "share": share}
        self.backbone = folded_weights.start_from(backbone, start, toward, share)
        lower, self.upper = split_network(self.backbone, config.frozen_until)
        if config.dim > (features := self.upper.output_shape[-1]):
            raise DataError(f"--dim {config.dim}: {backbone} has {features:,} pooled features, and no more components.")
        self.examples = read_examples(data, say=say, quiet=quiet)
        self.sets = [datasets.set_name(folder) for folder in data]
        self.activations: Activations = cached_activations(
            lower,
            [example.path for example in self.examples],
            work,
            origin={**self._from, "frozen_until": config.frozen_until},
            views=config.views,
            size=config.size,
            seed=config.seed,
            quiet=quiet,
        )

    def without(self, sets: Sequence[str]) -> tuple[Activations, list[Example]]:
        """What is trained on when these sets are left out. Raises DataError for one that there is not."""
        if strange := sorted(set(sets) - set(self.sets)):
            raise DataError(f"--leave-out {strange[0]}: the sets are {', '.join(self.sets)}.")
        rows = [row for row, example in enumerate(self.examples) if example.dataset not in set(sets)]
        return self.activations.of(np.array(rows)), [self.examples[row] for row in rows]

    def evaluate_each(self, told: Callable[[LeftOut], object]) -> list[LeftOut]:
        """Leave-one-domain-out over the sets."""
        return leave_each_out(self.upper, self.activations, self.examples, self.config, told=told, quiet=self._quiet)

    def write(
        self, out: Path, *, leave_out: Sequence[str], name: str | None, version: str, notes: Sequence[str]
    ) -> bundle.Bundle:
        """Train on all sets but those left out, fit the Dense layer, write the bundle and its card."""
        config = self.config
        activations, examples = self.without(leave_out)
        history = train_upper(self.upper, activations, examples, config, quiet=self._quiet)
        if config.back and self._toward is not None:
            folded_weights.move_toward(self.backbone, self._from["backbone"], self._toward, config.back)
            kernel = self._fit_head_to_photos(examples)
        else:
            kernel = fit_head(self.upper, activations, config)
        network = embedding_network.build_embedder(self.backbone, "pooled", config.dim)
        network.get_layer("embedding").set_weights([kernel, np.zeros(config.dim)])
        skus = {(example.dataset, example.sku) for example in examples}
        facts = {
            **asdict(config),
            **self._from,
            "left_out_sets": sorted(leave_out),
            "sets": [
                {
                    "name": dataset,
                    "photos": sum(example.dataset == dataset for example in examples),
                    "skus": sum(own == dataset for own, _ in skus),
                }
                for dataset in self.sets
                if dataset not in leave_out
            ],
            "photos": len(examples),
            "skus": len({sku for _, sku in skus}),
            "losses": [round(float(value), 4) for value in np.mean(history[-20:], axis=0)] if history else [],
            "date": datetime.now(UTC).date().isoformat(),
            "notes": list(notes),
        }
        model = to_litert(network, config.serve_size)
        made = bundle.write_bundle(
            out,
            bundle.BundleParts(
                model,
                name=name or self._from["backbone"],
                version=version,
                dim=config.dim,
                size=config.serve_size,
                training=facts,
                self_test=self_test.record(model, config.serve_size),
            ),
        )
        model_card.write_card(made)
        self.network = network
        return made

    def _fit_head_to_photos(self, examples: Sequence[Example]) -> Floats:
        """As `fit_head`, when the frozen blocks are not those any more whose activations are cached: whole views."""
        config = self.config
        chosen = np.sort(np.random.default_rng([config.seed, 11]).permutation(len(examples))[:HEAD_PHOTOS])
        network = tf.keras.Model(self.backbone.input, tf.keras.layers.GlobalAveragePooling2D()(self.backbone.output))
        run = tf.function(lambda pixels: network(pixels, training=False), reduce_retracing=True)
        found = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in tqdm(range(0, len(chosen), BATCH), desc="Dense layer", disable=self._quiet, mininterval=1):
                paths = [examples[row].path for row in chosen[start : start + BATCH]]
                views = list(pool.map(lambda path: images.load(path.read_bytes(), config.serve_size), paths))
                found.append(run(tf.constant(np.stack(views), tf.float32)).numpy())
        return principal_head(np.concatenate(found), config.dim)


def read_examples(data: Sequence[Path], *, say: Say, quiet: bool) -> list[Example]:
    """Every photo of the data folders that decodes, by its product and set; `say` hears of each that does not."""
    found: list[Example] = []
    for folder in data:
        photos, broken = batches.drop_broken(datasets.find_photos(folder), quiet=quiet)
        for line in broken:
            say(f"skipped {line}")
        name = datasets.set_name(folder)
        found += [Example(path, sku, name) for sku, paths in photos.items() for path in paths]
    return found
