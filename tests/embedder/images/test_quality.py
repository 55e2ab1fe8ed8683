from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from embedder import images, matching
from embedder.matching import near_duplicates
from tests.support.drawn import DRAWN, front
from tests.support.pictures import picture

GOOD = picture(1, (640, 480))


def faults(image: Image.Image) -> tuple[str, ...]:
    return images.faults(images.measure(image, min(image.size)))


def test_nothing_speaks_against_an_ordinary_photo() -> None:
    assert faults(GOOD) == ()


@pytest.mark.parametrize(
    ("worse", "fault"),
    [
        (lambda image: image.resize((120, 90)), "too_small"),
        (lambda image: image.point(lambda value: value * 0.25), "too_dark"),
        (lambda image: image.point(lambda value: min(255, 40 + value * 3)), "too_bright"),
        (lambda image: Image.new("RGB", image.size, "white"), "too_bright"),
        (lambda image: image.filter(ImageFilter.GaussianBlur(5)), "too_blurred"),
        (lambda image: image.filter(ImageFilter.BoxBlur((12, 0))), "too_blurred"),
    ],
)
def test_each_fault_is_found_alone(worse, fault: str) -> None:
    assert faults(worse(GOOD)) == (fault,)


def test_a_photo_without_contrast_is_dark_and_not_called_blurred_too() -> None:
    assert faults(Image.new("RGB", (300, 300), (12, 12, 12))) == ("too_dark",)


def test_a_product_on_white_ground_is_not_too_bright() -> None:
    ground = Image.new("RGB", (600, 600), "white")
    ground.paste(GOOD.resize((240, 180)), (180, 210))
    assert faults(ground) == ()


def test_a_large_photo_is_measured_at_one_size() -> None:
    large = GOOD.resize((2560, 1920), Image.Resampling.LANCZOS)
    one, other = images.measure(GOOD, 480), images.measure(large, 1920)
    assert other.sharpness == pytest.approx(one.sharpness, rel=0.15) and other.mean == pytest.approx(one.mean, abs=1)


def saved_again(data: bytes, share: float, jpeg_quality: int) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        size = (round(image.width * share), round(image.height * share))
        image.convert("RGB").resize(size).save(out, "JPEG", quality=jpeg_quality)
    return out.getvalue()


def found(photo: bytes) -> matching.LocalFeatures:
    return matching.extract(photo, matching.REFERENCE)


@pytest.mark.parametrize(("share", "jpeg_quality"), [(1, 50), (0.5, 75), (0.35, 60)])
def test_a_picture_saved_again_is_the_same(share: float, jpeg_quality: int) -> None:
    first = front(DRAWN[2])
    again = saved_again(first, share, jpeg_quality)
    one, other = matching.color_grid_of_photo(first), matching.color_grid_of_photo(again)
    assert matching.is_same_picture(one, other, found(first), found(again))
    assert matching.is_same_picture(one, other)


def test_another_photograph_of_the_same_pack_is_not() -> None:
    one, other = front(DRAWN[2]), front(DRAWN[2], 4)
    assert not matching.is_same_picture(
        matching.color_grid_of_photo(one), matching.color_grid_of_photo(other), found(one), found(other)
    )


def test_colors_that_agree_are_not_enough_where_details_do_not() -> None:
    one = front(DRAWN[2])
    cells = matching.color_grid_of_photo(one)
    assert not matching.is_same_picture(cells, cells, found(one), found(front(DRAWN[5])))


def test_one_cell_that_differs_much_is_another_picture_only_if_there_are_several() -> None:
    cells = np.full((near_duplicates.GRID, near_duplicates.GRID, 3), 200, np.float32)
    one, several = cells.copy(), cells.copy()
    one[3, 3], several[3, 3:12] = 20, 120  # a mark; a band of another color
    assert matching.is_same_picture(cells, one) and not matching.is_same_picture(cells, several)
