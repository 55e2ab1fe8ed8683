"""Two photos by their local features: the second look."""

from __future__ import annotations

from embedder.matching import reranker
from embedder.matching.feature_file import VERSION, from_bytes, to_bytes
from embedder.matching.local_features import QUERY, REFERENCE, Details, from_photo
from embedder.matching.near_duplicates import Cells, cells, cells_of_photo, is_same
from embedder.matching.reranker import Candidate
from embedder.matching.verification import Match, verify, verify_many
from embedder.matching.visualization import draw, to_jpeg
from embedder.matching.vocabulary import Vocabulary, Words
from embedder.matching.vocabulary_learning import learn_from

__all__ = [
    "QUERY",
    "REFERENCE",
    "VERSION",
    "Candidate",
    "Cells",
    "Details",
    "Match",
    "Vocabulary",
    "Words",
    "cells",
    "cells_of_photo",
    "draw",
    "from_bytes",
    "from_photo",
    "is_same",
    "learn_from",
    "reranker",
    "to_bytes",
    "to_jpeg",
    "verify",
    "verify_many",
]
