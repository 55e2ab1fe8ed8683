"""Every kind of file that a phone, a scanner or an attacker may send."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from embedder import datasets, images
from embedder.errors import ImageError
from embedder.images import decoding, views

Encode = Callable[..., bytes]


def scene(width: int, height: int) -> Image.Image:
    """A picture of smooth slopes: unlike in every corner, and kind to JPEG."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return Image.fromarray((np.stack([x, y, 1 - x * y], axis=2) * 255).astype(np.uint8))


def difference(one: Any, other: Any) -> float:
    """Mean absolute difference of two pictures of equal shape, in grey levels."""
    return float(np.abs(np.asarray(one).astype(float) - np.asarray(other).astype(float)).mean())


def refused(data: bytes, **options: Any) -> str:
    with pytest.raises(ImageError) as caught:
        images.decode(data, **options)
    return caught.value.code


def png(width: int, height: int, pixels: bytes) -> bytes:
    """An RGB PNG by hand: its header says width x height, whatever the (compressed) pixels are."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_nothing_and_no_image_are_told_apart() -> None:
    assert refused(b"") == "empty"
    assert refused(b"Dear Sir or Madam, please find attached") == "not_an_image"
    assert refused(b"%PDF-1.7\n" + bytes(200)) == "not_an_image"
    assert refused(b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>") == "not_an_image"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "TIFF"])
def test_truncated_file_is_refused(form: str, encode: Encode) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8))
    data = encode(noise, form)
    assert refused(data[: len(data) * 2 // 3]) in ("truncated", "not_an_image")
    assert refused(data[: len(data) * 2 // 3], want=16) in ("truncated", "not_an_image")


def test_truncated_jpeg_and_png_say_so(encode: Encode) -> None:
    for form in ("JPEG", "PNG"):
        data = encode(scene(200, 150), form)
        assert refused(data[: len(data) - 200]) == "truncated"


@pytest.mark.parametrize("side", [14_200, 60_000])  # 202 megapixels, and the 3,600 that Pillow itself calls a bomb
def test_huge_picture_is_refused_by_its_header(side: int) -> None:
    data = png(side, side, zlib.compress(bytes(40_000_000), 1))
    assert len(data) < 1_000_000
    tracemalloc.start()
    began = time.perf_counter()
    code = refused(data, want=224)
    seconds, peak = time.perf_counter() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code == "too_many_pixels"
    assert seconds < 0.5
    assert peak < 20_000_000


def test_pixels_between_the_limit_and_pillows_warning_are_refused() -> None:
    assert refused(png(9_800, 9_800, zlib.compress(b""))) == "too_many_pixels"


def test_too_many_bytes() -> None:
    assert refused(bytes(images.MAX_BYTES + 1)) == "too_large"
    assert refused(bytes(101), limits=images.Limits(max_bytes=100)) == "too_large"


def test_too_few_pixels(encode: Encode) -> None:
    assert refused(encode(scene(1, 1), "PNG")) == "too_small"
    assert refused(encode(scene(300, 7), "JPEG")) == "too_small"
    assert images.decode(encode(scene(300, 8), "JPEG")).size == (300, 8)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG"])
def test_each_format_opens(form: str, encode: Encode) -> None:
    picture = scene(64, 48)
    opened = images.decode(encode(picture, form))
    assert (opened.mode, opened.size) == ("RGB", (64, 48))
    assert difference(opened, picture) < 8


def test_png_opens_in_a_fresh_process(encode: Encode, tmp_path: Path) -> None:
    """Pillow loads its formats one by one: what opens must not depend on what was opened before."""
    for form in ("PNG", "WEBP", "AVIF", "TIFF"):
        (tmp_path / form).write_bytes(encode(scene(20, 20), form))
        code = f"from embedder import images; print(images.decode(open({str(tmp_path / form)!r}, 'rb').read()).size)"
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert ran.stdout == "(20, 20)\n", ran.stderr


def test_cmyk_jpeg_becomes_rgb(encode: Encode) -> None:
    red = Image.new("RGB", (40, 40), (220, 30, 30)).convert("CMYK")
    opened = images.decode(encode(red, "JPEG"))
    assert opened.mode == "RGB"
    assert difference(opened, Image.new("RGB", (40, 40), (220, 30, 30))) < 12


def test_deep_grey_png_is_scaled_not_clipped(encode: Encode) -> None:
    slope = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    opened = np.asarray(images.decode(encode(Image.fromarray(slope), "PNG")))
    assert opened.mean() == pytest.approx(127, abs=1)
    assert (opened[0, 0].max(), opened[-1, -1].min()) == (0, 255)


def test_deep_rgb_png_is_scaled_not_clipped() -> None:
    _, data = cv2.imencode(".png", np.full((32, 32, 3), 40_000, np.uint16))
    assert np.asarray(images.decode(data.tobytes())).mean() == pytest.approx(40_000 / 257, abs=1)


def test_float_and_32_bit_tiffs_are_scaled(encode: Encode) -> None:
    slope = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    assert np.asarray(images.decode(encode(Image.fromarray(slope), "TIFF"))).mean() == pytest.approx(127, abs=1)
    whole = (slope.astype(np.float64) * (2**31 - 1)).astype(np.int32)
    assert np.asarray(images.decode(encode(Image.fromarray(whole), "TIFF"))).mean() == pytest.approx(127, abs=1)
    slope[3, 3], slope[4, 4] = np.nan, np.inf
    assert np.asarray(images.decode(encode(Image.fromarray(slope), "TIFF"))).mean() == pytest.approx(127, abs=1)


def test_animation_gives_its_first_frame(encode: Encode) -> None:
    frames = [Image.new("RGB", (30, 30), color) for color in ("red", "lime", "blue")]
    for form in ("GIF", "WEBP", "AVIF", "PNG"):
        opened = images.decode(encode(frames[0], form, save_all=True, append_images=frames[1:]))
        assert difference(opened, frames[0]) < 4, form


def test_mpo_opens_as_the_jpeg_that_it_is(encode: Encode) -> None:
    data = encode(scene(60, 40), "MPO", save_all=True, append_images=[scene(60, 40)])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert difference(images.decode(data), scene(60, 40)) < 3
    assert images.dimensions(data) == (60, 40)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_gives_the_same_upright_picture(form: str, orientation: int, encode: Encode) -> None:
    upright = scene(64, 40)
    # How the sensor saw it: the inverse of what the EXIF value tells a viewer to do.
    inverse = {**decoding.TURNS, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    stored = upright.transpose(inverse[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(stored, form, exif=exif)
    assert images.dimensions(data) == (64, 40)
    assert difference(images.decode(data), upright) < 4
    assert difference(images.load(data, 32), images.fit(upright, 32)) < 4


def test_orientation_six_is_a_quarter_turn_clockwise(encode: Encode) -> None:
    """By the EXIF standard, not by this package's table: row 0 is the right side of the scene."""
    stored = Image.new("RGB", (60, 40))
    stored.paste((255, 255, 255), (0, 0, 60, 8))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = np.asarray(images.decode(encode(stored, "PNG", exif=exif)))
    assert upright.shape == (60, 40, 3)
    assert upright[:, -8:].min() == 255
    assert upright[:, :-8].max() == 0


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow says that the EXIF is odd: that is what is tested
def test_damaged_exif_does_not_spoil_a_photo(encode: Encode) -> None:
    for exif in (b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0garbage", b"Exif\0\0"):
        data = encode(scene(64, 40), "JPEG", exif=exif)
        assert images.decode(data).size == (64, 40)
        assert images.dimensions(data) == (64, 40)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white(mode: str, encode: Encode) -> None:
    picture = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 40, 20))
    pixels = np.asarray(images.decode(encode(picture.convert(mode), "PNG")))
    assert pixels[:19].max() < 10
    assert pixels[21:].min() > 245


