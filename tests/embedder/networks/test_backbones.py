"""Backbones, where they start from, and heads."""

from __future__ import annotations

import functools
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder.errors import WeightsError
from embedder.networks import backbones, embedding_network, weights
from embedder.training import export

pytestmark = pytest.mark.slow

PHOTOS = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3)).astype(np.float32)
STARTS = {
    "efficientnetlite0": "efficientnet-lite0-imagenet.npz",
    "mobilenetv3large": "mobilenetv3large-distilled.npz",
}


#: Each network's preprocessing, as Keras's own function for it or, for Lite0, as its authors say.
PREPROCESSING = {
    "mobilenetv3large": lambda x: tf.keras.applications.imagenet_utils.preprocess_input(x, mode="tf"),
    "mobilenetv3small": lambda x: tf.keras.applications.imagenet_utils.preprocess_input(x, mode="tf"),
    "mobilenetv2": lambda x: tf.keras.applications.mobilenet_v2.preprocess_input(x),
    "efficientnetlite0": lambda x: (x - 127) / 128,
    "efficientnetb0": lambda x: tf.keras.applications.imagenet_utils.preprocess_input(x, mode="torch"),
    "efficientnetv2b0": lambda x: tf.keras.applications.imagenet_utils.preprocess_input(x, mode="torch"),
    "vgg16": lambda x: tf.keras.applications.vgg16.preprocess_input(x),
}
CHANNELS = {
    "mobilenetv3large": 960,
    "mobilenetv3small": 576,
    "mobilenetv2": 1280,
    "efficientnetlite0": 1280,
    "efficientnetb0": 1280,
    "efficientnetv2b0": 1280,
    "vgg16": 512,
}


@functools.cache
def built(name: str) -> Any:
    """A backbone without a start. As Keras builds them, MobileNets shrink what passes until a photo is lost in it."""
    network = backbones.build_backbone(name, "none")
    if name.startswith("mobilenet"):
        for one in network.submodules:
            if isinstance(one, tf.keras.layers.BatchNormalization):
                one.gamma.assign(2.5 * tf.ones_like(one.gamma))
    return network


@pytest.fixture(scope="module")
def lite0() -> Any:
    return backbones.build_backbone("efficientnetlite0", "none")


