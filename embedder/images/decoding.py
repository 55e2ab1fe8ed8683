"""Image decoding: bytes of a file -> upright RGB picture, within limits; the ONE path for training and serving.

`views.fit` makes the network's square input of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import (
    AvifImagePlugin,
    Image,
    TiffImagePlugin,  # noqa: F401  (registers itself: without it Pillow imports all of its plugins)
    WebPImagePlugin,  # noqa: F401
)

from embedder.errors import ImageError
from embedder.images.color_profiles import to_srgb
from embedder.images.memory import decoding_budget
from embedder.images.reader import Reader
from embedder.images.structure import Kind, Structure, orientation, read_structure, unreadable

Pixels = npt.NDArray[np.uint8]

# A photo is decoded by the thread that asks for it; others have their own photos.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

#: Formats that are opened at all: every decoder is attack surface. JPEG includes MPO, the JPEG of some phones.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
MAX_BYTES = 25 * 1024 * 1024
#: A phone's 50 megapixels pass. Checked in the header, before decoding, so a decompression bomb costs nothing.
MAX_PIXELS = 64_000_000
#: Of the other kinds all pixels are held at once, however small the picture is needed: of a TIFF twice, since Pillow
#: turns it, of a WebP or AVIF four times. So the largest of each fits into memory.BUDGET.
PIXELS_OF_KIND: dict[Kind, int] = {
    "jpeg": MAX_PIXELS, "progressive": 32_000_000, "png": 32_000_000, "gif": 32_000_000, "bmp": 32_000_000,
    "tiff": 24_000_000, "webp": 13_000_000, "avif": 13_000_000,
}  # fmt: skip
#: What decoding holds for each pixel, in bytes (measured: Pillow 13, its buffers and the decoder's). Of a JPEG it is of
#: each pixel at the scale at which it is decoded.
BYTES_OF_PIXEL: dict[Kind, float] = {
    "jpeg": 4.5, "progressive": 4.5, "png": 4.5, "webp": 17.0, "avif": 17.0, "gif": 5.0, "bmp": 4.5, "tiff": 8.5,
}  # fmt: skip
#: Kinds of which a decoder is given the whole file, and takes memory by what is coded in it.
AT_ONCE = ("webp", "avif")
#: Pixels that a picture has at most after decoding when a side is wanted: long, thin ones are reduced further.
MAX_WANTED_PIXELS = 8_000_000
#: And when it is wanted as large as it is.
MAX_FULL_PIXELS = 16_000_000
#: Pixels that are converted at once.
BAND = 1_000_000
#: Pixels of the shorter side.
MIN_SIDE = 8
#: Smallest DCT scale at which a JPEG is decoded: 1/8.
MAX_REDUCTION = 8
#: EXIF orientation -> the transposition that makes the picture upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: EXIF orientations that swap width and height.
SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True)
class Limits:
    """Limits of a photo: file size in bytes, pixels (and no more than PIXELS_OF_KIND), pixels of the shorter side."""

    max_bytes: int = MAX_BYTES
    max_pixels: int = MAX_PIXELS
    min_side: int = MIN_SIDE


DEFAULT_LIMITS = Limits()


def decode(data: bytes, *, want: int | None = None, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """Bytes of an image file -> an upright RGB picture, in sRGB.

    `want` is the side in pixels that the caller needs: the picture is then reduced to the smallest scale (1/2, 1/4,
    1/8) that is at least twice that, a JPEG while it is decoded, which is several times faster for a phone's photo and,
    after the resize, gives the same picture. Long, thin pictures are reduced to MAX_WANTED_PIXELS, and without `want`
    all to MAX_FULL_PIXELS. Animations give their first frame; transparency is composited on white; 16-bit greys are
    scaled. Waits while other threads decode large pictures (memory.py).

    Raises ImageError for anything that is not a usable photo, including a truncated file.
    """
    return decode_each(data, (want,), limits=limits)[0]


def decode_each(
    data: bytes, wants: Sequence[int | None], *, limits: Limits = DEFAULT_LIMITS
) -> tuple[Image.Image, ...]:
    """Bytes of an image file -> a picture for each of `wants`, each exactly what `decode` gives for it.

    The file is decoded once; a JPEG once for each scale, which for most photos is one. Pictures of one scale are the
    same object. Raises ImageError.
    """
    pictures: dict[int, Image.Image] = {}
    while True:
        with _open(data, limits, decoding=True) as (picture, structure):
            reductions = [_reduction(picture.size, want) for want in wants]
            missing = sorted(set(reductions) - pictures.keys())
            # The scale of a JPEG is chosen before its pixels are read.
            at_once = missing[:1] if structure.kind in ("jpeg", "progressive") else missing
            with decoding_budget.hold(0 if structure.kind in AT_ONCE else _memory(picture, structure, at_once)):
                pictures.update(zip(at_once, _to_rgb(picture, structure, at_once), strict=True))
        if pictures.keys() >= set(reductions):
            return tuple(pictures[reduction] for reduction in reductions)


@contextmanager
def _open(data: bytes, limits: Limits, *, decoding: bool = False) -> Iterator[tuple[Image.Image, Structure]]:
    """The picture of a file: header read, size checked, no pixel decoded yet. Raises ImageError.

    A WebP or AVIF takes its memory at once, and holds it of the budget meanwhile; with `decoding`, for its pixels, too.
    """
    _check_bytes(len(data), limits.max_bytes)
    structure = read_structure(data)
    most = min(limits.max_pixels, PIXELS_OF_KIND[structure.kind])
    held = 0.0
    if structure.kind in AT_ONCE:
        _check_pixels(structure.tile, "", structure, most)
        held = len(data) + decoding * structure.tile * BYTES_OF_PIXEL[structure.kind]
    with decoding_budget.hold(round(held)):
        yield from _opened(structure, most, limits.min_side)


def _check_bytes(size: int, most: int) -> None:
    if not size:
        raise ImageError("empty", "The file is empty (0 bytes).")
    if size > most:
        said = f"The file has {size / 2**20:.1f} MB; at most {most / 2**20:.0f} MB are accepted."
        raise ImageError("too_large", said)


def _opened(structure: Structure, most: int, least: int) -> Iterator[tuple[Image.Image, Structure]]:
    try:
        picture = Image.open(Reader(structure.parts), formats=FORMATS)  # type: ignore[arg-type]  # all that it calls
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # a warning where warnings are errors
        raise ImageError("too_many_pixels", f"The picture has more than {most / 1e6:.0f} megapixels.") from None
    except ImageError:
        raise
    except Exception:  # decoders raise errors of any kind on damaged headers
        raise unreadable() from None
    with picture:
        _check_size(picture.size, structure, most, least)
        yield picture, structure


def _check_pixels(pixels: int, sides: str, structure: Structure, most: int) -> None:
    if pixels > most:
        kind = "a JPEG of several scans" if structure.kind == "progressive" else structure.kind.upper()
        raise ImageError(
            "too_many_pixels",
            f"The picture has {pixels / 1e6:.0f} megapixels{sides}; at most {most / 1e6:.0f} are accepted of {kind}.",
        )


def _check_size(size: tuple[int, int], structure: Structure, most: int, least: int) -> None:
    width, height = size
    _check_pixels(width * height, f" ({width} x {height})", structure, most)
    if structure.kind == "tiff" and structure.tile > most:
        raise ImageError("too_many_pixels", f"The tiles of the TIFF have more than {most / 1e6:.0f} megapixels.")
    if min(width, height) < least:
        raise ImageError("too_small", f"The picture has {width} x {height} pixels; each side needs at least {least}.")


def _reduction(size: tuple[int, int], want: int | None) -> int:
    """By what a picture of this size is divided: 1, 2, 4 or 8."""
    pixels, most = math.prod(size), MAX_FULL_PIXELS if want is None else MAX_WANTED_PIXELS
    factors = (1, 2, 4, 8)
    wanted = 1 if want is None else max(one for one in factors if one == 1 or min(size) // one >= 2 * want)
    return next((one for one in factors if one >= wanted and pixels / one**2 <= most), MAX_REDUCTION)


def _memory(picture: Image.Image, structure: Structure, reductions: Sequence[int]) -> int:
    """Bytes that are held at once while the picture is decoded and reduced."""
    pixels = math.prod(picture.size)
    reduced = sum(pixels / reduction**2 for reduction in reductions)
    if structure.kind in ("jpeg", "progressive"):
        return round(pixels * structure.whole + reduced * (BYTES_OF_PIXEL[structure.kind] + 4))
    if structure.kind == "tiff":
        pixels = max(pixels, structure.tile)
    return round(pixels * BYTES_OF_PIXEL[structure.kind] + reduced * 4)


def _to_rgb(picture: Image.Image, structure: Structure, reductions: Sequence[int]) -> list[Image.Image]:
    """A picture by each of these; of a JPEG one."""
    try:
        if structure.kind in ("jpeg", "progressive"):
            (reduction,) = reductions
            width, height = picture.size
            picture.draft("RGB", (width // reduction, height // reduction))
            reductions = (1,)
        picture.load()
        # Pillow turns the pixels of a TIFF itself.
        turn = None if structure.kind == "tiff" else TURNS.get(_orientation(picture, structure))
        profile = structure.profile or picture.info.get("icc_profile") or b""
        converted = [to_srgb(_converted(picture, reduction), profile) for reduction in reductions]
        return converted if turn is None else [rgb.transpose(turn) for rgb in converted]
    except ImageError:
        raise
    except Exception as error:  # decoders raise errors of any kind on damaged pixels
        raise ImageError("truncated", f"The picture is damaged or incomplete ({error}).") from None


def _orientation(picture: Image.Image, structure: Structure) -> int:
    """EXIF orientation (1: upright). Damaged EXIF does not reject a photo: it counts as upright."""
    if structure.kind in AT_ONCE:
        return orientation(picture.info.get("exif") or b"")
    return structure.orientation


def _converted(picture: Image.Image, reduction: int) -> Image.Image:
    """A decoded picture of any mode -> RGB, its sides divided by `reduction`; by bands, so that little is copied."""
    if picture.mode == "RGB" and reduction == 1 and "transparency" not in picture.info:
        return picture.convert("RGB")
    width, height = picture.size
    rows = max(1, BAND // (width * reduction)) * reduction
    to_rgb = _conversion(picture)
    rgb = Image.new("RGB", (-(-width // reduction), -(-height // reduction)))
    for top in range(0, height, rows):
        band = to_rgb(picture.crop((0, top, width, min(height, top + rows))))
        rgb.paste(band.reduce(reduction) if reduction > 1 else band, (0, top // reduction))
    return rgb


def _conversion(picture: Image.Image) -> Any:
    """How a part of this picture is made RGB."""
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        usual = 1.0 if picture.mode == "F" else 65535.0
        highest = max(usual, _highest(picture))
        return lambda part: _from_deep(part, highest)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        return _on_white
    return lambda part: part.convert("RGB")


def _on_white(picture: Image.Image) -> Image.Image:
    rgba = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _highest(picture: Image.Image) -> float:
    """The highest finite value of a picture of more than 8 bits."""
    if picture.mode != "F":
        return float(picture.getextrema()[1])  # type: ignore[arg-type]  # one channel
    rows = max(1, BAND // picture.width)
    bands = (
        picture.crop((0, top, picture.width, min(picture.height, top + rows))) for top in range(0, picture.height, rows)
    )
    return max(float(_finite(band).max()) for band in bands)


def _finite(picture: Image.Image) -> npt.NDArray[np.float32]:
    return np.nan_to_num(np.asarray(picture).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _from_deep(picture: Image.Image, highest: float) -> Image.Image:
    """Greyscale of more than 8 bits -> RGB, scaled. Pillow's own conversion would clip at 255."""
    grey = np.clip(_finite(picture) * (255.0 / highest), 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def dimensions(data: bytes) -> tuple[int, int]:
    """Width and height of an image file, in pixels, upright; of most formats from the header, without decoding.

    Raises ImageError.
    """
    with _open(data, DEFAULT_LIMITS) as (picture, structure):
        width, height = picture.size
        # Of a TIFF, Pillow reports the upright size, and turns the pixels itself.
        sideways = structure.kind != "tiff" and _orientation(picture, structure) in SIDEWAYS
        return (height, width) if sideways else (width, height)
