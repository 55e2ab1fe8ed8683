"""Metrics on arrays alone: SKU scores, top-k accuracy, mean average precision, open-set rejection."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedder import ranking

Floats = npt.NDArray[np.float32]
#: Queries ranked at once: a table of all queries by all gallery photos may not fit into memory.
CHUNK = 256


def sku_scores(
    queries: Floats, gallery: Floats, gallery_skus: list[str], left_out: npt.NDArray[np.bool_] | None = None
) -> tuple[Floats, list[str]]:
    """Cosine of each query to the best photo of each SKU: float32 [queries, skus], and the SKUs, sorted.

    left_out: bool [queries, gallery], photos that do not count for a query; -1 for a SKU that has no other.
    """
    names, owner = np.unique(np.array(gallery_skus), return_inverse=True)
    order = np.argsort(owner, kind="stable")  # photos of one SKU are adjacent, so that each SKU is one slice
    starts = np.searchsorted(owner[order], np.arange(len(names)))
    cosines = queries @ gallery[order].T
    if left_out is not None:
        cosines[left_out[:, order]] = -1.0
    best = np.maximum.reduceat(cosines, starts, axis=1)
    return best, [str(name) for name in names]


def top_k_accuracy(scores: Floats, names: list[str], wanted: list[str]) -> tuple[float, float]:
    """Scores [queries, skus] of the SKUs `names`, each query's true SKU -> top-1 and top-5 accuracy."""
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    hits = np.array(names)[ranked] == np.array(wanted)[:, np.newaxis]
    return float(hits[:, 0].mean()), float(hits.any(axis=1).mean())


def mean_average_precision(
    queries: Floats, wanted: Sequence[str], gallery: Floats, gallery_skus: Sequence[str]
) -> float | None:
    """Mean average precision over the queries whose SKU the gallery holds; None when it holds none.

    queries [n, dim] and gallery [m, dim] are unit vectors. A query ranks the gallery photos by cosine, ties in the
    gallery's order; relevant are the photos of its SKU. Precision at rank r is the share of relevant photos among the
    first r; the average precision is its mean over the ranks of all relevant photos.
    """
    skus = np.array(gallery_skus)
    known = set(gallery_skus)
    rows = [row for row, sku in enumerate(wanted) if sku in known]
    averages: list[float] = []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        for row, cosines in zip(part, queries[part] @ gallery.T, strict=True):
            ranks = np.flatnonzero(skus[np.argsort(-cosines, kind="stable")] == wanted[row]) + 1
            averages.append(float(np.mean(np.arange(1, len(ranks) + 1) / ranks)))
    return float(np.mean(averages)) if averages else None


@dataclass(frozen=True)
class Answers:
    """Of each query: the best SKU's column, its score, and its margin over the second SKU; [queries] each."""

    best: npt.NDArray[np.intp]
    score: Floats
    margin: Floats


def answer(scores: Floats) -> Answers:
    """Scores [queries, skus] of at least two SKUs -> the answers."""
    two = np.partition(scores, -2, axis=1)[:, -2:]
    return Answers(scores.argmax(axis=1), two[:, 1], two[:, 1] - two[:, 0])


def hold_out(scores: Floats, own: npt.NDArray[np.intp]) -> Floats:
    """Scores [queries, skus] with each query's own SKU (a column, or -1 for none) held out of the gallery."""
    out = scores.copy()
    rows = np.flatnonzero(own >= 0)
    out[rows, own[rows]] = -1.0  # the lowest possible cosine
    return out


def auroc(known: Floats, unknown: Floats) -> float:
    """Area under the ROC curve: probability that a known score [n] is above an unknown one [m], ties counting half.

    By the Mann-Whitney U statistic: the rank sum of the known scores, less its minimum, divided by n x m.
    """
    _, place, counts = np.unique(np.concatenate([known, unknown]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # equal scores share the mean of their ranks
    n, m = len(known), len(unknown)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def false_accepts(known: Floats, unknown: Floats, true_accepts: float) -> float:
    """Share of unknown scores [m] at or above the highest level that a share `true_accepts` of known [n] reaches."""
    reach = math.ceil(round(true_accepts * len(known), 6))  # rounded: 0.95 x 20 must not become 20 by a rounding error
    level = np.sort(known)[len(known) - max(1, reach)]
    return float((unknown >= level).mean())


@dataclass(frozen=True)
class DecisionRates:
    """Decisions as shares of `queries`; `right` is the share of matches with the query's SKU (0 for unknown ones)."""

    queries: int
    match: float
    right: float
    ambiguous: float
    unknown: float


def decisions(answers: Answers, own: npt.NDArray[np.intp], *, score: float, margin: float) -> DecisionRates:
    """Answers and each query's own column (-1: none) -> decision rates, by the catalog's rule (ranking.decide).

    `unknown` below the score; `ambiguous` when the second SKU is within the margin; else `match`.
    """
    seen = answers.score >= score
    match = ranking.is_match(answers.score, answers.margin, score, margin)
    return DecisionRates(
        queries=len(own),
        match=float(match.mean()),
        right=float((match & (answers.best == own)).mean()),
        ambiguous=float((seen & ~match).mean()),
        unknown=float((~seen).mean()),
    )


@dataclass(frozen=True)
class SkuAccuracy:
    """Accuracy over the queries of a SKU; share = right / queries."""

    sku: str
    queries: int
    right: int
    share: float


def per_sku(wanted: Sequence[str], answered: Sequence[str]) -> list[SkuAccuracy]:
    """Each query's true SKU and the one answered -> the accuracy of each SKU, the worst first."""
    asked = Counter(wanted)
    right = Counter(sku for sku, answer in zip(wanted, answered, strict=True) if sku == answer)
    figures = [SkuAccuracy(sku, count, right[sku], right[sku] / count) for sku, count in asked.items()]
    return sorted(figures, key=lambda figure: (figure.share, -figure.queries, figure.sku))


def confusions(wanted: Sequence[str], answered: Sequence[str], score: Floats) -> list[tuple[str, str, int, int]]:
    """Wrong answers by pair of SKUs: (true, answered, count, row of the highest scoring query), most frequent first."""
    rows: dict[tuple[str, str], list[int]] = {}
    for row, (true, answer) in enumerate(zip(wanted, answered, strict=True)):
        if true != answer:
            rows.setdefault((true, answer), []).append(row)
    pairs = [(*pair, len(found), max(found, key=lambda row: float(score[row]))) for pair, found in rows.items()]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[:2]))
