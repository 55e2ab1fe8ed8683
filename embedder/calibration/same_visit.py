"""References of the same visit: photos taken in the same place moments before a query, which calibration leaves out.

A till's photo is never taken beside the reference photo. A query that was flatters the answer, even where the reference
is of another SKU, since both show the same ground. Two photos are of one visit when their cosine is higher than
different visits of one SKU ever reach, or when points agree at the edges of both, without much turning or resizing:
there a photo shows the shelf, the floor or the pile, and seldom the product.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedder.calibration.rates import Bools, Pair
from embedder.matching import QUERY, REFERENCE, Agreement, LocalFeatures, extract, verify

#: Of 750 pairs of photos of one SKU from different visits (grocery val, and the five nearest of train) 0.962 was the
#: highest cosine by bundle 3.0. Of loose fruit that has no points it is all that tells.
MIN_COSINE = 0.965
#: The edge of a photo: so much of its width at the left and right, of its height at the top and bottom.
EDGE = 0.2
#: Points at the edges of both photos. Of those 750 pairs 0.4 % had so many, all of them packs that fill the photo; of
#: pairs within train (the first, third and seventh nearest of a SKU, most of one visit) 38 %.
MIN_POINTS = 10
#: Greatest change of scale (a factor, of photos reduced to one size) and greatest turn, in degrees, of the ground.
MAX_RESIZE, MAX_TURN = 1.5, 30.0
#: Affine maps that are searched for, each in the points that the ones before left: a product in the hand moves apart
#: from the ground.
MAPS = 2
#: Reference and query photos whose local features are kept, some 60 and 90 KB each.
KEPT = 4096
#: An answer by the vector takes the best photos of two SKUs.
SKUS = 2


def is_same_visit(
    cosine: float, query: LocalFeatures, reference: LocalFeatures, agreement: Agreement | None = None
) -> bool:
    """Whether a query and a reference are of the same visit; `agreement`: of both, where it is known already."""
    if cosine >= MIN_COSINE:
        return True
    found = verify(query, reference) if agreement is None else agreement
    points = 0
    for number in range(MAPS):
        if number:
            query, reference = _without(query, found.pairs[:, 0]), _without(reference, found.pairs[:, 1])
            found = verify(query, reference)
        if found.transform is None:
            return False
        points += _points_at_edges(query, reference, found)
        if points >= MIN_POINTS:
            return True
    return False


def leave_out_same_visit(pair: Pair) -> Pair:
    """A set -> the same with `left_out`: the references of a query's visit, so far as they could answer by vector.

    Only those are looked at: from the nearest photo down, until the query's own SKU and two others have one of another
    visit. The second look asks for more of them (asking.py).
    """
    seen = pair.queries if pair.originals is None else pair.originals
    skus, number = np.unique(pair.gallery.skus, return_inverse=True)
    column = {str(sku): place for place, sku in enumerate(skus)}
    left_out = no_references(pair) if pair.left_out is None else pair.left_out.copy()
    query, reference = lru_cache(KEPT)(_query), lru_cache(KEPT)(_reference)

    def look(row: int) -> list[int]:
        own = column.get(pair.queries.skus[row], -1)
        cosines = pair.gallery.vectors @ pair.queries.vectors[row]
        found: list[int] = []
        kept: set[int] = set()
        for photo in np.argsort(-cosines, kind="stable").tolist():
            sku = int(number[photo])
            if own in kept and len(kept - {own}) >= SKUS:
                break
            if left_out[row, photo] or sku in kept or (sku != own and len(kept - {own}) >= SKUS):
                continue
            alike = float(pair.gallery.vectors[photo] @ seen.vectors[row])
            if is_same_visit(alike, query(seen.paths[row]), reference(pair.gallery.paths[photo])):
                found.append(photo)
            else:
                kept.add(sku)
        return found

    asked = [row for row, sku in enumerate(pair.queries.skus) if sku in column]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row, found in zip(asked, pool.map(look, asked), strict=True):
            left_out[row, found] = True
    return replace(pair, left_out=left_out)


def no_references(pair: Pair) -> Bools:
    """Nothing left out yet, bool [queries, gallery]."""
    return np.zeros((len(pair.queries.skus), len(pair.gallery.skus)), dtype=bool)


def _query(path: Path) -> LocalFeatures:
    return extract(path.read_bytes(), QUERY)


def _reference(path: Path) -> LocalFeatures:
    return extract(path.read_bytes(), REFERENCE)


def _without(features: LocalFeatures, points: npt.NDArray[np.intp]) -> LocalFeatures:
    """The features but for some points, by index."""
    rest = np.setdiff1d(np.arange(len(features)), points)
    return LocalFeatures(features.points[rest], features.descriptors[rest], features.width, features.height)


def _points_at_edges(query: LocalFeatures, reference: LocalFeatures, agreement: Agreement) -> int:
    """Pairs that lie at the edges of both photos; none by a map that turns or resizes more than a step aside does."""
    transform = agreement.transform
    if transform is None:
        return 0
    resized = max(reference.width, reference.height) / max(query.width, query.height)
    scale = float(np.sqrt(np.linalg.det(transform[:, :2]))) * resized
    turn = np.degrees(np.arctan2(transform[1, 0], transform[0, 0]))
    if not 1 / MAX_RESIZE < scale < MAX_RESIZE or abs(turn) > MAX_TURN:
        return 0
    return int((_at_edge(query, agreement.pairs[:, 0]) & _at_edge(reference, agreement.pairs[:, 1])).sum())


def _at_edge(features: LocalFeatures, points: npt.NDArray[np.intp]) -> Bools:
    places = features.points[points, :2] / (features.width, features.height)
    at_edge: Bools = np.minimum(places, 1 - places).min(axis=1) < EDGE
    return at_edge
