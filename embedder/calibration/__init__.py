"""Calibration of a bundle's thresholds and re-ranking weights, cross-validated over SKUs."""

from __future__ import annotations

from embedder.calibration.calibrating_reranker import calibrate_reranker
from embedder.calibration.calibrating_thresholds import calibrate_thresholds
from embedder.calibration.rates import Pair, read_alone, read_pair

__all__ = ["Pair", "calibrate_reranker", "calibrate_thresholds", "read_alone", "read_pair"]
