"""The closed-form Dense layer keeps the cosines of the features."""

from __future__ import annotations

import numpy as np

from embedder.adaptation.principal_head import principal_head


def test_cosines_stay_where_the_features_have_few_dimensions() -> None:
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(300, 6)) @ rng.normal(size=(6, 40)) + rng.normal(size=40)).astype(np.float32)
    kernel = principal_head(features, 7)
    assert (kernel.shape, kernel.dtype) == ((40, 7), np.float32)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(7), atol=1e-4)
    np.testing.assert_allclose(cosines(features @ kernel), cosines(features), atol=1e-3)


def test_what_varies_little_goes_first() -> None:
    rng = np.random.default_rng(1)
    features = (rng.normal(size=(500, 12)) * np.r_[np.full(4, 1.0), np.full(8, 0.05)]).astype(np.float32)
    kept = np.linalg.norm(principal_head(features, 4), axis=1)
    assert (kept[:4] > 0.99).all() and (kept[4:] < 0.15).all()


def test_the_length_of_a_feature_vector_does_not_count() -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(200, 8)).astype(np.float32)
    longer = features * rng.uniform(0.1, 50, (200, 1)).astype(np.float32)
    one, same = principal_head(features, 3), principal_head(longer, 3)
    np.testing.assert_allclose(np.abs((one * same).sum(axis=0)), 1, atol=1e-2)


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T)
