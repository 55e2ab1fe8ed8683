"""Weights of the second look, fitted so that they hold for products and sets that they were not fitted on.

Every query is asked twice, with its SKU in the gallery and with it held out, a stranger's once (asking.py). The weights
that ship are fitted on all queries; what is reported is the whole flow on sets that were left out (with fewer than
LEFT_OUT sets: on SKUs that were; sets that ask by the same photos, degraded or not, count as one): the first look alone
where that is sure or where no details agree, by the thresholds that the bundle has; the second look otherwise. The
floor of the cosine is the one by which the left out sets are most probable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from embedder.bundle import RerankerWeights, Thresholds
from embedder.calibration import conditional_logit, fitting_thresholds, rates
from embedder.calibration.asking import Case, Query, Read, ask
from embedder.calibration.rates import Known, Pair, Rates, SetRates, Unknown
from embedder.errors import DataError
from embedder.inference import Embedder
from embedder.matching import reranker

Floats = npt.NDArray[np.float64]
#: With so many sets each is left out in turn; with fewer it is SKUs that are.
LEFT_OUT = 4
#: Floors of the cosine that are tried, each on so many parts of the sets or SKUs.
FLOORS = (0.55, 0.6, 0.65, 0.7, 0.75)
PARTS = 5
#: What of the stated rates the first look alone may take when it is sure: of the rest the second look lives.
SURE = 0.05
#: Probabilities tried as `accept`, and the decimals that they and the weights are rounded to.
LEVELS, DIGITS = 400, 4


@dataclass(frozen=True)
class RerankerCalibration:
    """What was fitted, and how it answers sets (`left_out`) or SKUs that it was not fitted on.

    `queries` are of known products, each asked again with its product held out; `strangers` are of none. `second`:
    share of the queries that the second look was asked of. `log_loss`: of the second look's probabilities, over the
    queries of the sets or SKUs that were left out, every set weighing the same. same_visit: whether references of a
    query's visit were "left-out" or "kept".
    """

    look: RerankerWeights
    wrong: float
    seed: int
    queries: int
    strangers: int
    rates: Rates
    sets: list[SetRates]
    second: float
    in_sample: Rates
    log_loss: float
    left_out: bool
    same_visit: str = "kept"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def calibrate_reranker(
    embedder: Embedder, pairs: Sequence[Pair], *, false_accept: float, wrong: float, folds: int = 5, seed: int = 1
) -> RerankerCalibration:
    """Sets of photo files -> the re-ranking weights with the most right answers within the error rates.

    The rates, and what counts as right, are those of calibrate_thresholds. Raises DataError as that does, and
    BundleError for a bundle without words.
    """
    read: Read = {}
    asked_sets = [ask(embedder, place, pair, seed, read) for place, pair in enumerate(pairs)]
    queries = [query for asked, _ in asked_sets for query in asked]
    place = np.array([query.place for query in queries])
    sku = np.array([query.sku for query in queries])
    groups = np.array(rates.group_sets(pairs))
    left_out = len(np.unique(groups)) >= LEFT_OUT
    fold = groups[place] if left_out else rates.split_folds(place, sku, [pair.name for pair in pairs], folds, seed)
    first = embedder.bundle.thresholds
    floor, log_loss = _choose_floor(queries, fold)
    look = _fit(queries, floor, first, false_accept, wrong)
    fits = {
        number: _fit(
            [query for query, own in zip(queries, fold, strict=True) if own != number],
            floor,
            first,
            false_accept,
            wrong,
        )
        for number in np.unique(fold).tolist()
    }
    answers = [_answers(query, first, fits[own]) for query, own in zip(queries, fold.tolist(), strict=True)]
    ours = np.array([query.known is not None for query in queries])
    sets = [
        SetRates(
            name=pair.name,
            gallery=len(pair.gallery.skus),
            gallery_skus=len(set(pair.gallery.skus)),
            queries=int((ours & (place == number)).sum()),
            skus=len(np.unique(sku[ours & (place == number)])),
            rates=_rates(
                [one for one, own in zip(answers, place, strict=True) if own == number], place[place == number]
            ),
            same_visit=sum(query.same_visit for query in asked_sets[number][0]),
            not_asked=asked_sets[number][1],
        )
        for number, pair in enumerate(pairs)
    ]
    asked = [
        not query.known.has(fits[own].sure_score, fits[own].sure_margin)
        for query, own in zip(queries, fold.tolist(), strict=True)
        if query.known is not None
    ]
    return RerankerCalibration(
        look=look,
        wrong=wrong,
        seed=seed,
        queries=int(ours.sum()),
        strangers=int((~ours).sum()),
        rates=_rates(answers, place),
        sets=sets,
        second=float(rates.even_weights(place[ours]) @ asked),
        in_sample=_rates([_answers(query, first, look) for query in queries], place),
        log_loss=log_loss,
        left_out=left_out,
        same_visit="kept" if all(pair.left_out is None for pair in pairs) else "left-out",
    )


def _choose_floor(queries: Sequence[Query], fold: npt.NDArray[np.intp]) -> tuple[float, float]:
    """The floor of the cosine with the least log-loss over sets or SKUs that were left out, and that loss."""
    losses = {}
    part = fold % PARTS
    for floor in FLOORS:
        losses[floor] = 0.0
        for number in np.unique(part):
            others, own = (
                [q for q, f in zip(queries, part, strict=True) if (f == number) == side] for side in (False, True)
            )
            tables, chosen = _choices(own, floor)
            shares = _shares(own) * len(np.unique(fold[part == number])) / len(np.unique(fold))
            losses[floor] -= conditional_logit.log_likelihood(_fit_weights(others, floor), tables, chosen, shares)
    best = min(FLOORS, key=lambda floor: losses[floor])
    return best, round(losses[best], DIGITS)


def _choices(queries: Sequence[Query], floor: float) -> tuple[list[Floats], list[int]]:
    """Two choosers a query, its SKU in the gallery and held out: features, and the place of the right SKU or -1."""
    tables, chosen = [], []
    for query in queries:
        for case, right in ((query.known, query.sku), (query.held_out, None)):
            if case is not None:
                skus, table = case.table(floor)
                tables.append(table)
                chosen.append(skus.index(right) if right in skus else -1)
    return tables, chosen


def _shares(queries: Sequence[Query]) -> Floats:
    """How much each chooser counts, in the order of `_choices`; a query's askings share what it weighs."""
    parts = [1 if query.known is None else 2 for query in queries]
    return np.repeat(_weights(queries) / parts, parts)


