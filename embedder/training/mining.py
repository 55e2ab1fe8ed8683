"""Triplet mining: shares of easy, semi-hard and hard triplets, and offline mining of the hardest in many photos.

A triplet is an anchor, a positive (a photo of its SKU) and a negative (a photo of another); with d(a, p) and d(a, n)
their distances, it is easy when d(a, p) + margin < d(a, n), hard when d(a, n) < d(a, p), and semi-hard in between (the
paper's eq. 2 to 4). NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedder.training import batches

Vectors = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float32]
Triplets = npt.NDArray[np.int32]


@dataclass(frozen=True)
class TripletShares:
    """Shares of easy, semi-hard and hard triplets; they sum to one."""

    easy: float
    semi_hard: float
    hard: float


def distances(one: Vectors, other: Vectors, distance: str) -> Distances:
    """[n, dim] and [m, dim] of unit length -> [n, m], by `distance` as the losses take it: L2, squared-L2, angular."""
    cosines = one @ other.T
    if distance == "angular":
        return np.maximum(1 - cosines, 0)
    squares = np.maximum(2 - 2 * cosines, 0)
    return squares if distance == "squared-L2" else np.sqrt(squares)


def shares(positive: Any, negative: Any, margin: float) -> TripletShares:
    """Shares of triplets by their distances d(a, p) and d(a, n), both [triplets].

    Equality, which the paper's inequalities leave open, counts as semi-hard.
    """
    easy, hard = positive + margin < negative, negative < positive
    return TripletShares(float(easy.mean()), float((~easy & ~hard).mean()), float(hard.mean()))


def batch_shares(labels: batches.Labels, vectors: Vectors, margin: float, distance: str) -> TripletShares | None:
    """Shares among all triplets in a batch, labels [n] and vectors [n, dim]; None when it has none.

    An anchor is not its own positive; another view of the same photo is one.
    """
    apart = distances(vectors, vectors, distance)
    same = labels[:, None] == labels[None, :]
    anchor, positive = np.nonzero(same & ~np.eye(len(labels), dtype=bool))
    pair, negative = np.nonzero(~same[anchor])
    if len(pair) == 0:
        return None
    return shares(apart[anchor, positive][pair], apart[anchor[pair], negative], margin)


def given_shares(vectors: Vectors, margin: float, distance: str) -> TripletShares:
    """Shares among triplets as in `losses.triplet_given`: vectors [3 t, dim], anchors, positives, negatives."""
    anchor, positive, negative = np.split(vectors, 3)
    return shares(_rows(anchor, positive, distance), _rows(anchor, negative, distance), margin)


def _rows(one: Vectors, other: Vectors, distance: str) -> Any:
    cosines = (one * other).sum(axis=1)
    squares = np.maximum(2 - 2 * cosines, 0)
    return {"angular": squares / 2, "squared-L2": squares, "L2": np.sqrt(squares)}[distance]


def hardest(labels: batches.Labels, vectors: Vectors, distance: str) -> Triplets:
    """Of each photo as an anchor, the farthest positive and nearest negative -> int32 [n, 3], indexes of the photos.

    The only photo of a SKU is its own positive. Labels [n] of at least two SKUs, vectors [n, dim] of unit length.
    """
    found = np.empty((len(labels), 3), np.int32)
    for start in range(0, len(labels), 512):  # in chunks: all distances of 20,000 photos are 1.6 GB
        rows = np.arange(start, min(start + 512, len(labels)))
        apart = distances(vectors[rows], vectors, distance)
        same = labels[rows, None] == labels[None, :]
        itself = rows[:, None] == np.arange(len(labels))[None, :]
        # The anchor itself is at -1, so that it is chosen only when there is no other.
        positive = np.where(itself, -1, np.where(same, apart, -2)).argmax(axis=1)
        found[rows] = np.stack([rows, positive, np.where(same, np.inf, apart).argmin(axis=1)], axis=1)
    return found


class OfflineMiner:
    """Mines a subset of the photos every `mine_every` steps, and draws the batches of the following steps from it.

    Photos and triplets are indexes into `photos`, (label, path) in the order of the SKUs. Draws depend on the seed and
    step alone; mined triplets depend on the vectors, too, so the trainer saves them in its checkpoint.
    """

    def __init__(self, batches: batches.PKBatches, count: int, distance: str) -> None:
        self.photos = [(label, path) for label, sku in enumerate(batches.skus) for path in batches.photos[sku]]
        self.labels = np.array([label for label, _ in self.photos], np.int32)
        self.count = min(count, len(self.photos))
        self.size = batches.p * batches.k // 3  # triplets a batch
        self.k, self.seed, self.distance = batches.k, batches.seed, distance

    def subset(self, step: int) -> Triplets:
        """The subset of `count` photos to mine at this step.

        Whole SKUs would give few SKUs, random photos few positives: so SKUs in random order, k photos of each as in a
        batch, more when all SKUs fit.
        """
        rng = np.random.default_rng([self.seed, 7, step])
        each = max(self.k, self.count // (int(self.labels.max()) + 1))
        shuffled = rng.permutation(len(self.photos))
        by_sku = shuffled[np.argsort(self.labels[shuffled], kind="stable")]
        labels = self.labels[by_sku]
        rank = np.arange(len(by_sku)) - np.searchsorted(labels, labels)  # of a photo in its SKU
        turn = rng.permutation(int(labels[-1]) + 1)[labels]
        chosen: Triplets = by_sku[np.lexsort((rank, turn, rank // each))][: self.count].astype(np.int32)
        return chosen

    def mine(self, embed: Callable[[list[Path]], Vectors], step: int) -> Triplets:
        """The hardest triplets in this step's subset, one for each photo -> int32 [count, 3]."""
        chosen = self.subset(step)
        vectors = embed([self.photos[i][1] for i in chosen])
        triplets: Triplets = chosen[hardest(self.labels[chosen], vectors, self.distance)]
        return triplets

    def draw(self, triplets: Triplets, mined: int, step: int) -> list[tuple[int, Path]]:
        """(label, photo) of each position in the batch of `step`, from triplets mined at step `mined`.

        Anchors, then their positives, then their negatives. The triplets come in rounds, as the SKUs do online.
        """
        size = min(self.size, len(triplets))
        rounds = len(triplets) // size
        order = np.random.default_rng([self.seed, 8, mined, (step - mined) // rounds]).permutation(len(triplets))
        chosen = triplets[order[((step - mined) % rounds) * size :][:size]]
        return [self.photos[i] for i in chosen.T.ravel()]
