"""Milliseconds of one photo, of networks in turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from embedder.comparison.table import ROUNDS, WARM_UPS
from embedder.inference import Embedder


def measure_milliseconds(bundles: Sequence[Path]) -> list[float]:
    """Median milliseconds of each bundle for a photo: LiteRT, one interpreter of one thread.

    In rounds, one network after the other, so that whatever else the machine does slows all alike.
    """
    embedders = [Embedder.open(path, workers=1) for path in bundles]
    photos = [
        np.random.default_rng(0).integers(0, 256, (one.bundle.size, one.bundle.size, 3), np.uint8) for one in embedders
    ]
    for embedder, photo in zip(embedders, photos, strict=True):
        for _ in range(WARM_UPS):
            embedder.embed_one(photo)
    times = np.empty((ROUNDS, len(embedders)))
    for row in times:
        for place, (embedder, photo) in enumerate(zip(embedders, photos, strict=True)):
            embedder.embed_one(photo)  # untimed: the network before has filled the caches with its own weights
            began = time.perf_counter()
            embedder.embed_one(photo)
            row[place] = 1000 * (time.perf_counter() - began)
    for embedder in embedders:
        embedder.close()
    return [float(one) for one in np.median(times, axis=0)]
