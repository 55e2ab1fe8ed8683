"""Evaluation of a bundle: protocols, metrics, report."""

from __future__ import annotations

from embedder.evaluation import metrics, page, protocols
from embedder.evaluation.embedding import Embedded, embed_folder, embed_photos
from embedder.evaluation.evaluating import evaluate, evaluate_protocol
from embedder.evaluation.figures import Evaluation, Figures

__all__ = [
    "Embedded",
    "Evaluation",
    "Figures",
    "embed_folder",
    "embed_photos",
    "evaluate",
    "evaluate_protocol",
    "metrics",
    "page",
    "protocols",
]
