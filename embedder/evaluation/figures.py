"""The figures of an evaluation, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from embedder.evaluation import metrics


@dataclass(frozen=True)
class Recall:
    """Top-1 and top-5 accuracy with `references` photos of each SKU (None: all), evenly spread over the names."""

    references: int | None
    photos: int
    top1: float
    top5: float


@dataclass(frozen=True)
class Confused:
    """Queries of SKU `true` answered as `answered`: their count, the highest scoring one, and its nearest photo."""

    true: str
    answered: str
    count: int
    query: str
    photo: str


@dataclass(frozen=True)
class Rejection:
    """Open-set rejection, independent of the thresholds: how well scores separate known from unknown queries (Figures).

    auroc (metrics.auroc) and false_accepts (metrics.false_accepts at `true_accepts`) by the best SKU's cosine alone;
    `_margin`: by that cosine plus its margin over the second SKU's.
    """

    auroc: float
    auroc_margin: float
    true_accepts: float
    false_accepts: float
    false_accepts_margin: float


@dataclass(frozen=True)
class Decided:
    """Decision rates at the bundle's thresholds; `known` is None when no query's SKU is in the gallery."""

    score: float
    margin: float
    known: metrics.DecisionRates | None
    unknown: metrics.DecisionRates


@dataclass(frozen=True)
class Figures:
    """The results table.

    A SKU's score is the cosine of the query to its nearest photo; SKUs are ranked by score. A query is known when the
    gallery holds its SKU; every query also counts as unknown, scored with its own SKU held out of the gallery.

    top1, top5: top-k accuracy over all queries, including those whose SKU the gallery lacks.
    top1_degraded, top5_degraded: the same for queries after datasets.degrade, the gallery unchanged; None when not
    requested.
    mean_average_precision: over gallery photos, see metrics.mean_average_precision; None without a known query.
    recall_by_references: top1 and top5 with 1, 3 and 8 photos of each SKU, as far as any SKU has more, and with all.
    per_sku: accuracy, worst first; share = right / queries, 0 for a SKU that the gallery lacks.
    confused: wrong answers to known queries by pair of SKUs, the most frequent first, at most PAIRS.
    rejection, decided: None when the gallery has fewer than three SKUs (with one held out there is no second);
    rejection is None without a known query, too.
    seconds_gallery, seconds_queries: embedding on all cores, and for the queries the search.
    milliseconds_embedding: embedding time per photo, reading and decoding included, in parallel on all cores.
    milliseconds_search: search time per query, one matrix product with the whole gallery.
    broken: a line for each photo that could not be used.
    """

    top1: float
    top5: float
    queries: int
    gallery: int
    skus: int
    queries_without_sku: int
    seconds_gallery: float
    seconds_queries: float
    bundle: str
    broken: list[str]
    protocol: str
    milliseconds_embedding: float
    milliseconds_search: float
    mean_average_precision: float | None
    recall_by_references: list[Recall]
    per_sku: list[metrics.SkuAccuracy]
    confused: list[Confused]
    rejection: Rejection | None
    decided: Decided | None
    top1_degraded: float | None
    top5_degraded: float | None

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Evaluation:
    """The figures, and the data of a report's plots.

    known_scores, unknown_scores: best cosine of each known and each unknown query, float32; empty where Figures.decided
    is None. `sample` is a query photo, `seed` that of the degradation.
    """

    figures: Figures
    known_scores: metrics.Floats
    unknown_scores: metrics.Floats
    sample: Path
    seed: int
