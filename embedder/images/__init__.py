"""Image decoding and preprocessing: bytes -> upright pixels, the same for training and serving."""

from __future__ import annotations

from embedder.images import quality
from embedder.images.decoding import MAX_BYTES, MAX_REDUCTION, MIN_SIDE, Limits, Pixels, decode, dimensions
from embedder.images.plain_ground import plain_ground
from embedder.images.quality import faults, measure
from embedder.images.views import fit, load, shrink, view

__all__ = [
    "MAX_BYTES",
    "MAX_REDUCTION",
    "MIN_SIDE",
    "Limits",
    "Pixels",
    "decode",
    "dimensions",
    "faults",
    "fit",
    "load",
    "measure",
    "plain_ground",
    "quality",
    "shrink",
    "view",
]
