"""Photos for tests, drawn: good ones that differ by seed, and files that are no usable photo."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageDraw


def picture(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture of shapes that no other seed has."""
    rng = np.random.default_rng([20, seed])
    image = Image.new("RGB", size, tuple(int(v) for v in rng.integers(0, 256, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(14):
        x, y = rng.integers(0, size[0]), rng.integers(0, size[1])
        w, h = rng.integers(size[0] // 10, size[0] // 2, 2)
        color = tuple(int(v) for v in rng.integers(0, 256, 3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)((x, y, x + w, y + h), fill=color)
    return image


def encode(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpeg(seed: int, size: tuple[int, int] = (320, 240)) -> bytes:
    return encode(picture(seed, size), quality=90)


def huge_png(width: int, height: int) -> bytes:
    """A PNG whose header promises width x height pixels; its few bytes of content are never to be unpacked."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + content + chunk(b"IEND", b"")


def bad_files() -> dict[str, tuple[bytes, int, str]]:
    """name -> (bytes, HTTP status, error code) of files that are refused."""
    whole = jpeg(0, (900, 700))
    return {
        "text.jpg": (b"this is a text, whatever its name says\n" * 40, 415, "not_an_image"),
        "half.jpg": (whole[: len(whole) // 2], 422, "truncated"),
        "empty.jpg": (b"", 422, "empty"),
        "bomb.png": (huge_png(60_000, 60_000), 413, "too_many_pixels"),
        "200-megapixels.png": (huge_png(20_000, 10_000), 413, "too_many_pixels"),
        "dot.png": (encode(Image.new("RGB", (1, 1)), "PNG"), 422, "too_small"),
    }


def odd_files(seed: int) -> dict[str, bytes]:
    """name -> bytes of valid images of unusual kinds, which are accepted; all show the same picture."""
    image = picture(seed)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees to look at it
    grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
    return {
        "cmyk.jpg": encode(image.convert("CMYK"), quality=90),
        "16-bit.png": encode(Image.fromarray(grey), "PNG"),
        "animated.gif": encode(image, "GIF", save_all=True, append_images=[picture(seed + 1)], duration=100),
        "turned.jpg": encode(image.transpose(Image.Transpose.ROTATE_90), exif=exif, quality=90),
    }
