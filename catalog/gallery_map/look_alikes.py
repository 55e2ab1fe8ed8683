"""Which products look alike and which photos lie apart, by whole vectors: a map can't show every distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from catalog.gallery_map.neighbors import Floats, Neighbors, Numbers

#: A photo that is nearer to another product than to the others of its own ("beside"), or that none of them would find
#: ("alone"); "" for any other.
Apart = Literal["", "beside", "alone"]
APART: tuple[Apart, ...] = get_args(Apart)
#: Photos of a product from which on one of them can lie apart from the others.
ENOUGH = 3

Flags = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class LookAlikes:
    """Of n photos: `apart` [n], numbers in APART. Of m pairs of products: a photo of each, `pairs` [m, 2].

    `leads` [m]: by how much the first photo's own product is ahead of the other; the least of all its photos'.
    """

    apart: Flags
    pairs: Numbers
    leads: Floats


def find_look_alikes(neighbors: Neighbors, products: Numbers, score: float, margins: Floats) -> LookAlikes:
    """Neighbours, the product of each photo [n], the score of a match, the margin that each photo's product needs [n].

    Two products look alike when a photo of one, with those of its visit left out, would be no match for the margin
    alone: the other product reaches `score`, and the own one is not ahead by the margin. A photo without another visit
    stands for it itself.
    """
    counts = np.bincount(products)[products] if len(products) else products
    rival_reaches = neighbors.rival_cosine >= score  # False for NaN
    beside = rival_reaches & (neighbors.rival_cosine > neighbors.own)
    alone = (counts >= ENOUGH) & (neighbors.own < score)
    apart = np.where(beside, 1, np.where(alone, 2, 0)).astype(np.uint8)
    leads = np.where(np.isnan(neighbors.own_elsewhere), 1, neighbors.own_elsewhere) - neighbors.rival_cosine
    photos = np.flatnonzero(rival_reaches & (leads < margins))
    photos = photos[np.argsort(leads[photos], kind="stable")]
    rivals = neighbors.rival[photos]
    products_of = np.sort(np.stack([products[photos], products[rivals]], axis=1), axis=1)
    _, first = np.unique(products_of, axis=0, return_index=True)
    first.sort()  # the least lead first
    pairs = np.stack([photos[first], rivals[first]], axis=1).astype(np.int32)
    return LookAlikes(apart, pairs, leads[photos[first]].astype(np.float32))
