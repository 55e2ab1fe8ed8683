"""The print test: it must not say of a pack that it has no print, and it belongs to one model."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from catalog.demo import camera
from catalog.demo.products import products
from embedder.bundle import RELEASED, load_bundle
from embedder.inference import Embedder, print_probe
from tests.support.pictures import encode

CONDITIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda picture: picture,
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(4)),
    "dark": lambda picture: Image.eval(picture, lambda value: value * 0.3),
}


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    """Drawn packs, boxes, bottles and cans, as a till sees them."""
    drawn = [camera.encode(camera.query(product, 0)) for product in products()[::2]]
    return [Image.open(io.BytesIO(raw)).convert("RGB") for raw in drawn]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_no_drawn_pack_is_said_to_have_no_print(condition: str, photos: list[Image.Image], released: Embedder) -> None:
    for photo in photos:
        assert not released.lacks_print(released.embed_bytes(encode(CONDITIONS[condition](photo), quality=85)))


def test_two_sides_are_told_apart_and_what_has_print_is_nearly_never_missed() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(0, 1, (2, 500, 8)) + np.array([3.0, -3.0])[:, np.newaxis, np.newaxis] * np.eye(8)[0]
    plain, printed = (rows / np.linalg.norm(rows, axis=2, keepdims=True)).astype(np.float32)
    probe = print_probe.fit(plain=plain, printed=printed, model="m")
    assert np.mean([probe.lacks_print(row) for row in plain]) > 0.9
    assert sum(probe.lacks_print(row) for row in printed) <= 1


def test_the_released_bundle_has_one_and_a_copy_of_an_older_version_takes_it(tmp_path: Path) -> None:
    bundle = load_bundle(RELEASED)
    probe = print_probe.load(bundle)
    assert probe is not None and probe.weights.shape == (bundle.dim,)
    copy = Path(shutil.copytree(RELEASED, tmp_path / "copy", ignore=shutil.ignore_patterns(print_probe.FILE)))
    again = print_probe.load(load_bundle(copy))
    assert again is not None and again.model == probe.model


def test_a_probe_of_another_model_and_a_damaged_one_are_none(tmp_path: Path) -> None:
    bundle = load_bundle(RELEASED)
    other = replace(bundle, path=Path(shutil.copytree(RELEASED, tmp_path / "other")))
    other.model_path.write_bytes(other.model_path.read_bytes() + b"\0")
    assert print_probe.load(other) is None
    (other.path / print_probe.FILE).write_bytes(b"damaged")
    assert print_probe.load(other) is None
    print_probe.PrintProbe(np.ones(bundle.dim, np.float32), 1.0, print_probe.model_hash(other)).write(other.path)
    found = print_probe.load(other)
    assert found is not None and found.threshold == 1.0
