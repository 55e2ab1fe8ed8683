"""Image decoding and preprocessing: bytes -> upright pixels, the same for training and serving."""

from __future__ import annotations

from embedder.images import quality
from embedder.images.decoding import (
    MAX_BYTES,
    MAX_REDUCTION,
    MIN_SIDE,
    Limits,
    Pixels,
    decode,
    decode_each,
    dimensions,
)
from embedder.images.file_kinds import HEAD, decoded_format, other_format
from embedder.images.plain_ground import plain_ground
from embedder.images.quality import faults, measure
from embedder.images.views import fit, load, shrink, view

__all__ = [
    "HEAD",
    "MAX_BYTES",
    "MAX_REDUCTION",
    "MIN_SIDE",
    "Limits",
    "Pixels",
    "decode",
    "decode_each",
    "decoded_format",
    "dimensions",
    "faults",
    "fit",
    "load",
    "measure",
    "other_format",
    "plain_ground",
    "quality",
    "shrink",
    "view",
]
