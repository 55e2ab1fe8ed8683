"""Views: upright picture -> the network's square input."""

from __future__ import annotations

import numpy as np
from PIL import (
    Image,
    TiffImagePlugin,  # noqa: F401  (registers itself: without it Pillow imports all of its plugins)
    WebPImagePlugin,  # noqa: F401
)

from embedder.images.decoding import Pixels, decode

#: Side of the `centre` crop, as a share of the picture's shorter side.
CENTRE = 0.8
#: Letterbox bars: mid-grey, which every backbone's preprocessing maps to about zero.
FILL = 127


def shrink(picture: Image.Image, side: int) -> Image.Image:
    """RGB picture -> the same, its longer side at most `side` pixels; never enlarged."""
    scale = min(1.0, side / max(picture.size))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def fit(picture: Image.Image, size: int) -> Pixels:
    """RGB picture -> uint8 [size, size, 3], letterboxed: aspect ratio kept, mid-grey bars."""
    width, height = picture.size
    scale = size / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = picture.resize(inner, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if inner == (size, size):
        return np.asarray(small, dtype=np.uint8)
    canvas = Image.new("RGB", (size, size), (FILL, FILL, FILL))
    canvas.paste(small, ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return np.asarray(canvas, dtype=np.uint8)


def view(picture: Image.Image, size: int, name: str) -> Pixels:
    """RGB picture -> a view, uint8 [size, size, 3]: `whole`, or `centre` (a square centre crop).

    A product fills a tight crop, but only the middle of a till's frame: the mean of both views serves either. Raises
    ValueError for any other name.
    """
    if name == "whole":
        return fit(picture, size)
    if name != "centre":
        raise ValueError(f"no such view: {name}")
    width, height = picture.size
    side = round(CENTRE * min(width, height))
    left, top = round((width - side) / 2), round((height - side) / 2)
    return fit(picture.crop((left, top, left + side, top + side)), size)


def load(data: bytes, size: int) -> Pixels:
    """Bytes of an image file -> its whole view, uint8 [size, size, 3]. Raises ImageError."""
    return fit(decode(data, want=size), size)
