"""Keypoints and descriptors: what is found, that it is the same each time, and a file that never reads as garbage."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedder import matching
from embedder.errors import DetailsError, ImageError
from embedder.matching import (
    QUERY,
    REFERENCE,
    LocalFeatures,
    extract,
    feature_file,
    from_bytes,
    local_features,
    to_bytes,
)
from embedder.matching.local_features import DetectorSettings, detect

Encode = Callable[..., bytes]


def blocks(width: int = 300, height: int = 220, seed: int = 1) -> Image.Image:
    """A picture of random colored blocks, softly edged: corners everywhere."""
    small = np.random.default_rng(seed).integers(0, 255, (height // 10, width // 10, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def found() -> LocalFeatures:
    return detect(blocks(), QUERY)


def same(one: LocalFeatures, other: LocalFeatures) -> bool:
    return (
        (one.width, one.height) == (other.width, other.height)
        and np.array_equal(one.points, other.points)
        and np.array_equal(one.descriptors, other.descriptors)
    )


def test_shapes_types_and_places(found: LocalFeatures) -> None:
    count = len(found)
    assert 200 < count <= QUERY.count
    assert (found.points.shape, found.points.dtype) == ((count, 4), np.float32)
    assert (found.descriptors.shape, found.descriptors.dtype) == ((count, 128), np.uint8)
    x, y, size, angle = found.points.T
    assert (found.width, found.height) == (300, 220)
    assert x.min() >= 0 and y.min() >= 0 and size.min() > 0 and angle.min() >= 0
    assert 220 < x.max() <= 300 and 150 < y.max() <= 220 and angle.max() <= 360


def test_a_square_is_found_where_it_is() -> None:
    pixels = np.full((200, 300, 3), 60, np.uint8)
    pixels[90:110, 190:210] = 220
    seen = detect(Image.fromarray(pixels), QUERY)
    distances = np.hypot(seen.points[:, 0] - 199.5, seen.points[:, 1] - 99.5)
    assert distances.min() < 0.5, "the middle of the square is the strongest blob"
    assert distances.max() < 40, "and the empty ground has none"


@pytest.mark.parametrize(
    ("size", "scaled"), [((1200, 800), (320, 213)), ((300, 900), (107, 320)), ((320, 320), (320, 320)), ((90, 60),) * 2]
)
def test_longer_side_is_at_most_320_and_nothing_is_enlarged(size: tuple[int, int], scaled: tuple[int, int]) -> None:
    seen = detect(blocks(*size), QUERY)
    assert (seen.width, seen.height) == scaled


def test_a_reference_photo_is_looked_at_from_further_away() -> None:
    seen = detect(blocks(900, 600), REFERENCE)
    assert (seen.width, seen.height) == (240, 160)
    assert len(seen) <= 400


def test_the_strongest_are_kept_however_many_there_are() -> None:
    noise = Image.fromarray(np.random.default_rng(3).integers(0, 255, (400, 400, 3), np.uint8))
    few, many = (detect(noise, DetectorSettings(QUERY.side, count)) for count in (100, 300))
    assert (len(few), len(many)) == (100, 300)
    # At the edge are many of one strength.
    assert set(map(tuple, few.points[:90, :3].tolist())) <= set(map(tuple, many.points[:110, :3].tolist()))


@pytest.mark.parametrize("color", ["white", "black", (90, 120, 40)])
@pytest.mark.parametrize("size", [(64, 64), (8, 8), (2000, 8)])
def test_nothing_printed_gives_none_and_no_error(color: Any, size: tuple[int, int]) -> None:
    seen = detect(Image.new("RGB", size, color), REFERENCE)
    assert len(seen) == 0
    assert seen.points.shape == (0, 4) and seen.descriptors.shape == (0, 128)
    assert same(from_bytes(to_bytes(seen)), seen)


def test_root_sift_is_of_unit_length_and_its_product_the_hellinger_kernel() -> None:
    sift = np.random.default_rng(4).integers(0, 120, (6, 128)).astype(np.float32)
    roots = local_features.root(sift).astype(np.float64) / local_features.UNIT
    assert np.linalg.norm(roots, axis=1) == pytest.approx(1, abs=0.01)
    shares = sift / sift.sum(axis=1, keepdims=True)
    assert roots @ roots.T == pytest.approx(np.sqrt(shares[:, np.newaxis] * shares).sum(axis=2), abs=0.01)


def test_root_sift_of_extremes_stays_in_a_byte() -> None:
    sift = np.zeros((2, 128), np.float32)
    sift[1, 5] = 255
    assert local_features.root(sift)[:, 4:7].tolist() == [[0, 0, 0], [0, 255, 0]]


def test_same_photo_same_details_in_any_thread(found: LocalFeatures) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert all(same(again, found) for again in pool.map(lambda _: detect(blocks(), QUERY), range(8)))


def test_a_photo_is_turned_upright_first(encode: Encode) -> None:
    picture = blocks()
    sideways = picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = extract(encode(picture, "PNG"), QUERY)
    assert same(upright, detect(picture, QUERY))
    assert same(extract(encode(sideways, "PNG", exif=exif), QUERY), upright)
    assert not same(extract(encode(sideways, "PNG"), QUERY), upright)


def test_no_photo_is_an_image_error() -> None:
    with pytest.raises(ImageError):
        extract(b"no photo", QUERY)


def test_file_gives_back_what_was_found(found: LocalFeatures) -> None:
    raw = to_bytes(found)
    assert len(raw) == 16 + 136 * len(found)
    back = from_bytes(raw)
    assert same(back, found)
    assert back.points.dtype == np.float32 and to_bytes(back) == raw


def refused(raw: bytes) -> str:
    with pytest.raises(DetailsError) as caught:
        from_bytes(raw)
    return str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 11, 12, 15, 16, 17, 1000, -1])
def test_file_cut_short_is_refused(found: LocalFeatures, length: int) -> None:
    refused(to_bytes(found)[:length])


def test_file_with_more_behind_it_is_refused(found: LocalFeatures) -> None:
    assert "need" in refused(to_bytes(found) + b"\0")
    assert "need" in refused(to_bytes(found) * 2)


def test_any_byte_changed_is_refused(found: LocalFeatures) -> None:
    raw = to_bytes(LocalFeatures(found.points[:3], found.descriptors[:3], found.width, found.height))
    for place in range(len(raw)):
        for flipped in (0x01, 0x80, 0xFF):
            refused(raw[:place] + bytes([raw[place] ^ flipped]) + raw[place + 1 :])


def test_another_kind_and_another_version_are_told_apart(found: LocalFeatures, encode: Encode) -> None:
    assert "does not begin" in refused(encode(blocks(), "PNG"))
    later = struct.pack("<4s4H", feature_file.MAGIC, matching.VERSION + 1, 300, 220, 0)
    assert "version 3" in refused(later + struct.pack("<I", zlib.crc32(later)))


@pytest.mark.parametrize("wrong", [-1.0, 2000.0, float("nan"), float("inf")])
def test_what_does_not_fit_the_file_is_refused_and_not_written(found: LocalFeatures, wrong: float) -> None:
    points = found.points.copy()
    points[7, 2] = wrong
    with pytest.raises(DetailsError):
        to_bytes(LocalFeatures(points, found.descriptors, found.width, found.height))


def test_points_without_their_descriptors_are_refused(found: LocalFeatures) -> None:
    with pytest.raises(DetailsError):
        to_bytes(LocalFeatures(found.points, found.descriptors[1:], found.width, found.height))
