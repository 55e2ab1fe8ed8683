"""Validation during training: top-1 accuracy on held-out photos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from embedder.datasets import Photos
from embedder.errors import DataError
from embedder.training import batches


def make_validation(gallery: Photos, queries: Photos, size: int) -> Callable[[Any], dict[str, float]]:
    """A `validate` for `Trainer.run`: top-1 accuracy of the queries, by the nearest gallery photo (cosine).

    Raises DataError when one of them holds no photo, ImageError for a photo that can't be used.
    """
    sets: list[tuple[Any, Any]] = []
    for photos, what in ((gallery, "judge against"), (queries, "judge by")):
        named = [(sku, path) for sku, paths in photos.items() for path in paths]
        if not named:
            raise DataError(f"There is no photo to {what}.")
        sets.append((np.stack([batches.read(path, size) for _, path in named]), np.array([sku for sku, _ in named])))

    def validate(network: Any) -> dict[str, float]:
        (known, known_skus), (asked, asked_skus) = [
            (
                np.concatenate(
                    [
                        network(pixels[i : i + 64].astype(np.float32), training=False).numpy()
                        for i in range(0, len(pixels), 64)
                    ]
                ),
                skus,
            )
            for pixels, skus in sets
        ]
        return {"val_top1": float((known_skus[(asked @ known.T).argmax(axis=1)] == asked_skus).mean())}

    return validate
