"""Image decoding: bytes of a file -> upright RGB picture, within limits; the ONE path for training and serving.

`views.fit` makes the network's square input of it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import (
    Image,
    TiffImagePlugin,  # noqa: F401  (registers itself: without it Pillow imports all of its plugins)
    WebPImagePlugin,  # noqa: F401
)

from embedder.errors import ImageError
from embedder.images.file_kinds import HEAD, other_format

Pixels = npt.NDArray[np.uint8]

#: Formats that are opened at all: every decoder is attack surface. JPEG includes MPO, the JPEG of some phones.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_BYTES = 25 * 1024 * 1024
#: A phone's 50 megapixels pass. Checked in the header, before decoding, so a decompression bomb costs nothing.
MAX_PIXELS = 64_000_000
#: Pixels of the shorter side.
MIN_SIDE = 8
#: Smallest DCT scale at which a JPEG is decoded: 1/8.
MAX_REDUCTION = 8
#: EXIF tag of the camera's orientation.
ORIENTATION_TAG = 0x0112
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
    """Limits of a photo: file size in bytes, pixels when decoded, and pixels of the shorter side."""

    max_bytes: int = MAX_BYTES
    max_pixels: int = MAX_PIXELS
    min_side: int = MIN_SIDE


DEFAULT_LIMITS = Limits()


def decode(data: bytes, *, want: int | None = None, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """Bytes of an image file -> an upright RGB picture.

    `want` is the side in pixels that the caller needs: a JPEG is then decoded at the smallest DCT scale (1/2, 1/4,
    1/8) that is at least twice that, which is several times faster for a phone's photo and, after the resize, gives
    the same picture. Animations give their first frame; transparency is composited on white; 16-bit greys are scaled.

    Raises ImageError for anything that is not a usable photo, including a truncated file.
    """
    if not data:
        raise ImageError("empty", "The file is empty (0 bytes).")
    if len(data) > limits.max_bytes:
        raise ImageError(
            "too_large",
            f"The file has {len(data) / 2**20:.1f} MB; at most {limits.max_bytes / 2**20:.0f} MB are accepted.",
        )
    with _open(data, limits) as picture:
        return _to_rgb(picture, want)


@contextmanager
def _open(data: bytes, limits: Limits) -> Iterator[Image.Image]:
    """The picture of a file: header read, size checked, no pixel decoded yet. Raises ImageError."""
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # a warning where warnings are errors
        raise ImageError(
            "too_many_pixels", f"The picture has more than {limits.max_pixels / 1e6:.0f} megapixels."
        ) from None
    except Exception:  # decoders raise errors of any kind on damaged headers
        other = other_format(data[:HEAD])
        found = f": it is {other}" if other else ""
        raise ImageError(
            "not_an_image", f"The file is not an image that can be read (JPEG, PNG, WebP, GIF, BMP or TIFF){found}."
        ) from None
    with picture:
        _check_size(picture.size, limits)
        yield picture


def _check_size(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageError(
            "too_many_pixels",
            f"The picture has {width * height / 1e6:.0f} megapixels ({width} x {height}); "
            f"at most {limits.max_pixels / 1e6:.0f} are accepted.",
        )
    if min(width, height) < limits.min_side:
        raise ImageError(
            "too_small", f"The picture has {width} x {height} pixels; each side needs at least {limits.min_side}."
        )


def _to_rgb(picture: Image.Image, want: int | None) -> Image.Image:
    try:
        if want is not None:
            picture.draft("RGB", (2 * want, 2 * want))
        picture.load()
        turn = TURNS.get(_orientation(picture))
        upright: Image.Image = picture if turn is None else picture.transpose(turn)
        if upright.mode.startswith("I;16") or upright.mode in ("I", "F"):
            return _from_deep(upright)
        if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
            rgba = upright.convert("RGBA")
            white = Image.new("RGBA", rgba.size, "white")
            return Image.alpha_composite(white, rgba).convert("RGB")
        return upright.convert("RGB")
    except Exception as error:  # decoders raise errors of any kind on damaged pixels
        raise ImageError("truncated", f"The picture is damaged or incomplete ({error}).") from None


def _orientation(picture: Image.Image) -> int:
    """EXIF orientation (1: upright). Damaged EXIF does not reject a photo: it counts as upright."""
    try:
        return int(picture.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # as above
        return 1


def _from_deep(picture: Image.Image) -> Image.Image:
    """Greyscale of more than 8 bits -> RGB, scaled. Pillow's own conversion would clip at 255."""
    values = np.nan_to_num(np.asarray(picture).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    usual = 1.0 if picture.mode == "F" else 65535.0
    grey = np.clip(values * (255.0 / max(usual, float(values.max()))), 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def dimensions(data: bytes) -> tuple[int, int]:
    """Width and height of an image file, in pixels, upright; of most formats from the header, without decoding.

    Raises ImageError.
    """
    with _open(data, DEFAULT_LIMITS) as picture:
        width, height = picture.size
        # Of a TIFF, Pillow reports the upright size, and turns the pixels itself.
        sideways = picture.format != "TIFF" and _orientation(picture) in SIDEWAYS
        return (height, width) if sideways else (width, height)
