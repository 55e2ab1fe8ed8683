"""The losses against references in plain numpy, and against values worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder import losses  # noqa: E402


def batch_hard(labels: Any, vectors: Any, margin: float | None) -> float:
    """Hermans et al. 2017, eq. 5: for each anchor its farthest positive and nearest negative, squared L2; the mean.

    `margin` None: the soft margin. An anchor is its own positive at distance 0, as in tensorflow-addons.
    """
    values = []
    for i in range(len(labels)):
        distances = ((vectors - vectors[i]) ** 2).sum(axis=1)
        positive, negative = distances[labels == labels[i]].max(), distances[labels != labels[i]].min()
        gap = positive - negative
        values.append(math.log1p(math.exp(gap)) if margin is None else max(0.0, gap + margin))
    return float(np.mean(values))


def unit_vectors(rng: np.random.Generator, count: int, dim: int) -> Any:
    vectors = rng.normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [None, 0.2, 1.0])
def test_triplet_hard_is_the_numpy_reference(seed: int, margin: float | None) -> None:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(6), 4)
    vectors = unit_vectors(rng, 24, 16)
    loss = losses.triplet_hard(margin or 1.0, soft=margin is None)
    assert float(loss(labels, vectors)) == pytest.approx(batch_hard(labels, vectors, margin), rel=1e-5)


def test_triplet_hard_in_closed_form() -> None:
    """Two SKUs on the circle: A at 0 and 90 degrees, B both at 180. Squared distances are 2 - 2 cos.

    A at 0: positive 2, negative 4. A at 90: positive 2, negative 2. Both B: positive 0, negative (to A at 90) 2.
    """
    vectors = np.array([[1, 0], [0, 1], [-1, 0], [-1, 0]], np.float32)
    labels = np.array([0, 0, 1, 1])
    gaps = [-2, 0, -2, -2]
    soft = sum(math.log(1 + math.exp(gap)) for gap in gaps) / 4
    assert float(losses.triplet_hard()(labels, vectors)) == pytest.approx(soft, rel=1e-5)
    assert float(losses.triplet_hard(1.0, soft=False)(labels, vectors)) == pytest.approx(1 / 4, rel=1e-5)
    assert float(losses.triplet_hard(2.5, soft=False)(labels, vectors)) == pytest.approx((2.5 + 3 * 0.5) / 4, rel=1e-5)


def test_triplet_hard_pulls_the_positive_and_pushes_the_negative() -> None:
    vectors = tf.Variable([[1.0, 0.0], [0.6, 0.8], [0.8, -0.6], [0.7, -0.7]])
    labels = tf.constant([0, 0, 1, 1])
    loss = losses.triplet_hard()
    with tf.GradientTape() as tape:
        before = loss(labels, vectors)
    vectors.assign_sub(0.05 * tape.gradient(before, vectors))
    assert float(loss(labels, vectors)) < float(before)


def test_cosine_softmax_is_the_numpy_reference() -> None:
    rng = np.random.default_rng(4)
    layer = losses.CosineSoftmax(skus=5, dim=8, scale=16.0)
    prototypes = rng.normal(size=(5, 8)).astype(np.float32) * 3  # their length must not matter
    layer.prototypes.assign(prototypes)
    vectors = unit_vectors(rng, 7, 8)
    targets = rng.dirichlet(np.ones(5), 7).astype(np.float32)  # mixed photos have two SKUs and more
    logits = 16.0 * vectors @ (prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)).T
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert float(layer(vectors, targets)) == pytest.approx(float(-(targets * logs).sum(axis=1).mean()), rel=1e-4)


def test_cosine_softmax_in_closed_form() -> None:
    """A vector on its prototype, the other at a right angle: log(1 + exp(-scale))."""
    layer = losses.CosineSoftmax(skus=2, dim=2, scale=3.0)
    layer.prototypes.assign([[2.0, 0.0], [0.0, 0.5]])
    value = float(layer(np.array([[1, 0]], np.float32), np.array([[1, 0]], np.float32)))
    assert value == pytest.approx(math.log(1 + math.exp(-3.0)), rel=1e-5)