def _fit_weights(queries: Sequence[Query], floor: float) -> Floats:
    tables, chosen = _choices(queries, floor)
    return conditional_logit.fit_conditional_logit(tables, chosen, _shares(queries), free=1)


def _fit(
    queries: Sequence[Query], floor: float, first: Thresholds, false_accept: float, wrong: float
) -> RerankerWeights:
    """Weights, then what is sure by the first look alone, then what is accepted by details."""
    fitted = _fit_weights(queries, floor)
    weights = dict(zip(reranker.FEATURES, (round(float(value), DIGITS) for value in fitted), strict=True))
    sure = _fit_sure(queries, SURE * false_accept, SURE * wrong)
    never = RerankerWeights(weights, 2.0, sure.score, sure.margin, false_accept, floor)
    return replace(never, accept=_fit_accept(queries, first, never, false_accept, wrong))


def _fit_sure(queries: Sequence[Query], false_accept: float, wrong: float) -> Thresholds:
    """When the first look alone is sure. Never, when no score keeps to the rates."""
    known, held_out = [query.known for query in queries], [query.held_out for query in queries]
    # A stranger is no known product's: with a score below all it is never answered.
    asked = fitting_thresholds.QueryScores(
        place=np.array([query.place for query in queries]),
        sku=np.array([query.sku for query in queries]),
        score=np.array([case.score if case else -1.0 for case in known]),
        margin=np.array([case.margin if case else 0.0 for case in known]),
        right=np.array([query.known is not None and query.known.first == query.sku for query in queries]),
        out_score=np.array([case.score for case in held_out]),
        out_margin=np.array([case.margin for case in held_out]),
        poor=np.array([query.poor for query in queries]),
    )
    try:
        return fitting_thresholds.fit_thresholds(asked, false_accept, wrong)
    except DataError:
        return Thresholds(score=1.01, margin=0.0)


