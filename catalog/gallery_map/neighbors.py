"""Exact neighbours of all reference photos, in blocks: what the map keeps together, and who is nearest to whom.

A product's nearest rival can be further away than all of its own photos, so an index of k neighbours doesn't name it;
one pass over all pairs finds both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.gallery import Vector
from catalog.margins import SAME_VISIT
from catalog.progress import Progress, Steps, no_progress

#: Photos whose cosines to all others are held at once, and how many others there may be: 82 MB a copy. Of more photos
#: so many fewer are compared at once.
BLOCK, OTHERS = 512, 40_000

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Neighbors:
    """Of n photos: the k nearest others, and the nearest of the own product and of another one.

    `near` [n, k]: places of the nearest photos, nearest first; `cosines` [n, k]: theirs. `own` [n]: the cosine to the
    nearest other photo of its product; `own_elsewhere` [n]: the same without those of the same visit; NaN without any.
    `rival` [n]: the place of the nearest photo of another product, -1 without any, and `rival_cosine` [n], NaN then.
    """

    near: Numbers
    cosines: Floats
    own: Floats
    own_elsewhere: Floats
    rival: Numbers
    rival_cosine: Floats


def find_neighbors(vectors: Vector, products: Numbers, k: int, progress: Progress = no_progress) -> Neighbors:
    """Unit vectors [n, dim] and the number of each photo's product [n] -> their neighbours; k is below n.

    Two photos of a product are of one visit by their cosine (catalog/margins/leaving_out.py). `progress` counts photos.
    """
    count = len(vectors)
    found = Neighbors(
        np.empty((count, k), np.int32),
        np.empty((count, k), np.float32),
        np.empty(count, np.float32),
        np.empty(count, np.float32),
        np.empty(count, np.int32),
        np.empty(count, np.float32),
    )
    steps, block = Steps(progress, count), block_for(count)
    for start in range(0, count, block):
        rows = slice(start, min(start + block, count))
        cosines = np.clip(vectors[rows] @ vectors.T, -1, 1)
        places = np.arange(len(cosines))
        cosines[places, start + places] = -np.inf
        found.near[rows], found.cosines[rows] = nearest(cosines, k)
        same = products[rows, np.newaxis] == products
        found.own[rows] = _greatest(np.where(same, cosines, -np.inf))
        found.own_elsewhere[rows] = _greatest(np.where(same & (cosines < SAME_VISIT), cosines, -np.inf))
        cosines[same] = -np.inf
        found.rival_cosine[rows] = _greatest(cosines)
        found.rival[rows] = np.where(np.isnan(found.rival_cosine[rows]), -1, cosines.argmax(axis=1))
        steps.advance(len(places))
    return found


def block_for(count: int) -> int:
    """How many vectors are compared with so many at once."""
    return min(BLOCK, max(1, BLOCK * OTHERS // max(1, count)))


def nearest(cosines: Floats, k: int) -> tuple[Numbers, Floats]:
    """Cosines [m, n] -> the places of the k greatest of each row, the greatest first, and their values: [m, k] each."""
    start = cosines.shape[1] - k
    some = np.argpartition(cosines, start, axis=1)[:, start:] if k else np.empty((len(cosines), 0), np.intp)
    values = np.take_along_axis(cosines, some, axis=1)
    order = np.lexsort((some, -values), axis=1)
    return np.take_along_axis(some, order, axis=1).astype(np.int32), np.take_along_axis(values, order, axis=1)


def _greatest(cosines: Floats) -> Floats:
    greatest: Floats = cosines.max(axis=1)
    return np.where(np.isfinite(greatest), greatest, np.float32(np.nan))
