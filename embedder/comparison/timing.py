"""Inference time of several networks, interleaved."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from embedder.comparison.table import ROUNDS, WARM_UPS
from embedder.inference import Embedder


def measure_milliseconds(bundles: Sequence[Path]) -> list[float]:
    """Median milliseconds a photo of each bundle: LiteRT, one single-threaded interpreter.

    In rounds, one network after the other, so that other load on the machine slows all alike.
    """
    embedders = [Embedder.open(path, workers=1) for path in bundles]
    photos = [
        np.random.default_rng(0).integers(0, 256, (embedder.bundle.size, embedder.bundle.size, 3), np.uint8)
        for embedder in embedders
    ]
    for embedder, photo in zip(embedders, photos, strict=True):
        for _ in range(WARM_UPS):
            embedder.embed_one(photo)
    times = np.empty((ROUNDS, len(embedders)))
    for row in times:
        for place, (embedder, photo) in enumerate(zip(embedders, photos, strict=True)):
            embedder.embed_one(photo)  # untimed: the previous network has filled the caches with its own weights
            began = time.perf_counter()
            embedder.embed_one(photo)
            row[place] = 1000 * (time.perf_counter() - began)
    for embedder in embedders:
        embedder.close()
    return [float(median) for median in np.median(times, axis=0)]
