"""Backbone + head: the network whose output is a unit-length vector. Imports TensorFlow (extra `train`)."""

from __future__ import annotations

import copy
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from embedder.bundle import RELEASED
from embedder.errors import WeightsError

Keras = Any  # TensorFlow 2.15 ships no types


@dataclass(frozen=True)
class Backbone:
    """A feature extractor: `build(weights)` gives RGB 0..255 [n, h, w, 3] -> [n, h', w', channels]."""

    name: str
    build: Callable[[str | None], Keras]
    #: Keras offers an ImageNet download for it; if not, `--weights PATH` is the only trained start.
    downloads: bool


#: Any size: the network is fully convolutional, and one training may grow its photos.
SHAPE = (None, None, 3)
#: Mean and deviation of ImageNet's photos, RGB 0..1, and mean of 0..255 as Caffe's networks take it, BGR: those of
#: keras.applications.imagenet_utils.preprocess_input, modes `torch` and `caffe`.
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


def _mobilenetv3large(weights: str | None) -> Keras:
    # minimalistic=False and alpha 1.0: the paper's network. Its preprocessing (x / 127.5 - 1) is in the graph.
    return tf.keras.applications.MobileNetV3Large(
        input_shape=SHAPE, include_top=False, weights=weights, include_preprocessing=True
    )


def _mobilenetv3small(weights: str | None) -> Keras:
    return tf.keras.applications.MobileNetV3Small(
        input_shape=SHAPE, include_top=False, weights=weights, include_preprocessing=True
    )


def _mobilenetv2(weights: str | None) -> Keras:
    photo = tf.keras.Input(SHAPE)
    scaled = tf.keras.layers.Rescaling(1 / 127.5, offset=-1)(photo)
    return tf.keras.applications.MobileNetV2(input_tensor=scaled, input_shape=SHAPE, include_top=False, weights=weights)


def _vgg16(weights: str | None) -> Keras:
    photo = tf.keras.Input(SHAPE)
    bgr = tf.keras.layers.Lambda(lambda x: tf.reverse(x, axis=[-1]), name="bgr")(photo)
    centred = tf.keras.layers.Rescaling(1.0, offset=[-mean for mean in CAFFE_MEAN_BGR])(bgr)
    return tf.keras.applications.VGG16(input_tensor=centred, include_top=False, weights=weights)


def _efficientnetb0(weights: str | None) -> Keras:
    network = tf.keras.applications.EfficientNetB0(input_shape=SHAPE, include_top=False, weights=None)
    _set_normalization(network, IMAGENET_MEAN, [deviation**2 for deviation in IMAGENET_DEVIATION])
    if weights is not None:
        # With a download, Keras adds a layer that mends its normalization; without, it normalizes nothing. Both must
        # be one network here, or the checkpoint of a training that began with the download would fit no other.
        trained = tf.keras.applications.EfficientNetB0(input_shape=SHAPE, include_top=False, weights=weights)
        for target, source in zip(network.weights, trained.weights, strict=True):
            if not target.name.startswith("normalization"):
                target.assign(source)
    return network


def _efficientnetv2b0(weights: str | None) -> Keras:
    # Its preprocessing, in the graph: ImageNet's mean and deviation.
    return tf.keras.applications.EfficientNetV2B0(
        input_shape=SHAPE, include_top=False, weights=weights, include_preprocessing=True
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
        input_shape=SHAPE,
    )
    # The builder divides by 255 first; with these two its Normalization layer makes (x - 127) / 128.
    _set_normalization(network, [127 / 255] * 3, [(128 / 255) ** 2] * 3)
    return network


def _set_normalization(network: Keras, mean: Sequence[float], variance: Sequence[float]) -> None:
    """Make a network's Normalization layer (x - mean) / sqrt(variance), by channel."""
    # By type: Keras numbers the names of layers that it builds a second time.
    layer = next(one for one in network.layers if isinstance(one, tf.keras.layers.Normalization))
    layer.mean = tf.reshape(tf.constant(mean, layer.compute_dtype), (1, 1, 1, 3))
    layer.variance = tf.reshape(tf.constant(variance, layer.compute_dtype), (1, 1, 1, 3))


