"""Embedding network: backbone and head, photo -> unit vector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from embedder.networks.weights import Keras

HEADS = ("pooled", "flatten")


@contextmanager
def computing(mixed: bool) -> Iterator[None]:
    """Set the precision of networks built inside: float16 with float32 weights if `mixed`, else float32."""
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("mixed_float16" if mixed else "float32")
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)


def build_embedder(backbone: Keras, head: str, dim: int, size: int | None = None, seed: int = 1) -> Keras:
    """Backbone -> pooled or Flatten head -> Dense `dim` -> unit length.

    RGB 0..255 [n, h, w, 3] -> float32 [n, dim]. `flatten` is the paper's head; it needs a fixed `size` in pixels and
    raises ValueError without one. The Dense layer is initialized orthogonal, by the seed: a projection that preserves
    the distances of the initial features.
    """
    if head == "flatten" and size is None:
        raise ValueError("the Flatten head needs a fixed size")
    side = size if head == "flatten" else None
    photo = tf.keras.Input((side, side, 3), name="photo")
    features = backbone(photo)
    layer = tf.keras.layers.Flatten() if head == "flatten" else tf.keras.layers.GlobalAveragePooling2D()
    # Always float32: in float16 the epsilon of the normalization would be rounded away.
    dense = tf.keras.layers.Dense(
        dim, dtype="float32", kernel_initializer=tf.keras.initializers.Orthogonal(seed=seed), name="embedding"
    )
    vector = tf.keras.layers.Lambda(lambda x: tf.math.l2_normalize(x, axis=1), name="unit_length", dtype="float32")(
        dense(layer(features))
    )
    return tf.keras.Model(photo, vector, name="embedder")
