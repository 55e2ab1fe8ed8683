"""Calibration of the re-ranking (second look), as calibrating_thresholds.py does it for the embedding (first look).

Every query is scored twice, with its SKU in the gallery and with it held out; the gallery's shortlist is computed here
from the same vectors and visual words. The shipped weights are fitted on all queries; the reported rates are
cross-validated over SKUs, of the whole pipeline: the embedding alone, by the bundle's thresholds, where it is sure or
no local features agree; re-ranking otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedder import ranking
from embedder.bundle import RerankerWeights, Thresholds
from embedder.calibration import conditional_logit, fitting_thresholds, rates
from embedder.calibration.rates import Known, Pair, Rates, SetRates, Unknown
from embedder.errors import DataError
from embedder.evaluation import Embedded
from embedder.inference import Embedder
from embedder.matching import Agreement, Candidate, LocalFeatures, VisualWords, reranker, verify

Floats = npt.NDArray[np.float64]
#: Queries used of each set, at most: each is verified against some 60 photos.
QUERIES = 400
#: Share of the stated error rates that the embedding alone may use up when it is sure; the rest is for re-ranking.
SURE = 0.2
#: Probabilities tried as `accept`, and the decimals that they and the weights are rounded to.
LEVELS, DIGITS = 400, 4


#: Cache of extracted features: (path, whether as a query) -> local features and visual words.
_Read = dict[tuple[Path, bool], tuple[LocalFeatures, VisualWords]]


@dataclass(frozen=True)
class RerankerCalibration:
    """The fitted weights, and their rates on SKUs that they were not fitted on.

    `second`: share of the queries of known products that needed re-ranking.
    """

    look: RerankerWeights
    wrong: float
    seed: int
    queries: int
    rates: Rates
    sets: list[SetRates]
    second: float
    in_sample: Rates

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Case:
    """A query against a gallery: the embedding's result, and the candidates, in the order of their verification."""

    first: str
    score: float
    margin: float
    candidates: list[Candidate]

    def has(self, score: float, margin: float) -> bool:
        """Whether the embedding's best SKU has this score, and this margin over the second."""
        return bool(ranking.is_match(self.score, self.margin, score, margin))

    def matched(self, limits: Thresholds) -> str:
        """The SKU that the embedding alone would match; "" for none."""
        return self.first if self.has(limits.score, limits.margin) else ""


@dataclass(frozen=True, eq=False)
class _Query:
    place: int
    sku: str
    known: _Case
    held_out: _Case


@dataclass(frozen=True, eq=False)
class _Side:
    """Photos of a set: their vectors, and local features and visual words, n each."""

    embedded: Embedded
    details: list[LocalFeatures]
    words: list[VisualWords]


def calibrate_reranker(
    embedder: Embedder, pairs: Sequence[Pair], *, false_accept: float, wrong: float, folds: int = 5, seed: int = 1
) -> RerankerCalibration:
    """Sets of photo files -> the re-ranking weights with the most right answers within the error rates.

    The rates, and what counts as right, are those of calibrate_thresholds. Raises DataError as that does, and
    BundleError for a bundle without words.
    """
    read: _Read = {}
    queries = [query for place, pair in enumerate(pairs) for query in _ask(embedder, place, pair, seed, read)]
    place = np.array([query.place for query in queries])
    sku = np.array([query.sku for query in queries])
    fold = rates.split_folds(place, sku, [pair.name for pair in pairs], folds, seed)
    first = embedder.bundle.thresholds
    look = _fit(queries, first, false_accept, wrong)
    fits = [
        _fit([query for query, own in zip(queries, fold, strict=True) if own != number], first, false_accept, wrong)
        for number in range(folds)
    ]
    answers = [_answers(query, first, fits[own]) for query, own in zip(queries, fold, strict=True)]
    sets = [
        SetRates(
            name=pair.name,
            gallery=len(pair.gallery.skus),
            gallery_skus=len(set(pair.gallery.skus)),
            queries=int((place == number).sum()),
            skus=len(np.unique(sku[place == number])),
            rates=_rates(
                [one for one, own in zip(answers, place, strict=True) if own == number],
                rates.even_weights(place[place == number]),
            ),
        )
        for number, pair in enumerate(pairs)
    ]
    weight = _weights(queries)
    asked = float(
        weight
        @ [
            not query.known.has(fits[own].sure_score, fits[own].sure_margin)
            for query, own in zip(queries, fold, strict=True)
        ]
    )
    return RerankerCalibration(
        look=look,
        wrong=wrong,
        seed=seed,
        queries=len(queries),
        rates=_rates(answers, weight),
        sets=sets,
        second=asked,
        in_sample=_rates([_answers(query, first, look) for query in queries], weight),
    )


