"""Losses of metric learning. The only importer of tensorflow_addons, which is at its end of life."""

from __future__ import annotations

import warnings
from typing import Any

import tensorflow as tf

with warnings.catch_warnings():
    # It announces its end of life and an untested TensorFlow at every import; pyproject.toml pins what was tested.
    warnings.simplefilter("ignore")
    import tensorflow_addons as tfa


def triplet_hard(margin: float = 1.0, soft: bool = True) -> Any:
    """Batch-hard triplet loss over squared L2 distances, the paper's loss (Hermans et al. 2017, eq. 5 and 6).

    With `soft`, log(1 + exp(d(a, p) - d(a, n))) takes the place of max(0, margin + d(a, p) - d(a, n)); the margin is
    then without effect, as in tensorflow-addons. Called with (labels [n], vectors [n, dim]).
    """
    return tfa.losses.TripletHardLoss(margin=margin, soft=soft, distance_metric="squared-L2")


class CosineSoftmax(tf.keras.layers.Layer):  # type: ignore[misc]
    """Cross-entropy over scaled cosines to one learned prototype a SKU (Wang et al. 2017, NormFace, eq. 6).

    Used beside the triplet loss; thrown away after training, so that adding a product never needs it.
    """

    def __init__(self, skus: int, dim: int, scale: float = 16.0) -> None:
        super().__init__(name="cosine_softmax")
        self.scale = scale
        self.prototypes = self.add_weight(name="prototypes", shape=(skus, dim), initializer="glorot_uniform")

    def call(self, vectors: Any, targets: Any) -> Any:
        """Vectors [n, dim] of unit length, targets [n, skus] summing to one -> the mean loss, a scalar."""
        cosines = tf.matmul(vectors, tf.math.l2_normalize(self.prototypes, axis=1), transpose_b=True)
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, self.scale * cosines))