def _fit_accept(
    queries: Sequence[Query], first: Thresholds, look: RerankerWeights, false_accept: float, wrong: float
) -> float:
    """The lowest probability to accept that keeps to both rates, by the whole flow. Raises DataError when none does.

    Degraded photos keep to them as in fit_thresholds.
    """
    ours = [query for query in queries if query.known is not None]
    known = [_top(query.known, first, look) for query in ours if query.known is not None]
    chance = np.array([top for _, top in known])
    right = np.array([sku == query.sku for (sku, _), query in zip(known, ours, strict=True)])
    held_out = np.array([_top(query.held_out, first, look)[1] for query in queries])
    taken = [np.array([not query.poor for query in asked]) for asked in (ours, queries)]

    def mistaken(accept: float, which: npt.NDArray[np.bool_]) -> bool:
        """Whether too many of the matches among these queries are wrong, or none is a match."""
        weight = _weights([query for query, own in zip(ours, which, strict=True) if own])
        match = chance[which] >= accept
        return bool(weight[match & ~right[which]].sum() > wrong * weight[match].sum() or not match.any())

    def accepts(accept: float, which: npt.NDArray[np.bool_]) -> bool:
        """Whether too many of these queries are accepted with their SKU held out."""
        weight = _weights([query for query, own in zip(queries, which, strict=True) if own])
        return bool(weight[held_out[which] >= accept].sum() > false_accept)

    every = np.ones(len(ours), bool)
    for accept in np.round(np.linspace(0.5, 1.0, LEVELS + 1), DIGITS).tolist():
        parts = [which for which in (taken[1], ~taken[1]) if which.any()]
        if not (mistaken(accept, every) or mistaken(accept, taken[0]) or any(accepts(accept, one) for one in parts)):
            return float(accept)
    raise DataError(f"The details keep to no such rates: --false-accept {false_accept:g}, --wrong {wrong:g}.")


def _top(case: Case, first: Thresholds, look: RerankerWeights) -> tuple[str, float]:
    """The SKU that is first, and its probability; where the first look answers, 1 for a match and 0 for another."""
    if case.has(look.sure_score, look.sure_margin):
        return case.first, 1.0
    if not reranker.agrees(case.candidates):
        return case.first, float(case.has(first.score, first.margin))
    skus, table = case.table(look.floor or 0.0)
    chances = reranker.probabilities(table @ reranker.weight_row(look))
    best = int(chances.argmax())
    stays = skus[best] == case.matched(first) and skus[best] not in case.compared
    return skus[best], 1.0 if stays else float(chances[best])


def _answers(query: Query, first: Thresholds, look: RerankerWeights) -> tuple[str, str]:
    """(right, wrong, ambiguous or unknown; "" of a stranger) with the SKU in the gallery, (match, ...) held out."""
    sku, known = ("", "") if query.known is None else _answer(query.known, first, look)
    _, held_out = _answer(query.held_out, first, look)
    if known == "match":
        known = "right" if sku == query.sku else "wrong"
    return known, held_out


def _answer(case: Case, first: Thresholds, look: RerankerWeights) -> tuple[str, str]:
    if case.has(look.sure_score, look.sure_margin):
        return case.first, "match"
    if reranker.agrees(case.candidates):
        weighed = reranker.rank(look, case.candidates)
        return weighed[0].sku, reranker.decide(look, weighed, case.matched(first))
    if case.has(first.score, first.margin):
        return case.first, "match"
    return case.first, "ambiguous" if case.score >= first.score else "unknown"


def _rates(answers: Sequence[tuple[str, str]], place: npt.NDArray[np.intp]) -> Rates:
    """Answers and the place of the set of each -> rates; strangers count among what is held out alone."""

    def share(which: int, *words: str) -> list[float]:
        asked = np.array([answer[which] != "" for answer in answers])
        weight = rates.even_weights(place[asked])
        given = [answer[which] for answer in answers if answer[which]]
        return [float(weight[[one == word for one in given]].sum()) for word in words]

    return Rates(
        Known(*share(0, "right", "wrong", "ambiguous", "unknown")), Unknown(*share(1, "match", "ambiguous", "unknown"))
    )


def _weights(queries: Sequence[Query]) -> Floats:
    """Of each query: every set weighs the same, and all of them 1."""
    return rates.even_weights(np.array([query.place for query in queries]))