@pytest.mark.parametrize("backbone", backbones.BACKBONES)
def test_preprocessing_is_in_the_graph(backbone: str) -> None:
    network = built(backbone)
    first = next(
        one for one in network.layers if isinstance(one, tf.keras.layers.Conv2D | tf.keras.layers.ZeroPadding2D)
    )
    seen = tf.keras.Model(network.input, first.input)(PHOTOS).numpy()
    np.testing.assert_allclose(seen, PREPROCESSING[backbone](PHOTOS.copy()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backbone", backbones.BACKBONES)
def test_backbones_take_any_size(backbone: str) -> None:
    network = built(backbone)
    assert network.input_shape == (None, None, None, 3)
    assert network(PHOTOS).shape == (3, 2, 2, CHANNELS[backbone])
    assert network(PHOTOS[:1, :32, :32]).shape == (1, 1, 1, CHANNELS[backbone])


@pytest.mark.parametrize("backbone", backbones.BACKBONES)
def test_litert_gives_the_vectors_of_keras(backbone: str) -> None:
    network = embedding_network.build_embedder(built(backbone), "pooled", 16)
    kept = network(PHOTOS, training=False).numpy()
    interpreter = tf.lite.Interpreter(model_content=export.to_litert(network, 64), num_threads=1)
    interpreter.allocate_tensors()
    photo, vector = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    served = []
    for pixels in PHOTOS.astype(np.uint8):
        interpreter.set_tensor(photo["index"], pixels[np.newaxis])
        interpreter.invoke()
        served.append(interpreter.get_tensor(vector["index"])[0])
    worst, spread = 1 - (np.stack(served) * kept).sum(axis=1).min(), 1 - (kept @ kept.T).min()
    assert worst < 0.001
    assert worst < spread / 50, "the photos' vectors are so near to each other that agreeing says nothing"


@pytest.mark.parametrize("backbone", backbones.BACKBONES)
def test_arrays_go_into_a_network_built_later(backbone: str, tmp_path: Path) -> None:
    """By their names, which Keras must not number, and past the constants of a Normalization layer."""
    network, later = built(backbone), backbones.build_backbone(backbone, "none")
    wanted = {w.name: w.numpy() for w in network.weights if not w.name.startswith("normalization")}
    np.savez(tmp_path / "some.npz", **{name.removesuffix(":0"): array for name, array in wanted.items()})
    weights.load_arrays(later, tmp_path / "some.npz")
    np.testing.assert_allclose(later(PHOTOS).numpy(), network(PHOTOS).numpy(), rtol=1e-3, atol=1e-5)
    rest = [w.name for w in later.weights if w.name not in wanted]
    assert len(later.weights) - len(rest) == len(wanted)
    assert all(name.startswith("normalization") for name in rest)


def test_efficientnetb0_is_one_network_with_and_without_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras builds it with one more layer for its own file, whose `variance` is a deviation: see its source."""
    from keras.src.applications import efficientnet

    monkeypatch.setattr(efficientnet.data_utils, "get_file", lambda *words, **more: str(tmp_path / "b0.h5"))
    whole = tf.keras.applications.EfficientNetB0
    source = whole(include_top=False, weights=None, input_shape=(None, None, 3))
    values = [w.numpy() for w in built("efficientnetb0").weights]
    values[:2] = [np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])]
    source.set_weights(values)
    source.save_weights(tmp_path / "b0.h5")

    theirs = whole(include_top=False, weights="imagenet", input_shape=(None, None, 3))
    ours = backbones.build_backbone("efficientnetb0", "imagenet")
    wanted = theirs(PHOTOS).numpy()
    np.testing.assert_allclose(ours(PHOTOS).numpy(), wanted, atol=1e-4 * np.abs(wanted).max())
    assert [type(one) for one in ours.layers] == [type(one) for one in built("efficientnetb0").layers]
    assert len(theirs.layers) == len(ours.layers) + 1


def start_file(shared: Path, backbone: str) -> Path:
    path = shared / "weights" / STARTS[backbone]
    if not path.is_file():
        pytest.skip(f"{path.name} is not on this machine")
    return path


@pytest.mark.parametrize("backbone", STARTS)
def test_start_file_is_taken_in_full(backbone: str, shared: Path) -> None:
    path = start_file(shared, backbone)
    network = backbones.build_backbone(backbone, str(path))
    weights = {w.name.removesuffix(":0"): w.numpy() for w in network.weights if not w.name.startswith("normalization")}
    with np.load(path) as stored:
        keys = [f"a{i}" for i in range(len(weights))] if "a0" in stored.files else list(weights)
        assert sorted(keys) == sorted(stored.files)
        for key, value in zip(keys, weights.values(), strict=True):
            np.testing.assert_array_equal(value, stored[key].astype(np.float32))


def test_lite0_maps_photos_as_its_start_was_trained(shared: Path) -> None:
    """(x - 127) / 128: for a photo that is all 127, the first convolution sees zeros and gives zeros."""
    network = backbones.build_backbone("efficientnetlite0", str(start_file(shared, "efficientnetlite0")))
    first = tf.keras.Model(network.input, network.get_layer("stem_conv").output)
    assert np.abs(first(np.full((1, 64, 64, 3), 127, np.float32)).numpy()).max() < 1e-4
    bright = first(np.full((1, 64, 64, 3), 255, np.float32)).numpy()[0, 8, 8]
    kernel = network.get_layer("stem_conv").kernel.numpy()
    np.testing.assert_allclose(bright, kernel.sum(axis=(0, 1, 2)), atol=1e-4)  # (255 - 127) / 128 = 1


def test_backbones_can_be_built_twice(lite0: Any) -> None:
    """Keras numbers the names of a second network's layers."""
    again = backbones.build_backbone("efficientnetlite0", "none")
    assert [w.shape for w in again.weights] == [w.shape for w in lite0.weights]


def test_batch_norm_settles_within_a_short_training() -> None:
    """Keras's MobileNetV3 comes with 0.999: a few hundred steps would be served by the statistics of their start."""
    network = backbones.build_backbone("mobilenetv3small", "none")
    norms = [one for one in network.layers if type(one).__name__ == "BatchNormalization"]
    assert len(norms) > 30
    assert {norm.momentum for norm in norms} == {backbones.MOMENTUM}


def arrays_of(network: Any) -> dict[str, Any]:
    return {
        w.name.removesuffix(":0"): np.full(w.shape, 0.5, np.float16)
        for w in network.weights
        if not w.name.startswith("normalization")
    }


def test_arrays_by_name_and_in_order(lite0: Any, tmp_path: Path) -> None:
    arrays = arrays_of(lite0)
    for number, named in enumerate((arrays, {f"a{i}": array for i, array in enumerate(arrays.values())})):
        path = tmp_path / f"{number}.npz"
        np.savez(path, **named)
        lite0.get_layer("top_bn").gamma.assign(tf.zeros(1280))
        weights.load_arrays(lite0, path)
        assert (lite0.get_layer("top_bn").gamma.numpy() == 0.5).all()


def without(arrays: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: array for name, array in arrays.items() if name != key}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda arrays: without(arrays, "top_conv/kernel"), "no array 'top_conv/kernel'"),
        (lambda arrays: {**arrays, "stem_bn/beta": np.zeros(5)}, r"stem_bn/beta is \(5,\), not \(32,\)"),
        (lambda arrays: {f"a{i}": array for i, array in enumerate(list(arrays.values())[:-1])}, "244 arrays"),
        (lambda arrays: {}, "0 arrays, the network has 245"),
    ],
)
def test_arrays_that_do_not_fit_are_named(lite0: Any, tmp_path: Path, change: Any, says: str) -> None:
    np.savez(tmp_path / "some.npz", **change(arrays_of(lite0)))
    with pytest.raises(WeightsError, match=says):
        weights.load_arrays(lite0, tmp_path / "some.npz")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut short", b"\x93NUMPY\x01\x00"])
