"""Synthetic views: functions of their seed, for pictures of any shape, in which the product can be seen."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from embedder.adaptation import synthetic_views
from embedder.adaptation.synthetic_views import synthesize


@pytest.fixture(scope="module")
def pack() -> Image.Image:
    picture = Image.new("RGB", (120, 180), "white")
    ImageDraw.Draw(picture).rectangle((30, 20, 90, 160), fill=(200, 30, 30))
    return picture


@pytest.fixture(scope="module")
def shelf() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 140, 3), np.uint8))


def test_the_seed_decides(pack: Image.Image, shelf: Image.Image) -> None:
    one, same, other = (synthesize(pack, 64, np.random.default_rng(seed), shelf) for seed in (3, 3, 4))
    assert (one.shape, one.dtype) == ((64, 64, 3), np.uint8)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("size", [(8, 300), (300, 8), (9, 9), (400, 300)])
def test_any_shape_of_picture_will_do(size: tuple[int, int], shelf: Image.Image) -> None:
    for seed in range(40):
        view = synthesize(Image.new("RGB", size, (90, 120, 40)), 48, np.random.default_rng(seed), shelf)
        assert view.shape == (48, 48, 3)


def test_the_product_is_in_nearly_every_view(pack: Image.Image) -> None:
    """Red, before any ground and in any light."""
    seen = 0
    for seed in range(60):
        view = synthesize(pack, 64, np.random.default_rng(seed), None).astype(int)
        seen += bool((view[..., 0] - view[..., 1:].max(axis=-1) > 30).mean() > 0.02)
    assert seen >= 54


def test_white_round_a_product_is_background(pack: Image.Image) -> None:
    white = synthetic_views._white(np.array(pack))
    assert white is not None
    assert white[5, 5] == 1 and white[90, 60] == 0
    assert white.mean() == pytest.approx(1 - (61 * 141) / (120 * 180), abs=0.01)


def test_a_picture_without_white_corners_stays_whole() -> None:
    assert synthetic_views._white(np.full((40, 40, 3), 120, np.uint8)) is None


def test_a_white_product_is_not_cut_away() -> None:
    assert synthetic_views._white(np.full((40, 40, 3), 255, np.uint8)) is None


def test_bent_round_a_cylinder_the_middle_is_wider_and_the_rim_narrower() -> None:
    stripes = np.repeat(np.arange(200, dtype=np.float32)[None], 3, axis=0)
    bent = synthetic_views._bend(stripes, 1.2)[1]
    assert bent[100] == pytest.approx(100, abs=1)
    assert bent[110] - bent[90] < 20 < bent[199] - bent[179]
