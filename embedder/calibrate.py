"""Thresholds for an answer: how high a score and how wide a margin make a match.

Every query is asked twice: with its SKU in the gallery, where a match should name it, and with its SKU taken out, where
it stands for a product that is none of ours and no match should come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedder.bundle import Thresholds
from embedder.errors import DataError
from embedder.evaluate import Embedded, sku_scores

Floats = npt.NDArray[np.float32]
#: Margins that are tried.
MARGINS = np.round(np.arange(0.0, 0.205, 0.005), 4)


@dataclass(frozen=True)
class Rates:
    """Measured on the very queries that the thresholds were fitted on.

    matched: answered `match` with the right SKU. wrong: share of wrong SKUs among all answered `match`. false_accept:
    answered `match` although the SKU was taken out; unknown_told: answered `unknown` then.
    """

    queries: int
    matched: float
    wrong: float
    false_accept: float
    unknown_told: float
    score: float
    margin: float


@dataclass(frozen=True)
class _Asked:
    """Best score, margin over the next SKU, whether the best is right (its SKU present), weight: [queries] each."""

    score: Floats
    margin: Floats
    right: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]

    def share(self, which: npt.NDArray[np.bool_]) -> float:
        """Weighted share of the queries that these are."""
        return float(self.weight[which].sum() / self.weight.sum())


def _ask(pairs: list[tuple[Embedded, Embedded]], *, present: bool) -> _Asked:
    scores, margins, rights, weights = [], [], [], []
    for gallery, queries in pairs:
        table, names = sku_scores(queries.vectors, gallery.vectors, gallery.skus)
        if len(names) < 3:
            raise DataError("Calibration needs at least three SKUs in each gallery.")
        column = {name: i for i, name in enumerate(names)}
        own = np.array([column.get(sku, -1) for sku in queries.skus])
        rows = np.flatnonzero(own >= 0)
        table, own = table[rows], own[rows]
        if not present:
            table[np.arange(len(rows)), own] = -1.0
        two = np.partition(table, -2, axis=1)[:, -2:]
        scores.append(two[:, 1])
        margins.append(two[:, 1] - two[:, 0])
        rights.append(table.argmax(axis=1) == own)
        weights.append(np.full(len(rows), 1 / max(1, len(rows))))
    return _Asked(np.concatenate(scores), np.concatenate(margins), np.concatenate(rights), np.concatenate(weights))


def calibrate(pairs: list[tuple[Embedded, Embedded]], *, false_accept: float, wrong: float) -> tuple[Thresholds, Rates]:
    """(gallery, queries) pairs -> thresholds with the most right answers while both rates stay below the stated ones.

    A right answer is a match that names the SKU, or `unknown` with the SKU taken out. Every pair weighs the same.

    Raises DataError when no query's SKU is in its gallery, or when no thresholds that match at all keep to the rates.
    """
    known, unknown = _ask(pairs, present=True), _ask(pairs, present=False)
    if not len(known.score):
        raise DataError("No query is of a SKU that its gallery holds.")
    best: Rates | None = None
    # Rounded up, and before the rates are taken: the rates are those of the very thresholds that the bundle will hold,
    # and the highest is above every unknown product's score.
    tried = np.quantile(unknown.score.astype(np.float64), np.linspace(0.5, 1.0, 101))
    levels = np.unique(np.round(np.ceil(tried * 1e4 + 1e-6) / 1e4, 4))
    for margin in MARGINS:
        for score in levels:
            accepted = (known.score >= score) & (known.margin >= margin)
            rates = Rates(
                queries=len(known.score),
                matched=known.share(accepted & known.right),
                wrong=known.share(accepted & ~known.right) / max(1e-9, known.share(accepted)),
                false_accept=unknown.share((unknown.score >= score) & (unknown.margin >= margin)),
                unknown_told=unknown.share(unknown.score < score),
                score=float(score),
                margin=float(margin),
            )
            kept = rates.matched > 0 and rates.false_accept <= false_accept and rates.wrong <= wrong
            if kept and _better(rates, best):
                best = rates
    if best is None:
        raise DataError("No thresholds keep both rates: allow more by --false-accept or --wrong.")
    return Thresholds(best.score, best.margin, false_accept), best


def _better(one: Rates, other: Rates | None) -> bool:
    """Right answers count the same, whether a product is matched or an unknown one is told apart."""
    return other is None or one.matched + one.unknown_told > other.matched + other.unknown_told
