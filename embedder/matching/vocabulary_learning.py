"""Train a vocabulary of visual words: k-means on the descriptors of photos."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedder.errors import DataError, ImageError
from embedder.matching.local_features import DIM, QUERY, REFERENCE, extract
from embedder.matching.vocabulary import GROUP, Vocabulary

#: Iterations of k-means.
ROUNDS = 20


def train_vocabulary(descriptors: npt.NDArray[np.uint8], words: int, *, seed: int = 1) -> Vocabulary:
    """k-means on descriptors uint8 [n, 128] -> a vocabulary of `words` words. Needs faiss (extra `train`).

    Raises DataError for fewer descriptors than words.
    """
    if len(descriptors) < words:
        raise DataError(f"{len(descriptors):,} descriptors do not make {words:,} words: give more photos.")
    return grouped(_means(descriptors, words, seed), seed)


def grouped(centres: npt.NDArray[np.uint8], seed: int = 1) -> Vocabulary:
    """Words uint8 [n, 128] in any order -> a vocabulary that has them in groups. Needs faiss (extra `train`)."""
    groups = _means(centres, max(1, len(centres) // GROUP), seed)
    owner = Vocabulary(groups).assign(centres)
    filled, counts = np.unique(owner, return_counts=True)
    order = np.argsort(owner, kind="stable")
    return Vocabulary(centres[order], groups[filled], np.concatenate([[0], np.cumsum(counts)]))


def _means(rows: npt.NDArray[np.uint8], count: int, seed: int) -> npt.NDArray[np.uint8]:
    """k-means on rows uint8 [n, 128] -> uint8 [count, 128]."""
    import faiss

    means = faiss.Kmeans(DIM, count, niter=ROUNDS, seed=seed, max_points_per_centroid=100, min_points_per_centroid=1)
    means.train(rows.astype(np.float32))
    centres: npt.NDArray[np.uint8] = np.clip(np.rint(np.asarray(means.centroids)), 0, 255).astype(np.uint8)
    return centres


def train_from_photos(
    paths: Sequence[Path], words: int, *, photos: int = 4000, seed: int = 1
) -> tuple[Vocabulary, int, list[str]]:
    """Photo files -> (vocabulary of `words` words, photos read, a line for each unusable photo).

    Of more than `photos` files, that many are drawn by the seed. Raises DataError when they have fewer descriptors than
    `words`.
    """
    order = np.random.default_rng(seed).permutation(len(paths))[:photos]

    def read(path: Path) -> npt.NDArray[np.uint8] | str:
        try:
            return extract(path.read_bytes(), QUERY).descriptors[: REFERENCE.count]
        except ImageError as error:
            return f"{path}: {error}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(read, [paths[place] for place in sorted(order)]))
    broken = [result for result in found if isinstance(result, str)]
    usable = [result for result in found if not isinstance(result, str)]
    descriptors = np.concatenate(usable) if usable else np.empty((0, DIM), np.uint8)
    return train_vocabulary(descriptors, words, seed=seed), len(usable), broken
