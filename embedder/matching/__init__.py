"""Matching of two photos by local features: near-duplicates, and re-ranking (the second look)."""

from __future__ import annotations

from embedder.matching import reranker
from embedder.matching.appearance import Appearance, compare, compare_coarse, picture
from embedder.matching.feature_file import VERSION, from_bytes, to_bytes
from embedder.matching.local_features import QUERY, REFERENCE, LocalFeatures, detect, extract
from embedder.matching.near_duplicates import ColorGrid, color_grid, color_grid_of_photo, is_same_picture
from embedder.matching.reranker import Candidate
from embedder.matching.verification import Agreement, verify, verify_many
from embedder.matching.visualization import draw_agreement, to_jpeg
from embedder.matching.vocabulary import VisualWords, Vocabulary
from embedder.matching.vocabulary_learning import train_from_photos

__all__ = [
    "QUERY",
    "REFERENCE",
    "VERSION",
    "Agreement",
    "Appearance",
    "Candidate",
    "ColorGrid",
    "LocalFeatures",
    "VisualWords",
    "Vocabulary",
    "color_grid",
    "color_grid_of_photo",
    "compare",
    "compare_coarse",
    "detect",
    "draw_agreement",
    "extract",
    "from_bytes",
    "is_same_picture",
    "picture",
    "reranker",
    "to_bytes",
    "to_jpeg",
    "train_from_photos",
    "verify",
    "verify_many",
]
