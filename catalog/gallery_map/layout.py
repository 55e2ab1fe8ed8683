"""Unit vectors -> places in two dimensions, by t-SNE: photos that are near one another stay so (extra `map`).

openTSNE is imported by the functions that use it, so that a catalog without the extra is served all the same.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import numpy.typing as npt

from catalog.gallery import Vector
from catalog.gallery_map.neighbors import Neighbors, block_for, nearest
from catalog.progress import Progress, Steps, no_progress

#: Neighbours that a photo's place depends on, about: a product has few photos, and few look-alikes.
PERPLEXITY = 15
#: Neighbours that are looked for: those beyond three times the perplexity have no weight.
NEAR = 3 * PERPLEXITY
#: Fewer photos are laid out by their principal components: they have no neighbourhoods that t-SNE could keep.
FEWEST = 10
#: Of the jitter that the layout starts with: the same gallery gives the same map.
SEED = 1
#: Iterations: first with neighbours drawn together more, then without; and those between two reports of progress.
EARLY, LATER, REPORTED = 250, 500, 10
#: Nearest photos on the map that a new one is placed amid. openTSNE's `transform` starts so, too, and then optimizes,
#: which kept fewer neighbours (docs/measurements-catalog.md).
BESIDE = 5

Places = npt.NDArray[np.float32]


def is_installed() -> bool:
    """Whether the extra `map` is installed."""
    return importlib.util.find_spec("openTSNE") is not None


def near_of(count: int) -> int:
    """How many neighbours of each of so many photos `lay_out` wants."""
    return max(0, min(NEAR, count - 1))


def lay_out(vectors: Vector, neighbors: Neighbors, progress: Progress = no_progress) -> Places:
    """Vectors [n, dim] and their `near_of(n)` neighbours -> their places [n, 2]; `progress` counts iterations.

    It takes one thread: the same input gives the same places.
    """
    start = _principal_components(vectors)
    if len(vectors) < FEWEST:
        return start.astype(np.float32)
    from openTSNE import TSNE, affinity, initialization, nearest_neighbors

    known = nearest_neighbors.PrecomputedNeighbors(neighbors.near, 1 - neighbors.cosines)
    affinities = affinity.PerplexityBasedNN(perplexity=min(PERPLEXITY, known.k / 3), knn_index=known, n_jobs=1)
    # Equal photos must not start at one place, where nothing drives them apart.
    spread = float(start[:, 0].std())
    start += np.random.default_rng(SEED).normal(0, 0.01 * spread or 1.0, start.shape)
    tsne = TSNE(
        early_exaggeration_iter=EARLY,
        n_iter=LATER,
        n_jobs=1,
        random_state=SEED,
        callbacks=[_Reporting(progress)],
        callbacks_every_iters=REPORTED,
    )
    return np.asarray(tsne.fit(affinities=affinities, initialization=initialization.rescale(start)), np.float32)


class _Reporting:
    """A callback of openTSNE, which counts the iterations of each part from 1 on."""

    def __init__(self, progress: Progress) -> None:
        self._steps = Steps(progress, EARLY + LATER)

    def __call__(self, iteration: int, error: float, embedding: object) -> bool:
        self._steps.advance(REPORTED)
        return False


def place_beside(vectors: Vector, on_map: Vector, places: Places) -> Places:
    """New vectors [m, dim], and those on the map [n, dim] with their places [n, 2] -> places of the new ones, [m, 2].

    Each comes into the middle of its nearest BESIDE (n is at least as many); those on the map stay where they are.
    """
    found = np.empty((len(vectors), 2), np.float32)
    block = block_for(len(on_map))
    for start in range(0, len(vectors), block):
        near, _ = nearest(vectors[start : start + block] @ on_map.T, BESIDE)
        found[start : start + block] = np.median(places[near], axis=1)
    return found


def _principal_components(vectors: Vector) -> npt.NDArray[np.float64]:
    """Vectors [n, dim] -> their first two principal components, [n, 2]."""
    if not len(vectors):
        return np.empty((0, 2))
    centred = vectors.astype(float) - vectors.mean(axis=0, dtype=float)
    _, directions = np.linalg.eigh(centred.T @ centred)
    return np.ascontiguousarray(centred @ directions[:, :-3:-1])
