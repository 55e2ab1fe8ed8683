"""The Dense layer in closed form: the principal components of the pooled features, so that their cosines stay.

A Dense layer that learns keeps what the sets at hand need and throws away the rest. The first eigenvectors of the
features' second moment, about the origin since cosines are, keep as much of every vector's length as so many numbers
can (Eckart and Young 1936), for products of any kind.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from embedder.errors import DivergedError

Floats = npt.NDArray[np.float32]


def principal_head(features: Floats, dim: int) -> Floats:
    """Pooled features [n, features] -> the Dense layer's kernel [features, dim], its columns orthonormal.

    Every view counts alike, whatever its length. Raises DivergedError for features that are not finite.
    """
    if not np.isfinite(features).all():
        raise DivergedError("The network gives features that are not finite numbers, so no Dense layer can be fitted.")
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    _, vectors = np.linalg.eigh(unit.T @ unit / len(unit))
    kernel: Floats = vectors[:, ::-1][:, :dim].astype(np.float32)
    return kernel
