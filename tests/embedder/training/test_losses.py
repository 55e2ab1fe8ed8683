"""The losses against references in plain numpy, and against values worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder.training import losses
from embedder.training.recipe import DISTANCES

#: A hand-made batch on a line, squared distances. From the anchor at 0, positive at 1, margin 1: the negative at 0.5 is
#: hard (0.25 < 1), the one at 1.2 semi-hard (1 < 1.44 < 2), the one at 3 easy (1 + 1 < 9).
LINE = np.array([[0], [1], [0.5], [1.2], [3]], np.float32)
LINE_LABELS = np.array([0, 0, 1, 2, 3])


def apart(one: Any, other: Any, distance: str) -> float:
    """Distance of two vectors, as tensorflow-addons means the three names."""
    if distance == "angular":
        return 1 - float(one @ other) / float(np.linalg.norm(one) * np.linalg.norm(other))
    length = float(np.linalg.norm(one - other))
    return length if distance == "L2" else length**2


def matrix(vectors: Any, distance: str) -> Any:
    wide = vectors.astype(np.float64)
    return np.array([[apart(one, other, distance) for other in wide] for one in wide])


def eq1(positive: float, negative: float, margin: float | None) -> float:
    """The paper's eq. 1; `margin` None: its soft form."""
    gap = positive - negative
    return math.log1p(math.exp(gap)) if margin is None else max(0.0, gap + margin)


def batch_hard(labels: Any, vectors: Any, margin: float | None, distance: str = "squared-L2") -> float:
    """Hermans et al. 2017, eq. 5: for each anchor its farthest positive and nearest negative; the mean over anchors.

    An anchor alone in its SKU is its own positive at distance 0, as in tensorflow-addons.
    """
    values = []
    for anchor, row in enumerate(matrix(vectors, distance)):
        positives = [row[i] for i in range(len(labels)) if labels[i] == labels[anchor] and i != anchor]
        negatives = [row[i] for i in range(len(labels)) if labels[i] != labels[anchor]]
        values.append(eq1(max(positives, default=0.0), min(negatives), margin))
    return float(np.mean(values))


def semi_hard(labels: Any, vectors: Any, margin: float, distance: str = "squared-L2") -> float:
    """Schroff et al. 2015: for each pair of one SKU, in both orders, the nearest negative beyond the positive, or the
    farthest of all where none lies beyond; the mean over the pairs."""
    values = []
    for anchor, row in enumerate(matrix(vectors, distance)):
        negatives = [row[i] for i in range(len(labels)) if labels[i] != labels[anchor]]
        for positive in range(len(labels)):
            if labels[positive] == labels[anchor] and positive != anchor:
                beyond = [far for far in negatives if far > row[positive]]
                values.append(eq1(row[positive], min(beyond) if beyond else max(negatives), margin))
    return float(np.mean(values))


def unit_vectors(rng: np.random.Generator, count: int, dim: int) -> Any:
    vectors = rng.normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def random_batch(seed: int) -> tuple[Any, Any]:
    """A few SKUs in clusters that overlap, so that easy, semi-hard and hard triplets all occur; one is alone."""
    rng = np.random.default_rng(seed)
    labels = np.append(rng.permutation(np.repeat(np.arange(6), 4)), 6)
    vectors = unit_vectors(rng, 7, 16)[labels] + 0.3 * rng.normal(size=(25, 16)).astype(np.float32)
    return labels, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("margin", [None, 0.2, 1.0])
