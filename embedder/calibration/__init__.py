"""Calibration of a bundle's thresholds and re-ranking weights, cross-validated over SKUs."""

from __future__ import annotations

from embedder.calibration.calibrating_reranker import calibrate_reranker
from embedder.calibration.calibrating_thresholds import calibrate_thresholds
from embedder.calibration.rates import Pair, in_low_quality, read_alone, read_pair
from embedder.calibration.same_visit import leave_out_same_visit

__all__ = [
    "Pair",
    "calibrate_reranker",
    "calibrate_thresholds",
    "in_low_quality",
    "leave_out_same_visit",
    "read_alone",
    "read_pair",
]
