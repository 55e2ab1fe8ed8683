"""What is measured, on arrays alone: SKUs' scores, shares right, average precision, known against unknown."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedder import ranking

Floats = npt.NDArray[np.float32]
#: Queries that are ranked at once: a table of all queries by all gallery photos may not fit into memory.
CHUNK = 256


def sku_scores(queries: Floats, gallery: Floats, gallery_skus: list[str]) -> tuple[Floats, list[str]]:
    """Cosine of each query to the best photo of each SKU: float32 [queries, skus], and the SKUs, sorted."""
    names, owner = np.unique(np.array(gallery_skus), return_inverse=True)
    order = np.argsort(owner, kind="stable")  # photos of one SKU side by side, so that each SKU is one slice
    starts = np.searchsorted(owner[order], np.arange(len(names)))
    best = np.maximum.reduceat(queries @ gallery[order].T, starts, axis=1)
    return best, [str(name) for name in names]


def top_k_accuracy(scores: Floats, names: list[str], wanted: list[str]) -> tuple[float, float]:
    """Scores [queries, skus] of the SKUs `names`, each query's right SKU -> shares right first, and in the first 5."""
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    hits = np.array(names)[ranked] == np.array(wanted)[:, np.newaxis]
    return float(hits[:, 0].mean()), float(hits.any(axis=1).mean())


def mean_average_precision(
    queries: Floats, wanted: Sequence[str], gallery: Floats, gallery_skus: Sequence[str]
) -> float | None:
    """Mean, over the queries whose SKU the gallery holds, of the average precision; None when it holds none.

    A query [dim] ranks every gallery photo [dim] by cosine, best first, equal ones in the gallery's order. Relevant are
    the photos of its SKU. At each relevant photo's rank r, precision is the relevant ones among the first r, divided by
    r; the average precision is the mean of these over all relevant photos.
    """
    skus = np.array(gallery_skus)
    held = set(gallery_skus)
    rows = [row for row, sku in enumerate(wanted) if sku in held]
    averages: list[float] = []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        for row, cosines in zip(part, queries[part] @ gallery.T, strict=True):
            ranks = np.flatnonzero(skus[np.argsort(-cosines, kind="stable")] == wanted[row]) + 1
            averages.append(float(np.mean(np.arange(1, len(ranks) + 1) / ranks)))
    return float(np.mean(averages)) if averages else None


@dataclass(frozen=True)
class Answers:
    """To each query: the best SKU's column, its score, and its margin over the second SKU; [queries] each."""

    best: npt.NDArray[np.intp]
    score: Floats
    margin: Floats


def answer(scores: Floats) -> Answers:
    """Scores [queries, skus] of two SKUs and more -> the answers."""
    two = np.partition(scores, -2, axis=1)[:, -2:]
    return Answers(scores.argmax(axis=1), two[:, 1], two[:, 1] - two[:, 0])


def hold_out(scores: Floats, own: npt.NDArray[np.intp]) -> Floats:
    """Scores [queries, skus] as if each query's own SKU, a column or -1 for none, were not in the gallery."""
    out = scores.copy()
    rows = np.flatnonzero(own >= 0)
    out[rows, own[rows]] = -1.0  # the lowest cosine that there is
    return out


def auroc(known: Floats, unknown: Floats) -> float:
    """Area under the ROC curve: how often a known product's score [n] is above an unknown one's [m], ties half.

    By ranks (Mann-Whitney): the ranks of the known, less the least that they can sum to, of all n x m pairs.
    """
    _, place, counts = np.unique(np.concatenate([known, unknown]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # equal scores share the mean of their ranks
    n, m = len(known), len(unknown)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def false_accepts(known: Floats, unknown: Floats, true_accepts: float) -> float:
    """Share of the unknown scores [m] at or above the highest level that this share of the known ones [n] reaches."""
    reach = math.ceil(round(true_accepts * len(known), 6))  # rounded: 0.95 x 20 must not become 20 by a last bit
    level = np.sort(known)[len(known) - max(1, reach)]
    return float((unknown >= level).mean())


@dataclass(frozen=True)
class DecisionRates:
    """Decisions as shares of `queries`; `right` are the matches that name the query's SKU (none of an unknown one)."""

    queries: int
    match: float
    right: float
    ambiguous: float
    unknown: float


def decisions(answers: Answers, own: npt.NDArray[np.intp], *, score: float, margin: float) -> DecisionRates:
    """Answers and each query's own column (-1: none) -> how they are decided, as the catalog does it.

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
    """How many of the queries of a SKU are answered right; share = right / queries."""

    sku: str
    queries: int
    right: int
    share: float


def per_sku(wanted: Sequence[str], answered: Sequence[str]) -> list[SkuAccuracy]:
    """Each query's right SKU and the one answered -> the accuracy of each SKU asked, the worst first."""
    asked = Counter(wanted)
    right = Counter(sku for sku, answer in zip(wanted, answered, strict=True) if sku == answer)
    figures = [SkuAccuracy(sku, count, right[sku], right[sku] / count) for sku, count in asked.items()]
    return sorted(figures, key=lambda one: (one.share, -one.queries, one.sku))


def confusions(wanted: Sequence[str], answered: Sequence[str], score: Floats) -> list[tuple[str, str, int, int]]:
    """Wrong answers by pair of SKUs: (true, answered, count, row of the query that scored highest), the most first."""
    rows: dict[tuple[str, str], list[int]] = {}
    for row, (true, answer) in enumerate(zip(wanted, answered, strict=True)):
        if true != answer:
            rows.setdefault((true, answer), []).append(row)
    pairs = [(*pair, len(found), max(found, key=lambda row: float(score[row]))) for pair, found in rows.items()]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[:2]))
