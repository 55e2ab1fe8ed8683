"""Barcodes for tests, drawn onto pictures as a pack has them."""

from __future__ import annotations

import numpy as np
import zxingcpp
from PIL import Image

from tests.support.pictures import encode, picture

EAN13, OTHER = "4006381333931", "5449000000996"
EAN8, UPCA, UPCE = "96385074", "036000291452", "01234565"
KINDS = {"EAN-13": zxingcpp.EAN13, "EAN-8": zxingcpp.EAN8, "UPC-A": zxingcpp.UPCA, "UPC-E": zxingcpp.UPCE}


def bars(number: str, kind: str = "EAN-13", width: int = 300) -> Image.Image:
    """A barcode with its white margins, `width` pixels wide."""
    made = zxingcpp.write_barcode_to_image(zxingcpp.create_barcode(number, KINDS[kind]), scale=6)
    return _wide(Image.fromarray(np.array(made)), width)


def symbol(text: str, kind: str, width: int = 300, **options: bool) -> Image.Image:
    """Any symbol that zxing-cpp draws, named as it names its kinds."""
    made = zxingcpp.create_barcode(text, getattr(zxingcpp, kind), **options)
    return _wide(Image.fromarray(np.array(zxingcpp.write_barcode_to_image(made, scale=6))), width)


def broken_bars(width: int = 300) -> Image.Image:
    """EAN13 with the last digit of OTHER: well-formed bars whose check digit is wrong."""
    pixels, donor = (np.array(bars(number, width=113)) for number in (EAN13, OTHER))
    dark = np.flatnonzero(pixels.min(axis=0) < 128)
    last = slice(dark[-1] - 9, dark[-1] - 2)  # seven modules of a digit, before the three of the end
    pixels[:, last] = donor[:, last]
    return _wide(Image.fromarray(pixels), width)


def _wide(made: Image.Image, width: int) -> Image.Image:
    whole = made.resize((made.width * 2, made.height * 2), Image.Resampling.NEAREST)
    return whole.resize((width, round(width * made.height / made.width)), Image.Resampling.LANCZOS)


def pack(seed: int, *codes: Image.Image, angle: float = 0, size: tuple[int, int] = (960, 720)) -> Image.Image:
    """A photo of shapes with barcodes on it side by side, the whole of it turned by `angle` degrees."""
    label = picture(seed, size)
    left = (size[0] - sum(code.width + 20 for code in codes)) // 2
    for code in codes:
        label.paste(code, (left, (size[1] - code.height) // 2))
        left += code.width + 20
    return label.rotate(angle, expand=True, resample=Image.Resampling.BICUBIC, fillcolor=(127, 127, 127))


def photo(seed: int, *numbers: str) -> bytes:
    """A JPEG of a pack with these EAN-13."""
    return encode(pack(seed, *map(bars, numbers)), quality=85)
