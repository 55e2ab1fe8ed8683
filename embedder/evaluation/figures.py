"""The figures of an evaluation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from embedder.evaluation import metrics


@dataclass(frozen=True)
class Recall:
    """top1, top5 with so many reference photos of each SKU (None: all), evenly spread over the names."""

    references: int | None
    photos: int
    top1: float
    top5: float


@dataclass(frozen=True)
class Confused:
    """Queries of `true` answered `answered`: how many, the one that scored highest, and the photo it was taken for."""

    true: str
    answered: str
    count: int
    query: str
    photo: str


@dataclass(frozen=True)
class Rejection:
    """How far apart known products' scores are from unknown ones' (see Figures), whatever the thresholds.

    auroc (measures.auroc) and false_accepts (measures.false_accepts at `true_accepts`) by the best SKU's cosine alone;
    `_margin`: by that cosine plus its margin over the second SKU's.
    """

    auroc: float
    auroc_margin: float
    true_accepts: float
    false_accepts: float
    false_accepts_margin: float


@dataclass(frozen=True)
class Decided:
    """Answers at the bundle's thresholds: `known` is None when no query's SKU is in the gallery."""

    score: float
    margin: float
    known: metrics.DecisionRates | None
    unknown: metrics.DecisionRates


@dataclass(frozen=True)
class Figures:
    """The results table.

    A SKU's score is the cosine of the query to the best of its photos; the SKUs in the order of their scores are the
    answer. A query is known when the gallery holds its SKU; every query is unknown when it is asked again with its SKU
    taken out of the gallery.

    top1, top5: share of all queries (those whose SKU the gallery lacks, too) answered right in the first k SKUs.
    top1_degraded, top5_degraded: the same for the queries after degrade.degrade, the gallery as it was; None when it
    was not asked for.
    mean_average_precision: over gallery photos, see measures.mean_average_precision; None without a known query.
    recall_by_references: top1 and top5 with 1, 3 and 8 photos of each SKU, as far as any SKU has more, and with all.
    per_sku: the worst first; share = right / queries, and a SKU that the gallery lacks has none right.
    confused: wrong answers to known queries by pair of SKUs, the most frequent first, at most PAIRS.
    rejection, decided: None when the gallery has fewer than three SKUs (none would be second with one taken out);
    rejection is None without a known query, too.
    seconds_gallery, seconds_queries: embedding on all cores, and for the queries the search.
    milliseconds_embedding: a photo's share of the time that embedding took, reading and decoding included, on all
    cores side by side. milliseconds_search: a query's share of the search, one matrix product with the whole gallery.
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
    """The figures, and what a report draws beside them.

    known_scores, unknown_scores: best cosine of each known and each unknown query, float32; empty where Figures.decided
    is None. `sample` is a query photo, `seed` the one that it is degraded by.
    """

    figures: Figures
    known_scores: metrics.Floats
    unknown_scores: metrics.Floats
    sample: Path
    seed: int
