"""Askings of the second look: what the gallery would shortlist for each query photo, verified and compared.

Every query is asked twice, with its SKU in the gallery and with it held out; one whose SKU the gallery does not hold is
a stranger's, and asked once. The shortlist is worked out here from the same vectors and words. Where a set leaves out
the references of the query's visit, those found among the candidates are taken out, and the shortlist is made again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedder import ranking
from embedder.bundle import Thresholds
from embedder.calibration.rates import Pair, check_asked
from embedder.calibration.same_visit import is_same_visit
from embedder.evaluation import Embedded
from embedder.images import Pixels
from embedder.inference import Embedder
from embedder.matching import (
    QUERY,
    REFERENCE,
    Agreement,
    Candidate,
    LocalFeatures,
    VisualWords,
    compare,
    picture,
    reranker,
    verify,
)

Floats = npt.NDArray[np.float64]
#: Queries of a set that are looked at, at most: each is matched with some 100 photos.
QUERIES = 400

#: What was read of photos, by path, as references and as queries.
Read = dict[tuple[Path, bool], tuple[LocalFeatures, VisualWords]]


@dataclass(frozen=True, eq=False)
class Case:
    """One asking: what the first look said, and the candidates, in the order in which they are matched."""

    first: str
    score: float
    margin: float
    candidates: list[Candidate]
    _tables: dict[float, tuple[list[str], Floats]] = field(default_factory=dict)

    def has(self, score: float, margin: float) -> bool:
        """Whether the first look's first SKU has this score, and this margin over the second."""
        return bool(ranking.is_match(self.score, self.margin, score, margin))

    @property
    def compared(self) -> set[str]:
        """The SKUs whose appearance was compared with the photo's."""
        return {one.sku for one in self.candidates if one.appearance is not None}

    def matched(self, limits: Thresholds) -> str:
        """The SKU that the first look alone would match; "" when it would none."""
        return self.first if self.has(limits.score, limits.margin) else ""

    def table(self, floor: float) -> tuple[list[str], Floats]:
        """SKUs and their features [skus, features], by this floor of the cosine (reranker.features)."""
        if floor not in self._tables:
            skus, _, table = reranker.features(self.candidates, floor)
            self._tables[floor] = skus, table
        return self._tables[floor]


@dataclass(frozen=True, eq=False)
class Query:
    """A query photo: the place of its set, its SKU, and its two askings; a stranger's is not `known`.

    same_visit: references of the query's visit were left out. poor: it is a degraded photo.
    """

    place: int
    sku: str
    known: Case | None
    held_out: Case
    same_visit: bool = False
    poor: bool = False


@dataclass(frozen=True, eq=False)
class _Side:
    """Photos of a set: details and words, n each, beside what was embedded."""

    embedded: Embedded
    details: list[LocalFeatures]
    words: list[VisualWords]


def shortlist(cosines: Floats, shared: Floats, allowed: npt.NDArray[np.bool_], limit: int) -> list[int]:
    """Cosines and IDF-weighed products of words to each photo, [photos] each -> places as Gallery.shortlist gives them.

    The ranks by vector and by words are fused (Cormack et al. 2009, "Reciprocal rank fusion"), with the constants that
    the catalog gives Qdrant.
    """
    places = np.flatnonzero(allowed)
    most = ranking.PREFETCH * limit
    near = places[np.argsort(-cosines[places], kind="stable")][:most]
    alike = places[np.argsort(-shared[places], kind="stable")][:most]
    score: dict[int, float] = {}
    for order, weight in zip((near, alike[shared[alike] > 0]), ranking.RRF_WEIGHTS, strict=True):
        for rank, place in enumerate(order.tolist()):
            score[place] = score.get(place, 0.0) + weight / (rank + ranking.RRF_K)
    return sorted(score, key=lambda place: -score[place])[:limit]


def shared_words(known: Sequence[VisualWords], asked: Sequence[VisualWords], count: int) -> Floats:
    """Sparse vectors of references and queries, of `count` words -> their products, [queries, references].

    Weighted by IDF as Qdrant does: log((n - held + 0.5) / (held + 0.5) + 1).
    """
    rows = np.zeros((len(known), count), np.float32)
    for row, words in zip(rows, known, strict=True):
        row[words.indexes] = words.values
    held = (rows > 0).sum(axis=0)
    idf = np.log((len(rows) - held + 0.5) / (held + 0.5) + 1)
    products = [rows[:, one.indexes] @ (one.values * idf[one.indexes]) for one in asked]
    return np.stack(products).astype(np.float64) if products else np.empty((0, len(known)))


