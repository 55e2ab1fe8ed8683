"""Inference with a bundle: photos -> unit vectors, local features and visual words."""

from __future__ import annotations

from embedder.bundle import META_FILE, MODEL_FILE, WORDS_FILE
from embedder.inference import litert, print_probe, self_test
from embedder.inference.embedder import Embedder, PhotoFeatures, Step, Vectors
from embedder.inference.print_probe import PrintProbe
from embedder.inference.self_test import check_model

#: Files of a bundle that serving reads; others are for training, or for people.
SERVING_FILES = (META_FILE, MODEL_FILE, WORDS_FILE, print_probe.FILE)

__all__ = [
    "SERVING_FILES",
    "Embedder",
    "PhotoFeatures",
    "PrintProbe",
    "Step",
    "Vectors",
    "check_model",
    "litert",
    "self_test",
]