def shortlist(cosines: Floats, shared: Floats, allowed: npt.NDArray[np.bool_], limit: int) -> list[int]:
    """Cosines and IDF-weighted products of words, [photos] each -> indices of photos, as Gallery.shortlist gives them.

    Reciprocal rank fusion of both rankings (Cormack et al. 2009, "Reciprocal rank fusion"), with the constants that the
    catalog gives Qdrant. `allowed` [photos] is the gallery.
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

    Weighted by IDF as in Qdrant: log((n - df + 0.5) / (df + 0.5) + 1), df the references that contain the word.
    """
    rows = np.zeros((len(known), count), np.float32)
    for row, words in zip(rows, known, strict=True):
        row[words.indexes] = words.values
    held = (rows > 0).sum(axis=0)
    idf = np.log((len(rows) - held + 0.5) / (held + 0.5) + 1)
    products = [rows[:, one.indexes] @ (one.values * idf[one.indexes]) for one in asked]
    return np.stack(products).astype(np.float64) if products else np.empty((0, len(known)))


def _ask(embedder: Embedder, place: int, pair: Pair, seed: int, read: _Read) -> Iterable[_Query]:
    held = set(pair.gallery.skus)
    rows = [row for row, sku in enumerate(pair.queries.skus) if sku in held]
    if not rows:
        raise DataError(f"No query is of a SKU that its gallery holds ({pair.name}).")
    rows = sorted(np.random.default_rng([seed, 11]).permutation(rows)[:QUERIES].tolist())
    known = _look(embedder, pair.gallery, range(len(pair.gallery.paths)), read, ask=False)
    asked = _look(embedder, pair.queries, rows, read, ask=True)
    skus = np.array(pair.gallery.skus)
    cosines = (asked.embedded.vectors @ known.embedded.vectors.T).astype(np.float64)
    shared = shared_words(known.words, asked.words, len(embedder.vocabulary or ()))

    def one(row: int) -> _Query:
        own = skus == asked.embedded.skus[row]
        found: dict[int, Agreement] = {}

        def case(allowed: npt.NDArray[np.bool_]) -> _Case:
            nearest = _nearest_of_skus(cosines[row], skus, allowed)
            listed = shortlist(cosines[row], shared[row], allowed, reranker.SHORTLIST)
            candidates = []
            for photo in dict.fromkeys([*nearest, *listed]):
                if photo not in found:
                    found[photo] = verify(asked.details[row], known.details[photo])
                candidates.append(
                    Candidate(skus[photo], float(cosines[row, photo]), known.details[photo], found[photo])
                )
            first, second = (float(cosines[row, photo]) for photo in nearest[:2])
            return _Case(skus[nearest[0]], first, first - second, candidates)

        return _Query(place, asked.embedded.skus[row], case(np.ones(len(skus), bool)), case(~own))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(one, range(len(rows)))


def _look(embedder: Embedder, photos: Embedded, rows: Sequence[int], read: _Read, *, ask: bool) -> _Side:
    """Local features and words of these photos, as queries if they `ask`; `read` is the cache common to all sets."""
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
    """The nearest photo of each of the best SKUs, as many as an answer names."""
    best: dict[str, int] = {}
    for place in np.argsort(-cosines, kind="stable").tolist():
        if allowed[place]:
            best.setdefault(str(skus[place]), place)
            if len(best) == reranker.MATCHES:
                break
    return list(best.values())


def _fit(queries: Sequence[_Query], first: Thresholds, false_accept: float, wrong: float) -> RerankerWeights:
    """Fit the weights, then the limits of the embedding alone, then the probability to accept."""
    tables, chosen = [], []
    for query in queries:
        for case, right in ((query.known, query.sku), (query.held_out, None)):
            skus, _, table = reranker.features(case.candidates)
            tables.append(table)
            chosen.append(skus.index(right) if right in skus else -1)
    fitted = conditional_logit.fit_conditional_logit(tables, chosen, np.repeat(_weights(queries) / 2, 2))
    weights = dict(zip(reranker.FEATURES, (round(float(value), DIGITS) for value in fitted), strict=True))
    sure = _fit_sure(queries, SURE * false_accept, SURE * wrong)
    never = RerankerWeights(weights, 2.0, sure.score, sure.margin, false_accept)
    return replace(never, accept=_fit_accept(queries, first, never, false_accept, wrong))