def ask(embedder: Embedder, place: int, pair: Pair, seed: int, read: Read) -> tuple[list[Query], int]:
    """The queries of a set, QUERIES at most, and the number of those that too few references are left to answer.

    Raises DataError when its gallery holds the SKU of none, or every reference that could answer is of the same visit.
    """
    rows = list(range(len(pair.queries.skus)))
    check_asked(pair, not set(pair.gallery.skus).isdisjoint(pair.queries.skus), len(rows))
    rows = sorted(np.random.default_rng([seed, 11]).permutation(rows)[:QUERIES].tolist())
    known = _look(embedder, pair.gallery, range(len(pair.gallery.paths)), read, ask=False)
    asked = _look(embedder, pair.queries, rows, read, ask=True)
    skus = np.array(pair.gallery.skus)
    cosines = (asked.embedded.vectors @ known.embedded.vectors.T).astype(np.float64)
    # A degraded photo's own features would not tell its visit.
    seen = asked if pair.originals is None else _look(embedder, pair.originals, rows, read, ask=True)
    alike = cosines if pair.originals is None else seen.embedded.vectors @ known.embedded.vectors.T
    left_out = None if pair.left_out is None else pair.left_out[rows]
    shared = shared_words(known.words, asked.words, len(embedder.vocabulary or ()))

    def one(row: int) -> Query | None:
        kept = np.ones(len(skus), bool) if left_out is None else ~left_out[row]
        judged: set[int] = set()
        own = skus == asked.embedded.skus[row]
        found: dict[int, Agreement] = {}
        compared: dict[int, Candidate] = {}
        pixels: list[Pixels] = []

        def appear(candidate: Candidate, photo: int) -> Candidate:
            if photo not in compared:
                if not pixels:
                    pixels.append(picture(asked.embedded.paths[row].read_bytes(), QUERY.side))
                outline = candidate.match.outline
                seen = None if outline is None else compare(_reference(known.embedded.paths[photo]), pixels[0], outline)
                compared[photo] = replace(candidate, appearance=seen)
            return compared[photo]

        def same_visit(photo: int) -> bool:
            judged.add(photo)
            agreement = found[photo] if pair.originals is None else None
            return is_same_visit(float(alike[row, photo]), seen.details[row], known.details[photo], agreement)

        def candidates_of(allowed: npt.NDArray[np.bool_]) -> tuple[list[int], list[int]]:
            """The nearest photo of each of the best SKUs, and all photos that are looked at."""
            while True:
                nearest = _nearest_of_skus(cosines[row], skus, allowed & kept)
                listed = shortlist(cosines[row], shared[row], allowed & kept, reranker.SHORTLIST)
                photos = list(dict.fromkeys([*nearest, *listed]))
                for photo in photos:
                    if photo not in found:
                        found[photo] = verify(asked.details[row], known.details[photo])
                new = [] if left_out is None else [one for one in photos if one not in judged and same_visit(one)]
                if not new:
                    return nearest, photos
                kept[new] = False

        def case(allowed: npt.NDArray[np.bool_]) -> Case | None:
            nearest, photos = candidates_of(allowed)
            if len(nearest) < 2:  # no margin
                return None
            candidates = [
                Candidate(skus[photo], float(cosines[row, photo]), known.details[photo], found[photo])
                for photo in photos
            ]
            for place in reranker.comparable(candidates):
                candidates[place] = appear(candidates[place], photos[place])
            first, second = (float(cosines[row, photo]) for photo in nearest[:2])
            return Case(skus[nearest[0]], first, first - second, candidates)

        in_gallery = case(np.ones(len(skus), bool)) if own.any() else None
        held_out = case(~own)
        if held_out is None or (own.any() and (in_gallery is None or not (own & kept).any())):
            return None
        return Query(place, asked.embedded.skus[row], in_gallery, held_out, not kept.all(), pair.originals is not None)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        queries = [query for query in pool.map(one, range(len(rows))) if query is not None]
    if left_out is not None:
        check_asked(pair, True, sum(query.known is not None for query in queries))
    return queries, len(rows) - len(queries)


@lru_cache(maxsize=256)
def _reference(path: Path) -> Pixels:
    return picture(path.read_bytes(), REFERENCE.side)


def _look(embedder: Embedder, photos: Embedded, rows: Sequence[int], read: Read, *, ask: bool) -> _Side:
    """Local features and words of these photos, as queries if they `ask`; `read` keeps those of the sets before."""
    paths = [photos.paths[row] for row in rows]
    new = [(path, ask) for path in dict.fromkeys(paths) if (path, ask) not in read]
    extract = embedder.extract_query if ask else embedder.extract_reference_local
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        read.update(zip(new, pool.map(lambda one: extract(one[0].read_bytes()), new), strict=True))
    few = Embedded(
        photos.vectors[list(rows)],
        [photos.skus[row] for row in rows],
        [],
        photos.seconds,
        tuple(paths),
    )
    return _Side(few, [read[path, ask][0] for path in paths], [read[path, ask][1] for path in paths])


def _nearest_of_skus(cosines: Floats, skus: npt.NDArray[np.str_], allowed: npt.NDArray[np.bool_]) -> list[int]:
    """The nearest photo of each of the best SKUs, so many as an answer names."""
    best: dict[str, int] = {}
    for place in np.argsort(-cosines, kind="stable").tolist():
        if allowed[place]:
            best.setdefault(str(skus[place]), place)
            if len(best) == reranker.MATCHES:
                break
    return list(best.values())
