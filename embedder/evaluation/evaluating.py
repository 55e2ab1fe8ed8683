"""Evaluation: embeds a gallery of references and queries, and computes every figure of the results table."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedder import datasets
from embedder.bundle import Thresholds
from embedder.datasets import Photos, split_references
from embedder.evaluation import metrics
from embedder.evaluation.embedding import Embedded, embed_photos
from embedder.evaluation.figures import Confused, Decided, Evaluation, Figures, Recall, Rejection
from embedder.evaluation.metrics import sku_scores, top_k_accuracy
from embedder.evaluation.protocols import Protocol, two_sets
from embedder.inference import Embedder, Vectors

#: Numbers of reference photos of each SKU for which recall is reported, besides all of them.
REFERENCES = (1, 3, 8)
#: True accept rate at which the false accept rate is reported.
TRUE_ACCEPTS = 0.95
#: Most confused pairs of SKUs that are listed.
PAIRS = 20


def evaluate(embedder: Embedder, gallery: Path, queries: Path) -> Figures:
    """Evaluate the photos below `queries` against those below `gallery`; folders name the SKUs. Raises DataError."""
    return evaluate_protocol(embedder, two_sets(gallery, queries)).figures


def evaluate_protocol(embedder: Embedder, protocol: Protocol, *, degraded: bool = False, seed: int = 1) -> Evaluation:
    """Embed the gallery and queries of a protocol and compute every figure; `degraded` embeds degraded queries, too.

    `seed` draws the noise of the degradation. Raises DataError when either has no usable photo.
    """
    known, asked = embed_photos(embedder, protocol.known), embed_photos(embedder, protocol.asked)
    began = time.perf_counter()
    scores, names = sku_scores(asked.vectors, known.vectors, known.skus)
    top1, top5 = top_k_accuracy(scores, names, asked.skus)
    searching = time.perf_counter() - began
    column = {name: place for place, name in enumerate(names)}
    own = np.array([column.get(sku, -1) for sku in asked.skus])
    worse = _degraded(embedder, known, asked, seed) if degraded else (None, None)
    rejection, decided, known_scores, unknown_scores = _unknown(scores, own, embedder.bundle.thresholds)
    figures = Figures(
        top1=top1,
        top5=top5,
        queries=len(asked.skus),
        gallery=len(known.skus),
        skus=len(names),
        queries_without_sku=int((own < 0).sum()),
        seconds_gallery=known.seconds,
        seconds_queries=asked.seconds + searching,
        bundle=embedder.bundle.id,
        broken=known.broken + asked.broken,
        protocol=protocol.says,
        milliseconds_embedding=1000 * (known.seconds + asked.seconds) / (len(known.skus) + len(asked.skus)),
        milliseconds_search=1000 * searching / len(asked.skus),
        mean_average_precision=metrics.mean_average_precision(asked.vectors, asked.skus, known.vectors, known.skus),
        recall_by_references=[*_recalls(known, asked), Recall(None, len(known.skus), top1, top5)],
        per_sku=metrics.per_sku(asked.skus, [names[place] for place in scores.argmax(axis=1)]),
        confused=_confused(known, asked, scores, names, np.flatnonzero(own >= 0)),
        rejection=rejection,
        decided=decided,
        top1_degraded=worse[0],
        top5_degraded=worse[1],
    )
    return Evaluation(figures, known_scores, unknown_scores, asked.paths[0], seed)


def _degraded(embedder: Embedder, known: Embedded, asked: Embedded, seed: int) -> tuple[float, float]:
    def embed(path: Path) -> Vectors:
        return embedder.embed_bytes(datasets.degrade(path.read_bytes(), seed))

    scores, names = sku_scores(np.stack(list(embedder.map(embed, asked.paths))), known.vectors, known.skus)
    return top_k_accuracy(scores, names, asked.skus)


def _recalls(known: Embedded, asked: Embedded) -> Iterable[Recall]:
    photos: Photos = {}
    for path, sku in zip(known.paths, known.skus, strict=True):
        photos.setdefault(sku, []).append(path)
    most = max(len(paths) for paths in photos.values())
    for references in REFERENCES:
        if references >= most:
            return
        chosen = {path for paths in split_references(photos, references)[0].values() for path in paths}
        rows = [row for row, path in enumerate(known.paths) if path in chosen]
        scores, names = sku_scores(asked.vectors, known.vectors[rows], [known.skus[row] for row in rows])
        yield Recall(references, len(rows), *top_k_accuracy(scores, names, asked.skus))


def _confused(
    known: Embedded, asked: Embedded, scores: metrics.Floats, names: list[str], rows: npt.NDArray[np.intp]
) -> list[Confused]:
    """The most confused pairs among the queries in these rows."""
    answered = [names[place] for place in scores[rows].argmax(axis=1)]
    pairs = metrics.confusions([asked.skus[row] for row in rows], answered, scores[rows].max(axis=1, initial=-1.0))
    found: list[Confused] = []
    for true, answer, count, place in pairs[:PAIRS]:
        row = rows[place]
        photos = [i for i, sku in enumerate(known.skus) if sku == answer]
        best = photos[int((known.vectors[photos] @ asked.vectors[row]).argmax())]
        found.append(Confused(true, answer, count, str(asked.paths[row]), str(known.paths[best])))
    return found


def _unknown(
    scores: metrics.Floats, own: npt.NDArray[np.intp], thresholds: Thresholds
) -> tuple[Rejection | None, Decided | None, metrics.Floats, metrics.Floats]:
    """Scores [queries, skus], each query's own column (-1: none) -> figures of open-set rejection, and best scores."""
    none = np.empty(0, np.float32)
    if scores.shape[1] < 3:
        return None, None, none, none
    limits = {"score": thresholds.score, "margin": thresholds.margin}
    unknown = metrics.answer(metrics.hold_out(scores, own))
    refused = metrics.decisions(unknown, np.full(len(own), -1), **limits)
    rows = np.flatnonzero(own >= 0)
    if not len(rows):
        return None, Decided(**limits, known=None, unknown=refused), none, unknown.score
    known = metrics.answer(scores[rows])
    both, both_out = known.score + known.margin, unknown.score + unknown.margin
    rejection = Rejection(
        auroc=metrics.auroc(known.score, unknown.score),
        auroc_margin=metrics.auroc(both, both_out),
        true_accepts=TRUE_ACCEPTS,
        false_accepts=metrics.false_accepts(known.score, unknown.score, TRUE_ACCEPTS),
        false_accepts_margin=metrics.false_accepts(both, both_out, TRUE_ACCEPTS),
    )
    decided = Decided(**limits, known=metrics.decisions(known, own[rows], **limits), unknown=refused)
    return rejection, decided, known.score, unknown.score
