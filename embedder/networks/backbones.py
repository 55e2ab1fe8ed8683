"""Backbones: feature extractors of Keras, with their preprocessing. Imports TensorFlow (extra `train`)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from embedder.errors import WeightsError
from embedder.networks.weights import Keras, arrays_path, load_arrays


@dataclass(frozen=True)
class Backbone:
    """A feature extractor: `build(weights)` gives RGB 0..255 [n, h, w, 3] -> [n, h', w', channels]."""

    name: str
    build: Callable[[str | None], Keras]
    #: Whether Keras offers an ImageNet download; if not, only `--weights PATH` gives pretrained weights.
    downloads: bool


#: Any size: the network is fully convolutional, and a schedule may increase the size during training.
SHAPE = (None, None, 3)
#: Mean of ImageNet's photos, RGB 0..1: keras.applications.imagenet_utils.preprocess_input, mode `torch`.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
#: Standard deviation of the same.
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
#: Mean of ImageNet's photos, BGR 0..255, as Caffe's networks take it: preprocess_input, mode `caffe`.
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
        # With a download, Keras adds a layer that corrects its normalization; without, it normalizes nothing. Both must
        # be the same network here, or a checkpoint of a training that began with the download would fit no other.
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
    """Set a network's Normalization layer to (x - mean) / sqrt(variance), by channel."""
    # By type: Keras appends a number to the name when it builds a layer a second time.
    layer = next(layer for layer in network.layers if isinstance(layer, tf.keras.layers.Normalization))
    layer.mean = tf.reshape(tf.constant(mean, layer.compute_dtype), (1, 1, 1, 3))
    layer.variance = tf.reshape(tf.constant(variance, layer.compute_dtype), (1, 1, 1, 3))


#: By name, as recipe.BACKBONES lists them.
BACKBONES: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        Backbone("mobilenetv3large", _mobilenetv3large, downloads=True),
        Backbone("mobilenetv3small", _mobilenetv3small, downloads=True),
        Backbone("mobilenetv2", _mobilenetv2, downloads=True),
        Backbone("efficientnetlite0", _efficientnetlite0, downloads=False),
        Backbone("efficientnetb0", _efficientnetb0, downloads=True),
        Backbone("efficientnetv2b0", _efficientnetv2b0, downloads=True),
        Backbone("vgg16", _vgg16, downloads=True),
    )
}
#: Momentum of batch-norm's running mean and variance, a step. Keras's MobileNets have 0.999: after a few hundred steps
#: the statistics would lag behind the weights, and the served network would use wrong ones.
MOMENTUM = 0.99


def build_backbone(name: str, weights: str) -> Keras:
    """Build a backbone: RGB 0..255 [n, h, w, 3] -> features [n, h', w', channels].

    `weights`: ``imagenet`` (Keras's download), ``none`` (random), ``released`` (those of the released bundle) or the
    path of an .npz of arrays. Raises WeightsError when they can't be loaded or do not fit.
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
