"""Low-quality photos: the same each time, and worse by every step."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from embedder import datasets, images
from embedder.datasets import degradation
from embedder.errors import ImageError


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, np.float32)


def sharpness(picture: Image.Image) -> float:
    """Mean difference between neighbours, in grey levels."""
    return float(np.abs(np.diff(pixels(picture), axis=1)).mean())


@pytest.fixture
def photo() -> Image.Image:
    """Stripes and noise: detail that there is to lose, 200 x 100."""
    rng = np.random.default_rng(1)
    grey = np.where(np.arange(200) // 8 % 2, 210, 40) + rng.integers(-20, 20, (100, 200))
    return Image.fromarray(np.stack([grey, grey // 2, 255 - grey], axis=2).astype(np.uint8))


@pytest.fixture
def data(photo: Image.Image, encode: Callable[..., bytes]) -> bytes:
    return encode(photo, "PNG")


def test_the_same_each_time_and_another_by_seed_and_by_photo(
    photo: Image.Image, data: bytes, encode: Callable[..., bytes]
) -> None:
    assert datasets.degrade(data, 1) == datasets.degrade(data, 1)
    assert datasets.degrade(data, 1) != datasets.degrade(data, 2)
    rng = np.random.default_rng
    flat = Image.new("RGB", (40, 40), (128, 128, 128))
    np.testing.assert_array_equal(degradation.add_noise(flat, rng(1)), degradation.add_noise(flat, rng(1)))
    noise = [pixels(degradation.add_noise(flat, rng([1, 7, seed]))) for seed in range(2)]
    assert np.abs(noise[0] - noise[1]).mean() > degradation.NOISE / 2


def test_a_degraded_photo_is_a_small_dark_jpeg(data: bytes) -> None:
    worse = datasets.degrade(data, 1)
    with Image.open(io.BytesIO(worse)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (degradation.LONG_SIDE, degradation.LONG_SIDE // 2))
    before = pixels(images.decode(data).resize((48, 24), Image.Resampling.BOX))
    after = pixels(images.decode(worse))
    assert after.mean() == pytest.approx(before.mean() * degradation.BRIGHTNESS, abs=4)
    # What is left of the light apart, the picture is not the one that it was.
    assert np.abs(after - before * degradation.BRIGHTNESS).mean() > degradation.NOISE / 2
    assert len(worse) < len(data) / 10


def test_every_step_does_its_part(photo: Image.Image) -> None:
    small = degradation.shrink(photo)
    assert small.size == (48, 24)
    blurred = degradation.blur(small)
    assert sharpness(blurred) < 0.8 * sharpness(small)
    assert pixels(blurred).mean() == pytest.approx(pixels(small).mean(), abs=1)
    np.testing.assert_allclose(pixels(degradation.dim(small)), pixels(small) * degradation.BRIGHTNESS, atol=1)
    flat = Image.new("RGB", (100, 100), (128, 100, 90))
    noisy = pixels(degradation.add_noise(flat, np.random.default_rng(1))) - pixels(flat)
    assert noisy.std() == pytest.approx(degradation.NOISE, rel=0.05)
    assert noisy.mean() == pytest.approx(0, abs=0.3)
    compressed = images.decode(degradation.compress(small))
    assert compressed.size == small.size
    assert 1 < np.abs(pixels(compressed) - pixels(small)).mean() < 60


def test_small_photos_are_not_enlarged() -> None:
    assert degradation.shrink(Image.new("RGB", (30, 20))).size == (30, 20)


def test_a_long_photo_stays_one_that_is_accepted(encode: Callable[..., bytes]) -> None:
    strip = encode(Image.new("RGB", (2000, 60), (9, 99, 200)), "PNG")
    assert images.decode(datasets.degrade(strip, 1)).size == (degradation.LONG_SIDE, images.MIN_SIDE)


def test_what_is_no_photo() -> None:
    with pytest.raises(ImageError, match="not an image"):
        datasets.degrade(b"text", 1)