def test_half_transparent_is_half_white(encode: Encode) -> None:
    data = encode(Image.new("RGBA", (20, 20), (0, 0, 0, 128)), "PNG")
    assert np.asarray(images.decode(data)).mean() == pytest.approx(127, abs=1)


def test_transparent_palette_color_is_white(encode: Encode) -> None:
    picture = Image.new("P", (20, 20), 1)
    picture.putpalette([0, 0, 0, 10, 200, 10])
    for form in ("PNG", "GIF"):
        assert np.asarray(images.decode(encode(picture, form, transparency=1))).min() == 255, form


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("size", [(640, 480), (1600, 1200), (3000, 90)])
def test_pictures_of_several_sizes_are_those_of_a_decoding_each(
    kind: str, size: tuple[int, int], encode: Encode
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(scene(*size), kind, exif=exif)
    wants = (320, 192, 240, 512, None)
    together = images.decode_each(data, wants)
    for want, picture in zip(wants, together, strict=True):
        alone = images.decode(data, want=want)
        assert picture.size == alone.size
        assert picture.tobytes() == alone.tobytes()


@pytest.mark.parametrize(
    ("kind", "size", "times"), [("JPEG", (640, 480), 1), ("JPEG", (1600, 1200), 2), ("PNG", (1600, 1200), 1)]
)
def test_a_file_is_decoded_once_for_several_sizes(
    kind: str, size: tuple[int, int], times: int, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A JPEG once for each scale, which it takes while it is decoded."""
    read: list[str] = []
    load = ImageFile.ImageFile.load

    def counted(picture: ImageFile.ImageFile) -> Any:
        if picture.tile:  # empty once the pixels are there
            read.append(kind)
        return load(picture)

    monkeypatch.setattr(ImageFile.ImageFile, "load", counted)
    images.decode_each(encode(scene(*size), kind), (320, 192, 240, 512))
    assert len(read) == times


@pytest.mark.parametrize("size", [(2400, 1800), (1800, 2400), (3000, 700)])
def test_draft_gives_about_the_pixels_of_a_full_decode(size: tuple[int, int], encode: Encode) -> None:
    picture = scene(*size)
    rng = np.random.default_rng(3)
    for _ in range(40):  # edges, so that there is something to lose
        x, y = int(rng.integers(0, size[0] - 200)), int(rng.integers(0, size[1] - 200))
        picture.paste(tuple(rng.integers(0, 255, 3).tolist()), (x, y, x + 200, y + 200))
    data = encode(picture, "JPEG", quality=92)
    assert images.decode(data, want=160).size < size  # the draft was taken
    assert difference(images.load(data, 160), images.fit(images.decode(data), 160)) < 2


def test_fit_letterboxes_a_wide_picture() -> None:
    pixels = images.fit(Image.new("RGB", (200, 100), (250, 0, 0)), 64)
    assert (pixels.shape, pixels.dtype) == ((64, 64, 3), np.uint8)
    assert (pixels[:16] == views.FILL).all()
    assert (pixels[48:] == views.FILL).all()
    assert (pixels[16:48] == (250, 0, 0)).all()


def test_fit_letterboxes_a_tall_picture() -> None:
    pixels = images.fit(Image.new("RGB", (50, 200), (0, 0, 250)), 64)
    assert (pixels[:, :24] == views.FILL).all()
    assert (pixels[:, 40:] == views.FILL).all()
    assert (pixels[:, 24:40] == (0, 0, 250)).all()


def test_fit_takes_extremes() -> None:
    assert images.fit(Image.new("RGB", (9_000, 8), "white"), 32).shape == (32, 32, 3)
    assert (images.fit(Image.new("RGB", (8, 8), "white"), 32) == 255).all()


def test_views_are_the_whole_and_its_middle() -> None:
    picture = Image.new("RGB", (200, 100), "red")
    picture.paste((0, 0, 255), (60, 10, 140, 90))  # the square in the middle, 80 % of the height
    whole, centre = images.view(picture, 40, "whole"), images.view(picture, 40, "centre")
    np.testing.assert_array_equal(whole, images.fit(picture, 40))
    assert (centre == (0, 0, 255)).all()
    assert images.view(Image.new("RGB", (8, 900)), 32, "centre").shape == (32, 32, 3)
    with pytest.raises(ValueError, match="no such view: left"):
        images.view(picture, 40, "left")


def test_dimensions_refuses_what_is_no_image() -> None:
    for data in (b"", b"text", png(60_000, 60_000, b"")):
        with pytest.raises(ImageError):
            images.dimensions(data)


@pytest.mark.parametrize(
    ("start", "form"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"8BPS\0\1", "Photoshop"),
    ],
)
def test_a_format_that_is_not_decoded_is_named(start: bytes, form: str) -> None:
    assert (images.other_format(start), images.decoded_format(start)) == (form, None)
    with pytest.raises(ImageError, match=f"TIFF\\): it is {form}") as caught:
        images.decode(start + bytes(1000))
    assert caught.value.code == "not_an_image"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF"])
def test_formats_that_are_decoded_are_known_by_their_first_bytes(form: str, encode: Encode) -> None:
    start = encode(Image.new("RGB", (16, 16)), form)[: images.HEAD]
    assert (images.decoded_format(start), images.other_format(start)) == (form, None)
    for other in (b"", b"BM, a text", b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", b"%PDF-1.7"):
        assert images.decoded_format(other) is images.other_format(other) is None


def test_find_photos(tmp_path: Path) -> None:
    for name in (
        "one/apples/green/a.jpg",
        "one/apples/green/B.JPG",
        "one/pears/c.webp",
        "two/x/y/z/green/d.png",
        "two/top.tiff",
        "two/pears/notes.txt",
        "two/pears/.hidden.jpg",
        "two/.thumbnails/e.jpg",
        "two/empty/README",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "two/pears/folder.jpg").mkdir()
    found = datasets.find_photos(tmp_path / "one", tmp_path / "two")
    assert {sku: [path.name for path in paths] for sku, paths in found.items()} == {
        "green": ["B.JPG", "a.jpg", "d.png"],
        "pears": ["c.webp"],
        "two": ["top.tiff"],
    }
    assert list(found) == sorted(found)


def test_find_photos_names_the_folder_that_it_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mugs").mkdir()
    (tmp_path / "mugs/a.jpg").touch()
    monkeypatch.chdir(tmp_path / "mugs")
    assert datasets.find_photos(Path()) == {"mugs": [Path("a.jpg")]}


def test_find_photos_needs_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        datasets.find_photos(tmp_path / "nowhere")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns of damage; what counts is what is raised
@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF"])
def test_damaged_bytes_never_raise_anything_but_image_errors(form: str, encode: Encode) -> None:
    rng = random.Random(form)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if form in ("GIF", "BMP") else {"exif": exif}
    data = encode(scene(48, 36), form, **options)
    outcomes = set()
    for _ in range(250):
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 1, 3, 10))):
            damaged[rng.randrange(min(len(damaged), rng.choice((64, 400, len(damaged)))))] = rng.randrange(256)
        if rng.random() < 0.2:
            del damaged[rng.randrange(len(damaged)) :]
        for call in (lambda raw: images.load(raw, 32), images.decode, images.dimensions):
            try:
                call(bytes(damaged))
                outcomes.add("ok")
            except ImageError as error:
                assert len(str(error).splitlines()) == 1
                outcomes.add(error.code)
    assert {"ok", "not_an_image"} <= outcomes