def test_batch_hard_is_the_numpy_reference(seed: int, distance: str, margin: float | None) -> None:
    labels, vectors = random_batch(seed)
    loss = losses.triplet_hard(margin or 1.0, margin is None, distance)
    assert float(loss(labels, vectors)) == pytest.approx(batch_hard(labels, vectors, margin, distance), rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_semi_hard_is_the_numpy_reference(seed: int, distance: str, margin: float) -> None:
    labels, vectors = random_batch(seed)
    loss = losses.triplet_semi_hard(margin, distance)
    assert float(loss(labels, vectors)) == pytest.approx(semi_hard(labels, vectors, margin, distance), rel=1e-4)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("margin", [None, 0.2, 1.0])
def test_given_triplets_are_the_numpy_reference(distance: str, margin: float | None) -> None:
    vectors = unit_vectors(np.random.default_rng(1), 15, 8)
    wanted = np.mean(
        [
            eq1(apart(vectors[i], vectors[5 + i], distance), apart(vectors[i], vectors[10 + i], distance), margin)
            for i in range(5)
        ]
    )
    loss = losses.triplet_given(margin or 1.0, margin is None, distance)
    assert float(loss(None, vectors)) == pytest.approx(wanted, rel=1e-4)


def test_on_a_line_batch_hard_takes_the_hard_negative() -> None:
    """Only the SKU of 0 and 1 has a positive but itself. Squared distances; their nearest negatives: 0.25 and 0.04."""
    with_margin = [1 - 0.25 + 1, 1 - 0.04 + 1]
    # 0.5: nearest 0 or 1 (0.25); 1.2: nearest 1 (0.04); 3: nearest 1.2 (3.24). Each alone: its own positive at 0.
    with_margin += [0 - 0.25 + 1, 0 - 0.04 + 1, 0]
    loss = losses.triplet_hard(1.0, soft=False)
    assert float(loss(LINE_LABELS, LINE)) == pytest.approx(sum(with_margin) / 5, rel=1e-5)
    gaps = [1 - 0.25, 1 - 0.04, -0.25, -0.04, -3.24]
    soft = sum(math.log(1 + math.exp(gap)) for gap in gaps) / 5
    assert float(losses.triplet_hard()(LINE_LABELS, LINE)) == pytest.approx(soft, rel=1e-5)


def test_on_a_line_semi_hard_passes_over_the_hard_negative() -> None:
    """Pair (0, 1) at 1: beyond it lie 1.44 and 9, the nearest counts: 1 - 1.44 + 1. Pair (1, 0) at 1: beyond lies 4."""
    loss = losses.triplet_semi_hard(1.0)
    assert float(loss(LINE_LABELS, LINE)) == pytest.approx((0.56 + 0) / 2, rel=1e-5)
    # Without 1.2 and 3 nothing lies beyond, and the farthest of all takes its place: the hard one at 0.5, both ways.
    assert float(loss(LINE_LABELS[:3], LINE[:3])) == pytest.approx(1 - 0.25 + 1, rel=1e-5)


@pytest.mark.parametrize(
    ("negative", "value"), [(2, 1 - 0.25 + 1), (3, 1 - 1.44 + 1), (4, 0.0)], ids=["hard", "semi-hard", "easy"]
)
def test_on_a_line_each_triplet_by_itself(negative: int, value: float) -> None:
    """A hard one costs more than the margin, a semi-hard one less, an easy one nothing: what eq. 2 to 4 are about."""
    loss = losses.triplet_given(1.0, soft=False)
    assert float(loss(None, LINE[[0, 1, negative]])) == pytest.approx(value, rel=1e-5, abs=1e-6)


def test_batch_hard_in_closed_form() -> None:
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


def test_soft_margin_is_without_a_margin() -> None:
    labels, vectors = random_batch(0)
    assert float(losses.triplet_hard(0.1)(labels, vectors)) == float(losses.triplet_hard(5.0)(labels, vectors))


def test_angular_is_one_minus_cosine() -> None:
    """Of unit vectors half of squared L2, so batch-hard with half of the margin costs half."""
    labels, vectors = random_batch(1)
    half = float(losses.triplet_hard(0.5, False, "angular")(labels, vectors))
    assert half == pytest.approx(float(losses.triplet_hard(1.0, False, "squared-L2")(labels, vectors)) / 2, rel=1e-4)


def test_semi_hard_of_a_batch_without_pairs_has_no_mean() -> None:
    """tensorflow-addons divides by their number; PKBatches always draws two photos and more of a SKU."""
    assert math.isnan(float(losses.triplet_semi_hard()(np.arange(4), unit_vectors(np.random.default_rng(0), 4, 3))))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(
    "make",
    [
        losses.triplet_hard,
        lambda margin, soft, distance: losses.triplet_semi_hard(margin, distance),
        losses.triplet_given,
    ],
    ids=["batch-hard", "semi-hard", "given"],
)
@pytest.mark.parametrize("soft", [True, False])
def test_gradients_stay_finite_when_photos_are_the_same(make: Any, soft: bool, distance: str) -> None:
    """A photo twice in its SKU, once in another, and all photos alike, as after a collapse: the root's slope at 0."""
    vectors = unit_vectors(np.random.default_rng(3), 12, 8)
    vectors[[1, 4, 8]] = vectors[0]
    labels = np.repeat(np.arange(3), 4)
    for values in (vectors, np.tile(vectors[:1], (12, 1))):
        variable = tf.Variable(values)
        with tf.GradientTape() as tape:
            loss = make(1.0, soft, distance)(labels, variable)
        assert np.isfinite(float(loss))
        assert np.isfinite(tape.gradient(loss, variable).numpy()).all()


@pytest.mark.parametrize(
    "loss",
    [losses.triplet_hard(), losses.triplet_hard(2.0, soft=False, distance="L2"), losses.triplet_semi_hard(2.0)],
    ids=["soft", "margin", "semi-hard"],
)
def test_a_step_downhill_pulls_the_positive_and_pushes_the_negative(loss: Any) -> None:
    vectors = tf.Variable([[1.0, 0.0], [0.6, 0.8], [0.8, -0.6], [0.7, -0.7]])
    labels = tf.constant([0, 0, 1, 1])
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
    assert float(layer(vectors, targets)) == pytest.approx(cross_entropy(logits, targets), rel=1e-4)


def cross_entropy(logits: Any, targets: Any) -> float:
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float(-(targets * logs).sum(axis=1).mean())


def test_cosine_softmax_in_closed_form() -> None:
    """A vector on its prototype, the other at a right angle: log(1 + exp(-scale))."""
    layer = losses.CosineSoftmax(skus=2, dim=2, scale=3.0)
    layer.prototypes.assign([[2.0, 0.0], [0.0, 0.5]])
    value = float(layer(np.array([[1, 0]], np.float32), np.array([[1, 0]], np.float32)))
    assert value == pytest.approx(math.log(1 + math.exp(-3.0)), rel=1e-5)


def test_classifier_is_the_numpy_reference() -> None:
    rng = np.random.default_rng(5)
    layer = losses.Classifier(skus=5, dim=8)
    kernel, bias = rng.normal(size=(8, 5)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    layer.set_weights([kernel, bias])
    features = rng.normal(size=(7, 8)).astype(np.float32)
    targets = rng.dirichlet(np.ones(5), 7).astype(np.float32)
    assert float(layer(features, targets)) == pytest.approx(cross_entropy(features @ kernel + bias, targets), rel=1e-4)


def test_classifier_gains_by_length_alone() -> None:
    """What the paper argues against: twice as long, the same direction is a surer answer, yet the same vector."""
    layer = losses.Classifier(skus=2, dim=2)
    layer.set_weights([np.eye(2), np.zeros(2)])
    short, target = np.array([[1, 0]], np.float32), np.array([[1, 0]], np.float32)
    assert float(layer(short, target)) == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-5)
    assert float(layer(2 * short, target)) == pytest.approx(math.log(1 + math.exp(-2)), rel=1e-5)


def test_away_from_a_teacher_is_one_minus_cosine() -> None:
    rng = np.random.default_rng(6)
    one, other = unit_vectors(rng, 6, 5), unit_vectors(rng, 6, 5)
    wanted = np.mean([1 - float(a @ b) for a, b in zip(one, other, strict=True)])
    assert float(losses.away_from(one, other)) == pytest.approx(wanted, rel=1e-5)
    assert float(losses.away_from(one, one)) == pytest.approx(0, abs=1e-6)
