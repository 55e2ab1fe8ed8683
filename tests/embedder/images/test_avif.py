"""AVIF: its limits count what is coded, whatever its boxes say."""

from __future__ import annotations

import io
import random
import struct

import numpy as np
import pytest
from PIL import Image

from embedder import images
from embedder.errors import ImageError
from embedder.images.avif import read_avif
from tests.support import bombs
from tests.support.avifs import avif, box, grid, grid_avif, item_of
from tests.support.pictures import encode, picture

SCENE = picture(3, (120, 80))


def refused(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        images.decode(data)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value.code


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("size", [(64, 48), (1_001, 3)])
def test_the_pixels_are_those_that_are_coded(mode: str, size: tuple[int, int]) -> None:
    assert read_avif(encode(Image.new(mode, size), "AVIF"))[1] == size[0] * size[1]


def test_a_picture_with_metadata_is_decoded_without_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "z" * 1_000_000
    data = encode(SCENE, "AVIF", quality=100, subsampling="4:4:4", exif=exif, xmp=b"<x/>" * 100_000)
    plain = encode(SCENE, "AVIF", quality=100, subsampling="4:4:4")
    told = Image.open(io.BytesIO(b"".join(read_avif(data)[0]))).info
    assert "xmp" not in told
    assert len(told["exif"]) < 100  # the rotation alone, which is a property of the picture
    turned = images.decode(plain).transpose(Image.Transpose.ROTATE_270)
    assert np.array_equal(np.asarray(images.decode(data)), np.asarray(turned))


def test_an_image_file_whose_brand_is_of_any_coding_is_what_it_is_compatible_with() -> None:
    data = encode(SCENE, "AVIF")
    for brand in (b"mif1", b"msf1", b"miaf", b"heif"):
        general = data.replace(b"ftypavif", b"ftyp" + brand, 1)
        assert images.decoded_format(general) == "AVIF"
        assert images.decode(general).size == SCENE.size
    assert images.other_format(data.replace(b"avif", b"mif1", 2)) == "HEIC"


def test_parts_in_another_order_and_with_long_sizes_are_found() -> None:
    data = encode(SCENE, "AVIF")
    at = data.index(b"mdat") - 4
    long = data[:at] + struct.pack(">I4sQ", 1, b"mdat", len(data) - at + 8) + data[at + 8 :]
    with pytest.raises(ImageError):  # the places of the items are eight bytes off
        images.decode(long)
    padded = data + box(b"uuid", bytes(1_000)) + box(b"free", bytes(10))
    assert np.array_equal(np.asarray(images.decode(padded)), np.asarray(images.decode(data)))
    open_ended = data[:at] + struct.pack(">I", 0) + data[at + 4 :]
    assert np.array_equal(np.asarray(images.decode(open_ended)), np.asarray(images.decode(data)))


@pytest.mark.parametrize("version", [0, 1, 2])
def test_items_of_each_version_are_counted(version: int) -> None:
    coded = item_of(encode(Image.new("RGB", (64, 48)), "AVIF"))
    twice = avif([(0, len(coded)), (len(coded), len(coded))], coded * 2, version=version)
    assert read_avif(twice)[1] == 64 * 48
    many = avif([(number * len(coded), len(coded)) for number in range(40)], coded * 40, version=version)
    assert read_avif(many)[1] == 20 * 64 * 48
    other = avif([(0, len(coded)), (0, 3)], coded, types=[b"av01", b"hvc1"], version=version)
    assert read_avif(other)[1] == 64 * 48


@pytest.mark.parametrize("wide", [False, True])
def test_a_picture_in_tiles_is_decoded_as_these_side_by_side(wide: bool) -> None:
    whole = picture(3, (120, 160))
    files = [encode(whole.crop((0, top, 120, top + 80)), "AVIF") for top in (0, 80)]
    put_together, tiles = grid(2, 1, whole.size, wide=wide), [item_of(one) for one in files]
    data = grid_avif(put_together, tiles, size=whole.size, tile=(120, 80))
    assert read_avif(data)[1] == 120 * 160
    apart = np.concatenate([np.asarray(images.decode(one)) for one in files])
    decoded = np.asarray(images.decode(data))
    assert decoded.shape == apart.shape
    assert set(np.nonzero(decoded != apart)[0]) <= {79, 80}  # colors are smoothed over the seam


@pytest.mark.parametrize("wide", [False, True])
def test_the_largest_size_that_is_stated_counts(wide: bool) -> None:
    coded = item_of(encode(Image.new("RGB", (64, 64)), "AVIF"))
    small, large = (64, 64), (300, 400)
    for size, put_together, tile in ((large, small, small), (small, large, small), (small, small, large)):
        data = grid_avif(grid(1, 1, put_together, wide=wide), [coded], size=size, tile=tile)
        assert read_avif(data)[1] == 300 * 400
    tiles = grid_avif(grid(1, 10, small, wide=wide), [coded] * 10, size=small, tile=large)
    assert read_avif(tiles)[1] == 5 * 300 * 400


def test_other_items_are_hidden_from_the_decoder() -> None:
    coded = item_of(encode(Image.new("RGB", (64, 48)), "AVIF"))
    kinds = [b"av01", b"Exif", b"tmap", b"iden"]
    shown = b"".join(read_avif(avif([(0, len(coded)), *[(0, 3)] * 3], coded, types=kinds))[0])
    assert [shown.count(kind) for kind in (*kinds, b"skip")] == [1, 0, 0, 0, 3]


def test_items_that_are_not_counted_or_there_twice_are_refused() -> None:
    coded = item_of(encode(Image.new("RGB", (64, 48)), "AVIF"))
    parts = [(0, len(coded))] * 2
    assert refused(avif(parts, coded * 2, counted=1)) == "truncated"
    assert refused(avif(parts, coded * 2, counted=3)) == "truncated"
    data = avif(parts[:1], coded)
    for kind in (b"iinf", b"iloc", b"iprp"):
        start = data.index(kind) - 4
        again = data[start : start + struct.unpack_from(">I", data, start)[0]]
        assert refused(avif(parts[:1], coded, more=again)) == "truncated"
    infe = data[data.index(b"infe") - 4 :][: struct.unpack_from(">I", data, data.index(b"infe") - 4)[0]]
    twice = avif(parts, coded * 2).replace(infe.replace(b"\0\1\0\0av01", b"\0\2\0\0av01"), infe)
    assert twice.count(infe) == 2
    assert refused(twice) == "truncated"


def test_brands_and_obus_without_end_are_refused() -> None:
    coded = item_of(encode(Image.new("RGB", (64, 48)), "AVIF"))
    assert refused(avif([(0, len(coded))], coded, brands=b"avis" * 100_000)) == "too_complex"
    endless = coded + bytes([5 << 3 | 2, 0]) * 100_000  # metadata without content
    assert refused(avif([(0, len(endless))], endless)) == "too_complex"


def test_tiles_that_are_more_than_the_limit_together_are_refused() -> None:
    coded = item_of(bombs.flat_avif(2_000))
    tiles = avif([(number * len(coded), len(coded)) for number in range(40)], coded * 40)
    assert refused(tiles) == "too_many_pixels"


def test_items_that_overlap_are_refused() -> None:
    coded = item_of(encode(Image.new("RGB", (64, 48)), "AVIF")) + bytes(5_000)
    assert refused(avif([(0, len(coded))] * 900, coded)) == "too_complex"
    assert refused(avif([(0, 4)] * 1_100, coded)) == "too_complex"


def test_frames_without_end_are_refused() -> None:
    coded = item_of(encode(Image.new("RGB", (64, 48)), "AVIF"))
    assert refused(avif([(0, 9 * len(coded))], coded * 9)) == "too_complex"
    assert read_avif(avif([(0, 3 * len(coded))], coded * 3))[1] == 3 * 64 * 48


def test_boxes_without_end_are_refused() -> None:
    assert refused(box(b"ftyp", b"avif", bytes(4)) + box(b"free") * 100_000) == "too_complex"


def test_a_frame_that_may_choose_its_size_counts_as_the_largest() -> None:
    """A sequence header that is not "reduced" (written by hand): 12 bits for each side."""
    bits = "000" + "1" + "0"  # profile, still picture, not reduced
    bits += "0" + "0"  # neither timing nor initial delays
    bits += "00000" + "0" * 12 + "00100"  # one operating point
    bits += f"{11:04b}{11:04b}" + f"{99:012b}{99:012b}"
    header = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    coded = bytes([1 << 3 | 2, len(header)]) + header + bytes([6 << 3 | 2, 4]) + bytes(4)
    assert read_avif(avif([(0, len(coded))], coded))[1] == 4_096**2
    assert refused(avif([(0, len(coded))], coded)) == "too_many_pixels"


def test_any_end_and_any_byte_of_its_boxes_give_a_picture_or_an_error() -> None:
    data, rng = encode(SCENE, "AVIF", quality=30), random.Random(1)
    for end in range(0, len(data) - 1, 7):
        refused(data[:end])
    head = data.index(b"mdat") + 40
    for _ in range(1_500):
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 2, 5))):
            damaged[rng.randrange(head)] = rng.choice((0, 1, 255, rng.randrange(256)))
        try:
            assert images.decode(bytes(damaged)).mode == "RGB"
        except ImageError as error:
            assert len(str(error).splitlines()) == 1
