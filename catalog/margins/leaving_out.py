"""Leave-one-visit-out: what a product's own photos would be answered, without the photos of the same visit.

Photos that were taken at one moment find each other whatever else is in the catalog, so a photo left out alone flatters
its product. Which photos belong to one visit is not recorded; their vectors say it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.gallery import Gallery, Hit, Vector
from catalog.right_of_way import piece
from embedder import ranking
from embedder.bundle import Thresholds

#: Photos of one product whose cosine is at least this are of one visit, and so are those with a chain of such photos
#: between them. At 0.9 as many matches of photos left out were wrong as of photos of a visit that the catalog does
#: not know, at worst; at 0.95 there were none at all (docs/measurements-margins.md).
SAME_VISIT = 0.9
#: Nearest photos of other products that an answer is made from.
OTHERS = 50
#: The greatest difference of two cosines: the margin of an answer without a second product.
MOST = 2.0


@dataclass(frozen=True)
class LeftOut:
    """The answer to a photo whose visit is left out: the first and the second product (ids), and the margin between.

    `margin` is None when this is no match; the products, too, when there is no photo of another visit to find. `near`:
    ids of other products' photos that this one could match.
    """

    near: frozenset[str]
    first: str | None = None
    second: str | None = None
    margin: float | None = None


def visits(vectors: Vector) -> npt.NDArray[np.intp]:
    """Vectors of one product's photos, float32 [n, dim] -> the visit of each, [n]: a number that its photos share."""
    linked = vectors @ vectors.T >= SAME_VISIT
    visit = np.full(len(vectors), -1, dtype=np.intp)
    for start in range(len(vectors)):
        waiting = [start] if visit[start] < 0 else []
        while waiting:
            one = waiting.pop()
            if visit[one] < 0:
                visit[one] = start
                waiting.extend(np.flatnonzero(linked[one] & (visit < 0)).tolist())
    return visit


def ask(
    gallery: Gallery,
    collection: str,
    thresholds: Thresholds,
    product: str,
    vectors: Mapping[str, Vector],
    asked: Sequence[str],
) -> dict[str, LeftOut]:
    """A product (its id) and the vectors of all its photos by id -> the answers to those that are `asked`.

    Raises GalleryError.
    """
    ids = list(vectors)
    stacked = np.stack([vectors[identity] for identity in ids])
    visit = visits(stacked)
    answers = {}
    for identity in asked:
        place = ids.index(identity)
        # The product's own photos may all be nearer than any other product's.
        with piece():
            hits = gallery.search(collection, vectors[identity], len(ids) + OTHERS)
        others = [hit for hit in hits if hit.product != product]
        near = frozenset(hit.id for hit in others if hit.score >= thresholds.score)
        elsewhere = stacked[visit != visit[place]]
        if not len(elsewhere):
            answers[identity] = LeftOut(near)
            continue
        own = float((elsewhere @ vectors[identity]).max())
        answers[identity] = _answer(product, own, others, thresholds, near)
    return answers


def _answer(product: str, own: float, others: Sequence[Hit], thresholds: Thresholds, near: frozenset[str]) -> LeftOut:
    best = {product: own}
    for hit in others:
        best[hit.product] = max(hit.score, best.get(hit.product, -math.inf))
    (first, score), *rest = sorted(best.items(), key=lambda item: -item[1])
    second = rest[0][0] if rest else None
    margin = score - rest[0][1] if rest else MOST
    is_match = ranking.is_match(score, margin, thresholds.score, thresholds.margin)
    return LeftOut(near, first, second, margin if is_match else None)