def test_files_that_are_no_arrays(lite0: Any, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "some.npz").write_bytes(content)
    with pytest.raises(WeightsError, match=r"not an \.npz"):
        weights.load_arrays(lite0, tmp_path / "some.npz")


def test_one_array_in_a_file_of_its_own_is_no_npz(lite0: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "some.npy", np.zeros(3))
    with pytest.raises(WeightsError, match=r"not an \.npz"):
        weights.load_arrays(lite0, tmp_path / "some.npy")


def test_no_such_file(lite0: Any, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere\.npz: no such file"):
        weights.load_arrays(lite0, tmp_path / "nowhere.npz")


def test_imagenet_without_a_download_names_the_way_out() -> None:
    with pytest.raises(WeightsError, match="--weights PATH"):
        backbones.build_backbone("efficientnetlite0", "imagenet")


def test_imagenet_that_cant_be_reached_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home folder decides where Keras looks for earlier downloads, the proxy (nobody listens) where it asks."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it would remember the proxies of its first use
    began = time.monotonic()
    with pytest.raises(WeightsError, match=r"mobilenetv3large can't be downloaded .* --weights PATH"):
        backbones.build_backbone("mobilenetv3large", "imagenet")
    assert time.monotonic() - began < 20


def test_pooled_head_gives_unit_vectors_at_any_size(lite0: Any) -> None:
    network = embedding_network.build_embedder(lite0, "pooled", 24)
    for side in (32, 64):
        vectors = network(PHOTOS[:, :side, :side]).numpy()
        assert vectors.shape == (3, 24)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_flatten_head_is_the_papers(lite0: Any) -> None:
    network = embedding_network.build_embedder(lite0, "flatten", 24, size=64)
    vectors = network(PHOTOS).numpy()
    assert vectors.shape == (3, 24)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert network.get_layer("embedding").kernel.shape == (2 * 2 * 1280, 24)
    with pytest.raises(ValueError, match="fixed size"):
        embedding_network.build_embedder(lite0, "flatten", 24)


def test_embedding_starts_as_a_projection(lite0: Any) -> None:
    kernel = embedding_network.build_embedder(lite0, "pooled", 24).get_layer("embedding").kernel.numpy()
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(24), atol=1e-4)
