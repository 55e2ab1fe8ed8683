"""Losses of metric learning. The only importer of tensorflow_addons, which is at its end of life."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import tensorflow as tf

with warnings.catch_warnings():
    # It announces its end of life and an untested TensorFlow at every import; pyproject.toml pins what was tested.
    warnings.simplefilter("ignore")
    import tensorflow_addons as tfa


def triplet_hard(margin: float = 1.0, soft: bool = True, distance: str = "squared-L2") -> Any:
    """Batch-hard triplet loss, the paper's (Hermans et al. 2017, eq. 5 and 6): the mean over the batch of
    max(0, d(a, p) - d(a, n) + margin), p the farthest photo of the anchor's SKU and n the nearest of another.

    With `soft`, log(1 + exp(d(a, p) - d(a, n))) replaces the maximum, and the margin has no effect, as in
    tensorflow-addons. `distance`: L2, squared-L2 or angular, which in tensorflow-addons is 1 - cosine, not the
    angle. Called with (labels [n], vectors [n, dim]) -> a scalar.
    """
    return tfa.losses.TripletHardLoss(margin=margin, soft=soft, distance_metric=distance)


def triplet_semi_hard(margin: float = 1.0, distance: str = "squared-L2") -> Any:
    """Semi-hard triplet loss (Schroff et al. 2015, FaceNet, section 3.2), called as `triplet_hard`.

    Unlike batch-hard, a mean over all pairs of photos of one SKU, (a, p) and (p, a) both: for each, n is the nearest
    photo of another SKU with d(a, n) > d(a, p), or if there is none the farthest. A batch without such a pair gives
    nan: draw at least two photos of each SKU.
    """
    return tfa.losses.TripletSemiHardLoss(margin=margin, distance_metric=distance)


def triplet_given(margin: float = 1.0, soft: bool = True, distance: str = "squared-L2") -> Callable[[Any, Any], Any]:
    """Triplet loss on triplets mined beforehand: mean of max(0, d(a, p) - d(a, n) + margin), the paper's eq. 1, or of
    its soft form. Called with (labels, ignored; vectors [3 t, dim]: t anchors, t positives, t negatives) -> a scalar.
    """

    def loss(labels: Any, vectors: Any) -> Any:
        anchor, positive, negative = tf.split(vectors, 3)
        gap = _apart(anchor, positive, distance) - _apart(anchor, negative, distance)
        return tf.reduce_mean(tf.math.softplus(gap) if soft else tf.maximum(gap + margin, 0.0))

    return loss


def _apart(one: Any, other: Any, distance: str) -> Any:
    """Row-wise distances, both [n, dim] -> [n], as tensorflow-addons defines them."""
    if distance == "angular":
        one, other = tf.math.l2_normalize(one, axis=1), tf.math.l2_normalize(other, axis=1)
        return 1.0 - tf.reduce_sum(one * other, axis=1)
    squares = tf.reduce_sum(tf.square(one - other), axis=1)
    # The root's gradient at 0 is infinite; clamped, equal vectors have none.
    return squares if distance == "squared-L2" else tf.sqrt(tf.maximum(squares, 1e-16))


def away_from(lesson: Any, vectors: Any) -> Any:
    """Distillation loss: mean of 1 - cosine of the teacher's and student's unit vectors, both [n, dim] -> a scalar."""
    return tf.reduce_mean(1.0 - tf.reduce_sum(lesson * vectors, axis=1))


def supervised_contrastive(labels: Any, vectors: Any, temperature: float) -> Any:
    """Supervised contrastive loss (Khosla et al. 2020, eq. 2, L_out): for each anchor the mean over its positives of
    -log(exp(s_ap / t) / the sum of exp(s_ax / t) over all other photos x), s the cosine; the mean over the anchors.

    Labels [n], vectors [n, dim] of unit length -> a scalar. An anchor without a positive adds 0.
    """
    logits = tf.matmul(vectors, vectors, transpose_b=True) / temperature
    itself = tf.eye(tf.shape(labels)[0])
    positive = tf.cast(labels[:, tf.newaxis] == labels[tf.newaxis, :], tf.float32) - itself
    shares = logits - tf.reduce_logsumexp(logits - 1e9 * itself, axis=1, keepdims=True)
    counts = tf.maximum(tf.reduce_sum(positive, axis=1), 1.0)
    return -tf.reduce_mean(tf.reduce_sum(positive * shares, axis=1) / counts)


class CosineSoftmax(tf.keras.layers.Layer):  # type: ignore[misc]
    """Cross-entropy over scaled cosines to one learned prototype a SKU (Wang et al. 2017, NormFace, eq. 6).

    Used beside the triplet loss; discarded after training, so that adding a product never needs it.
    """

    def __init__(self, skus: int, dim: int, scale: float = 16.0) -> None:
        super().__init__(name="cosine_softmax")
        self.scale = scale
        self.prototypes = self.add_weight(name="prototypes", shape=(skus, dim), initializer="glorot_uniform")

    def call(self, vectors: Any, targets: Any) -> Any:
        """Vectors [n, dim] of unit length, targets [n, skus] summing to one -> the mean loss, a scalar."""
        cosines = tf.matmul(vectors, tf.math.l2_normalize(self.prototypes, axis=1), transpose_b=True)
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, self.scale * cosines))


class Classifier(tf.keras.layers.Layer):  # type: ignore[misc]
    """Plain classification, which the paper argues against: a Dense layer with a logit a SKU, softmax, cross-entropy.

    Its input is the output of the embedding's Dense layer before normalization: usual for a classifier, which may then
    tell SKUs apart by length, too, which a gallery can't use. Replaces the triplet loss; discarded after training.
    """

    def __init__(self, skus: int, dim: int) -> None:
        super().__init__(name="classifier")
        self.kernel = self.add_weight(name="kernel", shape=(dim, skus), initializer="glorot_uniform")
        self.bias = self.add_weight(name="bias", shape=(skus,), initializer="zeros")

    def call(self, features: Any, targets: Any) -> Any:
        """Features [n, dim] of any length, targets [n, skus] summing to one -> the mean loss, a scalar."""
        logits = tf.matmul(features, self.kernel) + self.bias
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
