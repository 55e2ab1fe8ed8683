"""Weights between two networks, and those of a bundle's model read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder.bundle import RELEASED, load_bundle
from embedder.errors import WeightsError
from embedder.inference import Embedder
from embedder.networks import backbones, embedding_network, folded_weights
from embedder.networks.weights import save_arrays


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)


def stirred(name: str, seed: int) -> tf.keras.Model:
    """A network whose batch norms and biases do something, too."""
    tf.keras.utils.set_random_seed(seed)
    network = backbones.build_backbone(name, "none")
    rng = np.random.default_rng(seed)
    for weight in network.weights:
        if weight.name.startswith("normalization") or "kernel" in weight.name:
            continue
        # The variance and gamma stay above 0.
        weight.assign(weight * rng.uniform(0.7, 1.4, weight.shape) + rng.uniform(0, 0.1, weight.shape))
    return network


@pytest.mark.parametrize("name", ["efficientnetlite0", "mobilenetv3large", "vgg16"])
def test_folded_it_gives_the_same(name: str, photo: np.ndarray) -> None:
    network, folded = stirred(name, 1), backbones.build_backbone(name, "none")
    folded_weights._set(folded, folded_weights.fold(network))
    wanted = network(photo, training=False).numpy()
    assert wanted.std() > 0
    np.testing.assert_allclose(folded(photo, training=False).numpy(), wanted, rtol=1e-3, atol=1e-4 * wanted.max())


def test_the_start_lies_between_two_networks(tmp_path: Path) -> None:
    one, other = stirred("efficientnetlite0", 1), stirred("efficientnetlite0", 2)
    for name, network in (("one", one), ("other", other)):
        save_arrays(network, tmp_path / f"{name}.npz")
    paths = str(tmp_path / "one.npz"), str(tmp_path / "other.npz")
    between = folded_weights.fold(folded_weights.start_from("efficientnetlite0", *paths, 0.25))
    for layer, (kernel, bias) in folded_weights.fold(one).items():
        its_kernel, its_bias = folded_weights.fold(other)[layer]
        np.testing.assert_allclose(between[layer][0], 0.25 * its_kernel + 0.75 * kernel, rtol=2e-2, atol=2e-2)
        np.testing.assert_allclose(between[layer][1], 0.25 * its_bias + 0.75 * bias, rtol=2e-2, atol=2e-2)


def test_a_bundle_is_a_start_that_gives_its_vectors() -> None:
    bundle = load_bundle(RELEASED)
    photo = np.random.default_rng(3).integers(0, 256, (bundle.size, bundle.size, 3), np.uint8)
    backbone = folded_weights.start_from("efficientnetlite0", "released")
    network = embedding_network.build_embedder(backbone, "pooled", bundle.dim)
    model = folded_weights.Interpreter(str(bundle.model_path))
    model.allocate_tensors()
    # The Dense layer of an adapted network has no bias: its kernel is principal components.
    kernel = next(
        model.get_tensor(tensor["index"])
        for tensor in model.get_tensor_details()
        if tensor["dtype"] == np.float16 and tuple(tensor["shape"]) == (bundle.dim, 1280)
    )
    network.get_layer("embedding").set_weights([kernel.T, np.zeros(bundle.dim)])
    found = network(photo[None].astype(np.float32), training=False).numpy()[0]
    assert float(found @ Embedder.open(RELEASED).embed_one(photo)) > 0.999


@pytest.mark.parametrize(
    ("name", "weights"),
    [("mobilenetv2", "released"), ("mobilenetv3large", str(RELEASED.with_name("released-mobilenetv3large")))],
)
def test_a_bundle_of_another_network_is_refused(name: str, weights: str) -> None:
    with pytest.raises(WeightsError, match="the bundle has no weights for"):
        folded_weights.start_from(name, weights)
