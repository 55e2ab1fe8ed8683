"""Inference with a bundle: photos -> unit vectors, local features and visual words."""

from __future__ import annotations

from embedder.inference import litert
from embedder.inference.embedder import Embedder, PhotoFeatures, Step, Vectors
from embedder.inference.litert import check_model
from embedder.inference.print_probe import PrintProbe

__all__ = ["Embedder", "PhotoFeatures", "PrintProbe", "Step", "Vectors", "check_model", "litert"]
