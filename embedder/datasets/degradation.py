"""Image degradation: makes a low-quality test set of any, as of a cheap camera at a distance, in poor light.

The steps follow the order of image formation: downscaling, defocus blur, low light, sensor noise, strong JPEG
compression. Deterministic: the same photo and seed give the same bytes.
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
#: Remaining light: every value is multiplied by it.
BRIGHTNESS = 0.7
#: Standard deviation of the noise, in grey levels of 255; independent for each channel of each pixel.
NOISE = 5.0
#: JPEG quality, of 100.
QUALITY = 20


def degrade(data: bytes, seed: int) -> bytes:
    """Bytes of an image file -> a JPEG of the degraded photo. Raises ImageError.

    The noise depends on the seed and on the file's content, not on the set that a photo is in.
    """
    picture = images.decode(data, want=LONG_SIDE)
    rng = np.random.default_rng([seed, 7, zlib.crc32(data)])
    return compress(add_noise(dim(blur(shrink(picture))), rng))


def shrink(picture: Image.Image) -> Image.Image:
    """RGB picture -> at most LONG_SIDE pixels on its longer side, aspect ratio kept.

    The shorter side keeps at least images.MIN_SIDE pixels, or the photo would be refused.
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
    """RGB picture -> the same, darker."""
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
