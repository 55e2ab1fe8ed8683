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
from tests.support.pictures import encode, picture

SCENE = picture(3, (120, 80))


def refused(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        images.decode(data)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value.code


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def item_of(data: bytes) -> bytes:
    """The coded picture of an AVIF of one item, which is the last of its boxes."""
    return data[data.index(b"mdat") + 4 :]


def avif(parts: list[tuple[int, int]], coded: bytes, *, types: list[bytes] | None = None, version: int = 0) -> bytes:
    """An AVIF whose items (of these types) are parts of `coded`: their start and length."""
    types = types or [b"av01"] * len(parts)
    wide = ">I" if version == 2 else ">H"
    index = struct.pack(wide, len(parts))

    def meta(first: int) -> bytes:
        rows = b"".join(
            struct.pack(wide, number) + (bytes(2) if version else b"") + bytes(2)
            + struct.pack(">HII", 1, first + start, length)
            for number, (start, length) in enumerate(parts, 1)
        )  # fmt: skip
        entries = b"".join(
            box(b"infe", b"\2\0\0\0", struct.pack(">HH", number, 0), kind, b"\0")
            for number, kind in enumerate(types, 1)
        )
        return box(
            b"meta", bytes(4), box(b"hdlr", bytes(8), b"pict", bytes(13)), box(b"pitm", bytes(4), b"\0\1"),
            box(b"iloc", bytes([version, 0, 0, 0, 0x44, 0]), index, rows),
            box(b"iinf", bytes(4), struct.pack(">H", len(parts)), entries),
        )  # fmt: skip

    head = box(b"ftyp", b"avif", bytes(4), b"avifmif1")
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", coded)


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
    general = data.replace(b"ftypavif", b"ftypmif1", 1)
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
