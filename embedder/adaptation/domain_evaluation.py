"""Leave-one-domain-out: what an adaptation is worth on sets of products of which it saw none (Gulrajani and Lopez-Paz
2021, section 2.2). Imports TensorFlow (extra `train`).

One picture of each product is its reference. What asks are the set's other photos, or where it has none its synthetic
views: those are no real photos, and their figures flatter; they compare networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embedder.adaptation.activation_cache import Activations
from embedder.adaptation.upper_blocks import AdaptationConfig, Example, fit_head, pooled, train_upper

Keras = Any  # TensorFlow 2.15 ships no types
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LeftOut:
    """Top-1 accuracy, one reference a product, on a set that was left out: of the start and of the adapted network.

    `photos`: whether real photos ask, or synthetic views.
    """

    dataset: str
    products: int
    queries: int
    photos: bool
    start: float
    adapted: float


def leave_each_out(
    upper: Keras,
    activations: Activations,
    examples: list[Example],
    config: AdaptationConfig,
    *,
    told: Callable[[LeftOut], object],
    quiet: bool = True,
) -> list[LeftOut]:
    """For each set an adaptation to all others from the same start, asked for that set alone; `told` hears of each.

    `upper` is at its start again afterwards.
    """
    start = upper.get_weights()
    found = []
    for dataset in sorted({example.dataset for example in examples}):
        rows = np.array([row for row, example in enumerate(examples) if example.dataset == dataset])
        rest = np.array([row for row, example in enumerate(examples) if example.dataset != dataset])
        upper.set_weights(start)
        others, learned = activations.of(rest), [examples[row] for row in rest]
        train_upper(upper, others, learned, config, quiet=quiet)
        kernel = fit_head(upper, others, config)
        skus = [examples[row].sku for row in rows]
        asked = ask(np.asarray(activations.pooled[rows], np.float32), skus)
        after = ask(pooled(upper, activations.of(rows)) @ kernel, skus)
        found.append(LeftOut(dataset, *asked[:3], start=asked[3], adapted=after[3]))
        told(found[-1])
    upper.set_weights(start)
    return found


def ask(vectors: Floats, skus: list[str]) -> tuple[int, int, bool, float]:
    """Vectors [photos, views, dim] of one set -> (products, queries, whether photos ask, top-1 by cosine).

    The first photo's first view is a product's reference.
    """
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
    first = {sku: row for row, sku in reversed(list(enumerate(skus)))}
    others = [row for row, sku in enumerate(skus) if row != first[sku]]
    known = np.array(sorted(first.values()))
    asked = vectors[others, 0] if others else vectors[known, 1]
    true = np.array([skus[row] for row in others] if others else [skus[row] for row in known])
    answers = np.array([skus[row] for row in known])[(asked @ vectors[known, 0].T).argmax(axis=1)]
    return len(known), len(true), bool(others), float((answers == true).mean())
