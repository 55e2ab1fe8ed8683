"""Weights with each batch norm folded into the convolution before it: what a bundle's model holds of its network.

A bundle keeps no Keras weights; its LiteRT model has one kernel and one bias for each convolution (Jacob et al. 2018,
"Quantization and training of neural networks for efficient integer-arithmetic-only inference", section 3.2). Read
back, they are a start like any other, and a network between two of them (WiSE-FT) needs no statistics of its own.
Imports TensorFlow (extra `train`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from embedder.bundle import RELEASED, load_bundle
from embedder.errors import WeightsError
from embedder.networks import backbones
from embedder.networks.weights import Keras

Array = npt.NDArray[np.float32]
#: Of each convolution, by its layer's name: the kernel as Keras has it, and the bias [channels].
Folded = dict[str, tuple[Array, Array]]


def start_from(backbone: str, weights: str, toward: str | None = None, share: float = 0.7) -> Keras:
    """A backbone with the weights `weights`, or `share` of the way from them to `toward` (Wortsman et al. 2022).

    Either is ``released`` (the bundle that ships), a bundle's folder, an .npz of arrays, or what `build_backbone`
    takes. Every batch norm is folded. Raises WeightsError when they can't be loaded or do not fit, BundleError.
    """
    network = backbones.build_backbone(backbone, "none")
    _set(network, _read(network, backbone, weights))
    if toward is not None:
        move_toward(network, backbone, toward, share)
    return network


def move_toward(network: Keras, backbone: str, toward: str, share: float) -> None:
    """Move the weights of a backbone `share` of the way to `toward`, which is as in `start_from`.

    Raises WeightsError when they can't be loaded or do not fit, BundleError.
    """
    other = _read(network, backbone, toward)
    mixed: Folded = {}
    for layer, (kernel, bias) in fold(network).items():
        its_kernel, its_bias = other[layer]
        mixed[layer] = ((1 - share) * kernel + share * its_kernel, (1 - share) * bias + share * its_bias)
    _set(network, mixed)


def _read(network: Keras, backbone: str, weights: str) -> Folded:
    folder = RELEASED if weights == "released" else Path(weights)
    if folder.is_dir():
        return read_bundle(network, folder)
    return fold(backbones.build_backbone(backbone, weights))


def fold(network: Keras) -> Folded:
    """The kernel and bias of each convolution with the batch norm behind it, if any: the same output from both."""
    folded = {}
    for convolution, norm in _convolutions(network):
        kernel = convolution.weights[0].numpy()
        bias = convolution.weights[1].numpy() if convolution.use_bias else np.zeros(1, np.float32)
        if norm is not None:
            mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
            scale = (norm.gamma.numpy() if norm.scale else 1.0) / np.sqrt(variance + norm.epsilon)
            # A depthwise kernel is [h, w, channels, 1], any other [h, w, in, channels].
            depthwise = isinstance(convolution, tf.keras.layers.DepthwiseConv2D)
            kernel = kernel * (scale[:, None] if depthwise else scale)
            bias = norm.beta.numpy() + (bias - mean) * scale
        folded[convolution.name] = (kernel, bias)
    return folded


def read_bundle(network: Keras, folder: Path) -> Folded:
    """Those of a bundle's model, for the layers of a network of its backbone.

    Raises WeightsError when the model is of another backbone or of one with convolutions that no batch norm follows
    (MobileNetV3, VGG16), whose biases LiteRT puts together with other constants; BundleError.
    """
    found: dict[str, Array] = {}
    model = Interpreter(str(load_bundle(folder).model_path))
    model.allocate_tensors()
    for tensor in model.get_tensor_details():
        # Named after the layers that were put together: "embedder/efficientnetlite0/stem_conv/Conv2D;...".
        parts = tensor["name"].split(";")[0].split("/")
        if tensor["dtype"] == np.float16 and len(parts) > 1:
            found[f"{parts[-2]}:{len(tensor['shape'])}"] = model.get_tensor(tensor["index"]).astype(np.float32)
    folded: Folded = {}
    for convolution, norm in _convolutions(network):
        # LiteRT: a kernel is [channels, h, w, in], a depthwise one [1, h, w, channels], named after its batch norm.
        behind = None if norm is None else norm.name
        kernel, bias = found.get(f"{convolution.name}:4", found.get(f"{behind}:4")), found.get(f"{behind}:1")
        shape = tuple(convolution.weights[0].shape)
        if kernel is None or bias is None or kernel.transpose(1, 2, 3, 0).shape != shape:
            raise WeightsError(f"{folder}: the bundle has no weights for {convolution.name} of {network.name}.")
        folded[convolution.name] = (kernel.transpose(1, 2, 3, 0), bias)
    return folded


def _set(network: Keras, folded: Folded) -> None:
    """Give each convolution its kernel; the batch norm behind it then adds the bias, and does nothing else."""
    for convolution, norm in _convolutions(network):
        kernel, bias = folded[convolution.name]
        convolution.weights[0].assign(kernel)
        if convolution.use_bias:
            convolution.weights[1].assign(np.zeros_like(bias) if norm is not None else bias)
        if norm is not None:
            norm.moving_mean.assign(np.zeros_like(bias))
            norm.moving_variance.assign(np.ones_like(bias) - norm.epsilon)
            norm.beta.assign(bias)
            if norm.scale:
                norm.gamma.assign(np.ones_like(bias))


def _convolutions(network: Keras) -> list[tuple[Any, Any | None]]:
    """Each convolution and the batch norm behind it; None where another layer follows."""
    pairs = []
    for layer in network.layers:
        if isinstance(layer, (tf.keras.layers.Conv2D, tf.keras.layers.DepthwiseConv2D)):
            # A layer has one more node for each model that shares it.
            behind = list({id(node.layer): node.layer for node in layer.outbound_nodes}.values())
            folds = len(behind) == 1 and isinstance(behind[0], tf.keras.layers.BatchNormalization)
            pairs.append((layer, behind[0] if folds else None))
    return pairs
