"""Fit of decision thresholds under limits on error rates, by grid search."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedder import ranking
from embedder.bundle import Thresholds
from embedder.calibration.rates import AMBIGUOUS_CREDIT, Bools, Floats, Known, Rates, Unknown, even_weights
from embedder.errors import DataError

#: Margins tried.
MARGINS = np.round(np.arange(0.0, 0.205, 0.005), 4)
#: Number of scores tried: quantiles of the held-out queries' scores.
LEVELS = 201
#: Tolerance on rates, which are sums of many small weights.
SLACK = 1e-9


@dataclass(frozen=True)
class QueryScores:
    """Scores of queries, all [queries]. place: index of the query's set; sku: its SKU.

    score, margin: of the best SKU, and over the second; right: the best is the query's own. out_score, out_margin: the
    same with the query's SKU held out. poor: the query is a degraded photo.
    """

    place: npt.NDArray[np.intp]
    sku: npt.NDArray[np.str_]
    score: Floats
    margin: Floats
    right: Bools
    out_score: Floats
    out_margin: Floats
    poor: Bools

    def parts(self) -> list[Bools]:
        """The queries as they were taken, and the degraded ones, bool [queries] each; without those that are empty.

        Limits are to hold for each: a set of poor photos, of which hardly one is accepted, must not make room for more
        false accepts of the others.
        """
        return [which for which in (~self.poor, self.poor) if which.any()]

    def only(self, which: Bools) -> QueryScores:
        """The subset of the queries where `which` [queries] is true."""
        return QueryScores(**{name: values[which] for name, values in vars(self).items()})

    def weight(self) -> Floats:
        """Weight of each query: every set weighs the same; they sum to 1."""
        return even_weights(self.place)


def measure_rates(asked: QueryScores, score: Floats | float, margin: Floats | float) -> Rates:
    """Rates at these thresholds, scalars or [queries]."""
    weight = asked.weight()
    high = asked.score >= score
    match = ranking.is_match(asked.score, asked.margin, score, margin)
    known = (match & asked.right, match & ~asked.right, high & ~match, ~high)
    return Rates(
        Known(*(float(weight[which].sum()) for which in known)),
        unknown_rates(asked.out_score, asked.out_margin, score, margin, weight),
    )


def unknown_rates(
    first: Floats, over: Floats, score: Floats | float, margin: Floats | float, weight: Floats
) -> Unknown:
    """Rates of unknown products at these thresholds. `first`, `over`: best score, margin over the second, [queries]."""
    high = first >= score
    match = ranking.is_match(first, over, score, margin)
    return Unknown(*(float(weight[which].sum()) for which in (match, high & ~match, ~high)))


def fit_thresholds(asked: QueryScores, false_accept: float, wrong: float, where: str = "") -> Thresholds:
    """The best thresholds for these queries. Raises DataError, with the rates within reach, when none keep them.

    Photos as they were taken keep to both limits by themselves. So do degraded ones to false_accept; of those hardly
    one is a match, and one wrong would be half of them: they keep to `wrong` together with the others.
    """
    # Rounded before the rates are measured, so that they are those of the thresholds stored in the bundle; and rounded
    # up, so that the highest is above every held-out query's score.
    tried = np.quantile(asked.out_score, np.linspace(0.0, 1.0, LEVELS))
    levels = np.unique(np.round(np.ceil(tried * 1e4 + 1e-6) / 1e4, 4))

    every = _sums(asked, levels)
    value = every.right + (1 - every.out_high) + AMBIGUOUS_CREDIT * every.ambiguous
    useful = every.right > 0
    parts = [_sums(asked.only(which), levels) for which in asked.parts()]
    accepted = np.max([part.accepted for part in parts], axis=0)
    mistaken = np.maximum(parts[0].mistaken, every.mistaken)
    few_accepts, few_wrong = useful & (accepted <= false_accept + SLACK), useful & (mistaken <= wrong + SLACK)
    kept = few_accepts & few_wrong
    if not kept.any():
        least = _what_is_reachable(useful, few_accepts, few_wrong, accepted, mistaken)
        raise DataError(f"{where}No thresholds keep both rates (--false-accept, --wrong): {least}.")
    # Margins and levels ascend, so ties go to the lowest margin, then to the lowest score.
    row, column = np.unravel_index(np.argmax(np.where(kept, value, -1.0)), value.shape)
    return Thresholds(float(levels[column]), float(MARGINS[row]), false_accept)


@dataclass(frozen=True)
class _Sums:
    """Rates at every margin and level, [margins, levels]; out_high: [levels]."""

    right: Floats
    accepted: Floats
    mistaken: Floats
    ambiguous: Floats
    out_high: Floats


def _sums(asked: QueryScores, levels: Floats) -> _Sums:
    weight = asked.weight()

    def above(score: Floats, which: Bools) -> Floats:
        """Total weight of the queries in `which` whose score is at least each level, [levels]."""
        place = np.searchsorted(levels, score[which], side="right")
        held = np.bincount(place, weight[which], minlength=len(levels) + 1)
        sums: Floats = np.cumsum(held[::-1])[::-1][1:]
        return sums

    every = np.ones(len(weight), dtype=bool)
    high, out_high = above(asked.score, every), above(asked.out_score, every)
    matches, rights, accepts = [], [], []
    for margin in MARGINS:
        clear = asked.margin >= margin
        matches.append(above(asked.score, clear))
        rights.append(above(asked.score, clear & asked.right))
        accepts.append(above(asked.out_score, asked.out_margin >= margin))
    match, right, accepted = np.array(matches), np.array(rights), np.array(accepts)
    return _Sums(
        right, accepted, (match - right) / np.maximum(match, SLACK), (high - match) + (out_high - accepted), out_high
    )


def _what_is_reachable(useful: Bools, few_accepts: Bools, few_wrong: Bools, accepted: Floats, mistaken: Floats) -> str:
    """The lowest limits that would allow any right match (useful), as text. All [margins, levels]."""

    def least(rate: Floats, among: Bools) -> str:
        return f"{math.ceil(rate[among].min() * 1e4 - 1e-6) / 1e4:.4f}"

    if not useful.any():
        return "no query is ever nearest to its own SKU"
    ways = []
    if few_wrong.any():
        ways.append(f"--false-accept {least(accepted, few_wrong)}")
    if few_accepts.any():
        ways.append(f"--wrong {least(mistaken, few_accepts)}")
    if not ways:
        fewest = useful & (accepted <= accepted[useful].min() + SLACK)
        ways.append(f"--false-accept {least(accepted, fewest)} with --wrong {least(mistaken, fewest)}")
    return f"a right match takes at least {' or '.join(ways)}"