#: By name, as recipe.BACKBONES lists them.
BACKBONES: dict[str, Backbone] = {
    one.name: one
    for one in (
        Backbone("mobilenetv3large", _mobilenetv3large, downloads=True),
        Backbone("mobilenetv3small", _mobilenetv3small, downloads=True),
        Backbone("mobilenetv2", _mobilenetv2, downloads=True),
        Backbone("efficientnetlite0", _efficientnetlite0, downloads=False),
        Backbone("efficientnetb0", _efficientnetb0, downloads=True),
        Backbone("efficientnetv2b0", _efficientnetv2b0, downloads=True),
        Backbone("vgg16", _vgg16, downloads=True),
    )
}
#: The arrays that the released bundle was made of, beside it: where a retailer's own training starts best.
START_FILE = "start.npz"
HEADS = ("pooled", "flatten")
#: Of the mean and variance in batch-norm layers, a step. Keras's MobileNets come with 0.999: a few hundred steps would
#: hardly move statistics that the weights have left behind, and the network served would see by wrong ones.
MOMENTUM = 0.99
#: The Dense layer's arrays in an .npz.
HEAD_ARRAYS = ("embedding/kernel", "embedding/bias")


def arrays_path(weights: str) -> Path | None:
    """The .npz that a start is read from; None for ``imagenet`` and ``none``."""
    if weights in ("imagenet", "none"):
        return None
    return RELEASED / START_FILE if weights == "released" else Path(weights)


def build_backbone(name: str, weights: str) -> Keras:
    """`weights`: ``imagenet`` (Keras's download), ``none`` (random), ``released`` (what the released bundle was made
    of) or the path of an .npz of arrays.

    Raises WeightsError when they can't be had or do not fit.
    """
    backbone = BACKBONES[name]
    if weights == "imagenet":
        if not backbone.downloads:
            raise WeightsError(f"Keras has no ImageNet download for {name}: give its arrays by --weights PATH (.npz).")
        try:
            return _settled(backbone.build("imagenet"))
        except Exception as error:  # Keras wraps every network failure in a bare Exception
            raise WeightsError(
                f"The ImageNet weights of {name} can't be downloaded ({error}). "
                "Where there is no way to them, give a file by --weights PATH (.npz)."
            ) from error
    network = backbone.build(None)
    if (path := arrays_path(weights)) is not None:
        load_arrays(network, path)
    return _settled(network)


def _settled(network: Keras) -> Keras:
    """The network with MOMENTUM in all its batch-norm layers."""
    for layer in network.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
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
    arrays = {name: array for name, array in arrays.items() if name not in HEAD_ARRAYS}
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


def load_head(network: Keras, path: Path) -> bool:
    """Set the Dense layer of an embedder from the .npz that its backbone came from; False if it holds none that fits.

    Raises nothing for a file without a head: arrays of a backbone alone are a start, too.
    """
    dense = network.get_layer("embedding")
    with np.load(path, allow_pickle=False) as stored:
        arrays = [stored[name] for name in HEAD_ARRAYS if name in stored.files]
    if [array.shape for array in arrays] != [tuple(weight.shape) for weight in dense.weights]:
        return False
    dense.set_weights([array.astype(np.float32) for array in arrays])
    return True


def save_arrays(network: Keras, path: Path) -> None:
    """Write an embedder's arrays, its Dense layer's with them, as `load_arrays` and `load_head` take them (float16)."""
    kept = {w.name.removesuffix(":0"): w.numpy() for w in network.weights if not w.name.startswith("normalization")}
    # Statistics of a batch-norm may lie beyond what float16 holds; they are few.
    arrays = {
        name: array.astype(np.float32 if name.endswith(("variance", "mean")) else np.float16)
        for name, array in kept.items()
    }
    np.savez_compressed(path, **arrays)


@contextmanager
def computing(mixed: bool) -> Iterator[None]:
    """Networks built inside compute in float16 and keep their weights in float32, if `mixed`; else all in float32."""
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("mixed_float16" if mixed else "float32")
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)


def build_embedder(backbone: Keras, head: str, dim: int, size: int | None = None, seed: int = 1) -> Keras:
    """Backbone -> pooled or Flatten head -> Dense `dim` -> unit length.

    RGB 0..255 [n, h, w, 3] -> float32 [n, dim]. `flatten` is the paper's head and needs a fixed `size`.
    The Dense layer starts orthogonal, by the seed: a projection that keeps the distances of the start's features.
    """
    if head == "flatten" and size is None:
        raise ValueError("the Flatten head needs a fixed size")
    side = size if head == "flatten" else None
    photo = tf.keras.Input((side, side, 3), name="photo")
    features = backbone(photo)
    layer = tf.keras.layers.Flatten() if head == "flatten" else tf.keras.layers.GlobalAveragePooling2D()
    # In float32 whatever computes the rest: float16's eps would be lost in the length that is divided by.
    dense = tf.keras.layers.Dense(
        dim, dtype="float32", kernel_initializer=tf.keras.initializers.Orthogonal(seed=seed), name="embedding"
    )
    vector = tf.keras.layers.Lambda(lambda x: tf.math.l2_normalize(x, axis=1), name="unit_length", dtype="float32")(
        dense(layer(features))
    )
    return tf.keras.Model(photo, vector, name="embedder")
