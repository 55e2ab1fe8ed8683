"""Inference with a bundle: photos -> unit vectors, local features and visual words."""

from __future__ import annotations

from embedder.inference.embedder import Embedder, PhotoFeatures, Vectors

__all__ = ["Embedder", "PhotoFeatures", "Vectors"]
