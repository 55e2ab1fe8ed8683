"""What is seen of a reference's print in a photo: drawn packs, brought into a photo by a known map."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

from embedder.matching import Appearance, compare, compare_coarse
from embedder.matching.appearance import CELL, Pixels, cells, picture
from tests.support.pictures import encode

Outline = npt.NDArray[np.float32]
OUTLINE = np.array([(0.2, 0.15), (0.75, 0.22), (0.7, 0.85), (0.24, 0.9)], np.float32)


def pack(seed: int, ground: tuple[int, int, int] = (180, 120, 60)) -> Image.Image:
    rng = np.random.default_rng(seed)
    drawn = Image.new("RGB", (180, 240), ground)
    pen = ImageDraw.Draw(drawn)
    for _ in range(90):
        corners = rng.uniform(0, (180, 240), (1, 2)) + rng.normal(0, 14, (3, 2))
        pen.polygon([tuple(corner) for corner in corners.tolist()], fill=tuple(rng.integers(0, 255, 3).tolist()))
    return drawn


def photograph(seen: Image.Image, outline: Outline = OUTLINE) -> Pixels:
    """The pack where the outline says, on a ground of other print."""
    pixels = np.asarray(seen)
    height, width = pixels.shape[:2]
    photo = np.asarray(pack(99).resize((320, 240)))
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    by = cv2.getPerspectiveTransform(corners, outline * np.array([320, 240], np.float32))
    there = cv2.warpPerspective(np.full((height, width), 255, np.uint8), by, (320, 240))
    return np.where(there[..., None] > 127, cv2.warpPerspective(pixels, by, (320, 240)), photo).astype(np.uint8)


def seen_of(reference: Image.Image, photo: Pixels) -> Appearance:
    found = compare(np.asarray(reference), photo, OUTLINE)
    assert found is not None
    return found


def test_the_same_print_is_seen_at_its_place_and_another_packs_is_not() -> None:
    same, other = seen_of(pack(1), photograph(pack(1))), seen_of(pack(1), photograph(pack(2)))
    assert same.agreement > 0.8 > 0.45 > other.agreement
    assert same.cells > 20


def test_a_place_that_is_a_few_pixels_off_is_found_and_one_that_is_not_near_is_not() -> None:
    photo = photograph(pack(1))
    near, far = (compare(np.asarray(pack(1)), photo, OUTLINE + np.float32(shift)) for shift in (0.01, 0.12))
    assert near is not None and far is not None
    assert near.agreement > 0.75 > far.agreement + 0.3


def test_another_flavour_is_seen_where_it_differs() -> None:
    flavour = pack(1)
    flavour.paste(pack(5).crop((0, 0, 180, 130)), (0, 60))
    other, same = (seen_of(pack(1), photograph(one)) for one in (flavour, pack(1)))
    assert other.agreement < same.agreement - 0.2
    assert other.least < same.least - 0.5


def test_another_name_on_the_same_large_shapes_is_told_apart() -> None:
    """Light and dark are in the same places: only the fine print differs."""

    def design(name: str) -> Image.Image:
        drawn = Image.new("RGB", (180, 240), (240, 235, 220))
        pen = ImageDraw.Draw(drawn)
        for row in range(6):
            ground = (40, 60, 140) if row % 2 else (250, 240, 200)
            pen.rectangle((10, 8 + 38 * row, 170, 40 + 38 * row), fill=ground)
            pen.text((14, 8 + 38 * row), name, (240, 240, 240) if row % 2 else (30, 30, 60), ImageFont.load_default(28))
        return drawn

    same, other = (seen_of(design("VELMORA 4"), photograph(design(name))) for name in ("VELMORA 4", "NOIRETTE"))
    coarse = compare_coarse(np.asarray(design("VELMORA 4")), photograph(design("NOIRETTE")), OUTLINE)
    assert same.agreement > 0.85
    assert same.agreement - other.agreement > 0.25
    assert coarse is not None and coarse.agreement > other.agreement + 0.1


def test_what_is_covered_by_a_hand_or_glare_says_nothing() -> None:
    covered = pack(1)
    pen = ImageDraw.Draw(covered)
    pen.rectangle((0, 170, 180, 240), fill=(203, 152, 121))
    pen.rectangle((0, 0, 60, 60), fill=(255, 255, 255))
    hidden, whole = seen_of(pack(1), photograph(covered)), seen_of(pack(1), photograph(pack(1)))
    assert hidden.cells < 0.8 * whole.cells
    assert hidden.agreement > 0.7


def test_light_does_not_change_the_colour_and_another_hue_does() -> None:
    reference = pack(1)
    dark = Image.fromarray((np.asarray(reference) * 0.6).astype(np.uint8))
    rotated = Image.fromarray(np.ascontiguousarray(np.asarray(reference)[..., [1, 2, 0]]))
    assert seen_of(reference, photograph(dark)).colour < 0.03 < 0.1 < seen_of(reference, photograph(rotated)).colour


def test_what_a_camera_does_to_all_colours_is_not_another_hue() -> None:
    reference = pack(1)
    pixels = np.asarray(reference).astype(float)
    warm = pixels * (1.1, 1.0, 0.9)
    pale = 0.6 * pixels + 0.4 * pixels.mean(axis=2, keepdims=True)
    for seen in (warm, pale):
        photo = photograph(Image.fromarray(seen.clip(0, 255).astype(np.uint8)))
        assert seen_of(reference, photo).colour < 0.06
        before = compare_coarse(np.asarray(reference), photo, OUTLINE)
        assert before is not None


def test_the_same_pack_in_another_colour_is_another_hue() -> None:
    """One base colour over most of the pack, as of a family's flavours, has no more room than a camera's cast."""
    navy, purple = (pack(1, ground) for ground in ((28, 61, 142), (122, 31, 124)))
    assert seen_of(navy, photograph(purple)).colour > seen_of(navy, photograph(navy)).colour + 0.05


def test_the_plain_ground_of_a_catalog_picture_is_no_print() -> None:
    wide = Image.new("RGB", (340, 400), "white")
    wide.paste(pack(1), (80, 80))
    everywhere = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    by_hand = np.full((400, 340, 3), 90, np.uint8)
    by_hand[80:320, 80:260] = np.asarray(pack(1))
    found = compare(np.asarray(wide), by_hand, everywhere)
    assert found is not None and found.agreement > 0.9
    inner = cells(np.asarray(wide), by_hand, everywhere)
    assert 0 < len(inner) <= (100 // CELL + 1) * (140 // CELL + 1)


@pytest.mark.parametrize("shade", [128, 255])
def test_without_print_nothing_is_said(shade: int) -> None:
    plain = np.full((200, 150, 3), shade, np.uint8)
    assert compare(plain, photograph(pack(1)), OUTLINE) is None


def test_a_place_outside_of_the_photo_is_not_seen() -> None:
    assert compare(np.asarray(pack(1)), photograph(pack(1)), OUTLINE + np.float32(1.5)) is None


def test_a_picture_is_no_larger_than_asked_and_never_enlarged() -> None:
    assert picture(encode(pack(1).resize((900, 1200))), 240).shape == (240, 180, 3)
    assert picture(encode(pack(1)), 500).shape == (240, 180, 3)
