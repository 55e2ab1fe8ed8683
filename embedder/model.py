"""Backbone + head: the network whose output is a unit-length vector. Imports TensorFlow (extra `train`)."""

from __future__ import annotations

import copy
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from embedder.errors import WeightsError

Keras = Any  # TensorFlow 2.15 ships no types


@dataclass(frozen=True)
class Backbone:
    """A feature extractor: `build(weights)` gives RGB 0..255 [n, h, w, 3] -> [n, h', w', channels]."""

    name: str
    build: Callable[[str | None], Keras]
    #: Keras offers an ImageNet download for it; if not, `--weights PATH` is the only trained start.
    downloads: bool


def _mobilenetv3large(weights: str | None) -> Keras:
    # minimalistic=False and alpha 1.0: the paper's network. Its preprocessing (x / 127.5 - 1) is in the graph.
    return tf.keras.applications.MobileNetV3Large(
        input_shape=(None, None, 3), include_top=False, weights=weights, include_preprocessing=True
    )


def _efficientnetlite0(weights: str | None) -> Keras:
    """EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excite and with relu6 (TensorFlow TPU models, 2020)."""
    from keras.src.applications import efficientnet

    blocks = copy.deepcopy(efficientnet.DEFAULT_BLOCKS_ARGS)
    for block in blocks:
        block["se_ratio"] = 0
    network = efficientnet.EfficientNet(
        1.0,
        1.0,
        224,
        drop_connect_rate=0,
        activation=tf.nn.relu6,
        blocks_args=blocks,
        model_name="efficientnetlite0",
        include_top=False,
        weights=None,
        input_shape=(None, None, 3),
    )
    # The builder divides by 255 first; with these two its Normalization layer makes (x - 127) / 128.
    # By type: Keras numbers the names of layers that it builds a second time.
    normalization = next(one for one in network.layers if isinstance(one, tf.keras.layers.Normalization))
    normalization.mean = tf.reshape(tf.constant([127 / 255] * 3, tf.float32), (1, 1, 1, 3))
    normalization.variance = tf.reshape(tf.constant([(128 / 255) ** 2] * 3, tf.float32), (1, 1, 1, 3))
    return network


BACKBONES: dict[str, Backbone] = {
    "mobilenetv3large": Backbone("mobilenetv3large", _mobilenetv3large, downloads=True),
    "efficientnetlite0": Backbone("efficientnetlite0", _efficientnetlite0, downloads=False),
}
HEADS = ("pooled", "flatten")


def build_backbone(name: str, weights: str) -> Keras:
    """`weights`: ``imagenet`` (Keras's download), ``none`` (random) or the path of an .npz of arrays.

    Raises WeightsError when they can't be had or do not fit.
    """
    backbone = BACKBONES[name]
    if weights == "imagenet":
        if not backbone.downloads:
            raise WeightsError(f"Keras has no ImageNet download for {name}: give its arrays by --weights PATH (.npz).")
        try:
            return backbone.build("imagenet")
        except Exception as error:  # Keras wraps every network failure in a bare Exception
            raise WeightsError(
                f"The ImageNet weights of {name} can't be downloaded ({error}). "
                "Where there is no way to them, give a file by --weights PATH (.npz)."
            ) from error
    network = backbone.build(None)
    if weights != "none":
        load_arrays(network, Path(weights))
    return network


def load_arrays(network: Keras, path: Path) -> None:
    """Set a network's weights from an .npz: arrays named as Keras names them, or `a0`, `a1`, ... in Keras's order.

    Raises WeightsError when the file is unreadable or an array is missing or of another shape.
    """
    if not path.is_file():
        raise WeightsError(f"--weights {path}: no such file. Give an .npz of arrays, 'imagenet' or 'none'.")
    try:
        with zipfile.ZipFile(path):  # np.load would take other files, too, and give something else than an archive
            pass
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name].astype(np.float32) for name in stored.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(f"--weights {path}: not an .npz of arrays ({error}).") from error
    # The Normalization layer holds its mean, variance and count as weights: constants of the builder, in no file.
    targets = [w for w in network.weights if not w.name.startswith("normalization")]
    in_order = set(arrays) == {f"a{i}" for i in range(len(arrays))}
    if in_order and len(arrays) != len(targets):
        raise WeightsError(f"--weights {path}: {len(arrays)} arrays, the network has {len(targets)}.")
    for index, target in enumerate(targets):
        key = f"a{index}" if in_order else target.name.removesuffix(":0")
        if key not in arrays:
            raise WeightsError(f"--weights {path}: no array {key!r}; it is not made for this backbone.")
        if arrays[key].shape != tuple(target.shape):
            raise WeightsError(f"--weights {path}: {key} is {arrays[key].shape}, not {tuple(target.shape)}.")
        target.assign(arrays[key])


def build_embedder(backbone: Keras, head: str, dim: int, size: int | None = None) -> Keras:
    """Backbone -> pooled or Flatten head -> Dense `dim` -> unit length.

    RGB 0..255 [n, h, w, 3] -> float32 [n, dim]. `flatten` is the paper's head and needs a fixed `size`.
    The Dense layer starts orthogonal: a random projection that keeps the distances of the start's features.
    """
    if head == "flatten" and size is None:
        raise ValueError("the Flatten head needs a fixed size")
    side = size if head == "flatten" else None
    photo = tf.keras.Input((side, side, 3), name="photo")
    features = backbone(photo)
    layer = tf.keras.layers.Flatten() if head == "flatten" else tf.keras.layers.GlobalAveragePooling2D()
    dense = tf.keras.layers.Dense(dim, kernel_initializer="orthogonal", name="embedding")
    vector = tf.keras.layers.Lambda(lambda x: tf.math.l2_normalize(x, axis=1), name="unit_length")(
        dense(layer(features))
    )
    return tf.keras.Model(photo, vector, name="embedder")
