"""A low-quality test set made from any: what a cheap camera sees of the same products from afar, in poor light.

A photo goes through the steps in the order in which they happen to it: few pixels, out of focus, little light, the
noise of the sensor, a JPEG that was made small. The same photo and seed give the same bytes.
"""

from __future__ import annotations

import io
import zlib

import numpy as np
from PIL import Image, ImageFilter

from embedder import images

#: Longer side, in pixels. A smaller photo is not enlarged.
LONG_SIDE = 48
#: Sigma of the Gaussian blur, in pixels of the small picture.
BLUR = 0.5
#: What is left of the light: every value is multiplied by it.
BRIGHTNESS = 0.7
#: Standard deviation of the noise, in grey levels of 255; each channel of each pixel draws its own.
NOISE = 5.0
#: Quality of the JPEG, of 100.
QUALITY = 20


def degrade(data: bytes, seed: int) -> bytes:
    """Bytes of an image file -> a JPEG of the same photo after every step. Raises ImageError.

    The noise is drawn by the seed and by the file's content, so it does not depend on the set that a photo is in.
    """
    picture = images.decode(data, want=LONG_SIDE)
    rng = np.random.default_rng([seed, 7, zlib.crc32(data)])
    return compress(add_noise(dim(blur(shrink(picture))), rng))


def shrink(picture: Image.Image) -> Image.Image:
    """RGB picture -> at most LONG_SIDE pixels on its longer side, its shape kept.

    The shorter side keeps the pixels that a photo needs to be accepted at all.
    """
    scale = LONG_SIDE / max(picture.size)
    if scale >= 1:
        return picture
    width, height = (max(images.MIN_SIDE, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def blur(picture: Image.Image) -> Image.Image:
    """RGB picture -> the same, out of focus."""
    return picture.filter(ImageFilter.GaussianBlur(BLUR))


def dim(picture: Image.Image) -> Image.Image:
    """RGB picture -> the same in less light."""
    return picture.point(lambda value: value * BRIGHTNESS)


def add_noise(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """RGB picture -> the same with Gaussian noise."""
    pixels = np.asarray(picture, np.float32)
    noisy = pixels + rng.normal(scale=NOISE, size=pixels.shape)
    return Image.fromarray(np.clip(np.round(noisy), 0, 255).astype(np.uint8))


def compress(picture: Image.Image) -> bytes:
    """RGB picture -> the bytes of a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