def _fit_sure(queries: Sequence[_Query], false_accept: float, wrong: float) -> Thresholds:
    """Score and margin from which the embedding alone is sure; out of reach when no score keeps to the rates."""
    known, held_out = [query.known for query in queries], [query.held_out for query in queries]
    asked = fitting_thresholds.QueryScores(
        place=np.array([query.place for query in queries]),
        sku=np.array([query.sku for query in queries]),
        score=np.array([case.score for case in known]),
        margin=np.array([case.margin for case in known]),
        right=np.array([query.known.first == query.sku for query in queries]),
        out_score=np.array([case.score for case in held_out]),
        out_margin=np.array([case.margin for case in held_out]),
    )
    try:
        return fitting_thresholds.fit_thresholds(asked, false_accept, wrong)
    except DataError:
        return Thresholds(score=1.01, margin=0.0)


def _fit_accept(
    queries: Sequence[_Query], first: Thresholds, look: RerankerWeights, false_accept: float, wrong: float
) -> float:
    """The lowest `accept` that keeps both rates, over the whole pipeline. Raises DataError when none does."""
    weight = _weights(queries)
    known = [_top(query.known, first, look) for query in queries]
    chance, held_out = (
        np.array([top for _, top in known]),
        np.array([_top(q.held_out, first, look)[1] for q in queries]),
    )
    right = np.array([sku == query.sku for (sku, _), query in zip(known, queries, strict=True)])
    for accept in np.round(np.linspace(0.5, 1.0, LEVELS + 1), DIGITS):
        match, mistaken = weight[chance >= accept].sum(), weight[(chance >= accept) & ~right].sum()
        if weight[held_out >= accept].sum() <= false_accept and mistaken <= wrong * match and match > 0:
            return float(accept)
    raise DataError(f"The details keep to no such rates: --false-accept {false_accept:g}, --wrong {wrong:g}.")


def _top(case: _Case, first: Thresholds, look: RerankerWeights) -> tuple[str, float]:
    """The best SKU and its probability; where the embedding alone answers, 1 for a match and 0 otherwise."""
    if case.has(look.sure_score, look.sure_margin):
        return case.first, 1.0
    if not reranker.agrees(case.candidates):
        return case.first, float(case.has(first.score, first.margin))
    best = reranker.rank(look, case.candidates)[0]
    return best.sku, 1.0 if best.sku == case.matched(first) else best.probability


def _answers(query: _Query, first: Thresholds, look: RerankerWeights) -> tuple[str, str]:
    """(right, wrong, ambiguous or unknown) with the SKU in the gallery, (match, ...) with it held out."""
    sku, known = _answer(query.known, first, look)
    _, held_out = _answer(query.held_out, first, look)
    if known == "match":
        known = "right" if sku == query.sku else "wrong"
    return known, held_out


def _answer(case: _Case, first: Thresholds, look: RerankerWeights) -> tuple[str, str]:
    if case.has(look.sure_score, look.sure_margin):
        return case.first, "match"
    if reranker.agrees(case.candidates):
        weighed = reranker.rank(look, case.candidates)
        return weighed[0].sku, reranker.decide(look, weighed, case.matched(first))
    if case.has(first.score, first.margin):
        return case.first, "match"
    return case.first, "ambiguous" if case.score >= first.score else "unknown"


def _rates(answers: Sequence[tuple[str, str]], weight: Floats) -> Rates:
    def share(which: int, *words: str) -> list[float]:
        return [float(weight[[answer[which] == word for answer in answers]].sum()) for word in words]

    return Rates(
        Known(*share(0, "right", "wrong", "ambiguous", "unknown")), Unknown(*share(1, "match", "ambiguous", "unknown"))
    )


def _weights(queries: Sequence[_Query]) -> Floats:
    """Weight of each query: every set weighs the same; they sum to 1."""
    return rates.even_weights(np.array([query.place for query in queries]))
