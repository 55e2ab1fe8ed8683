"""Image files that take far more to decode than to send, made by hand."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image

from tests.support.avifs import grid, grid_avif, item_of


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def flat_png(width: int, height: int, *, depth: int = 8, color: int = 2, interlaced: bool = False) -> bytes:
    """A PNG of zeros; `color` 2: RGB, 6: RGBA, 0: grey."""
    packer, row = zlib.compressobj(9), bytes(1 + width * {0: 1, 2: 3, 6: 4}[color] * depth // 8)
    body = b"".join([packer.compress(row * 64) for _ in range(-(-height // 64))] + [packer.flush()])
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def flat_webp(side: int) -> bytes:
    """A WebP of one color in a few bytes: a lossless stream whose codes have one symbol each."""
    bits = 0x2F | (side - 1) << 8 | (side - 1) << 22
    # Alpha unused, version 0, no transform, no color cache, no meta prefix codes; five simple codes of the symbol 0.
    tail = 0
    for place in range(5):
        tail |= 0b0001 << (3 + 4 * place)  # simple, one symbol, first symbol has one bit, it is 0
    bits |= tail << 40
    stream = bits.to_bytes(18, "little").rstrip(b"\0") + bytes(4)
    stream += bytes(len(stream) % 2)
    body = b"WEBPVP8L" + struct.pack("<I", len(stream)) + stream
    return b"RIFF" + struct.pack("<I", len(body)) + body


def flat_avif(side: int, *, said: int | None = None, **options: object) -> bytes:
    """An AVIF of one color; `said`: the side that its headers state, in place of the one that is coded."""
    data = _saved(Image.new("RGB", (side, side)), "AVIF", speed=10, **options)
    coded, stated = struct.pack(">II", side, side), struct.pack(">II", said or side, said or side)
    return data.replace(b"ispe" + bytes(4) + coded, b"ispe" + bytes(4) + stated)


def _tile() -> bytes:
    """A coded picture of 64 x 64 pixels."""
    return item_of(flat_avif(64))


def flat_jpeg(width: int, height: int, **options: object) -> bytes:
    """A JPEG of one grey, made of a small one: its size is written over, and rows are missing that decoders fill."""
    return _saved(Image.new("RGB", (width, height), (120, 130, 140)), "JPEG", quality=30, **options)


def scans(side: int, again: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = flat_jpeg(side, side, progressive=True)
    start = data.rfind(b"\xff\xda")
    return data[:-2] + data[start:-2] * again + data[-2:]


def tiff(tags: list[tuple[int, int, int, int]], content: bytes = b"", *, order: str = "<") -> bytes:
    """A TIFF with these tags (tag, type, count, value or offset); `content` comes after them."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return head + b"".join(struct.pack(f"{order}HHII", *one) for one in tags) + bytes(4) + content


def overlapping_tags() -> bytes:
    """A TIFF of 2 MB whose tags would have 4 GB: all point to the same bytes."""
    tags = [(256, 3, 1, 64), (257, 3, 1, 64), *((1000 + place, 7, 1_900_000, 8) for place in range(2_000))]
    return tiff(tags, bytes(2_000_000))


def overlapping_exif(pieces: int = 1) -> bytes:
    """A JPEG with EXIF whose tags all point to the same bytes."""
    exif = tiff([(1000 + place, 7, 30_000, 8) for place in range(2_700)], bytes(31_000))
    segment = struct.pack(">BBH", 0xFF, 0xE1, 8 + len(exif)) + b"Exif\0\0" + exif
    whole = _saved(Image.new("RGB", (64, 64)), "JPEG")
    return whole[:2] + segment * pieces + whole[2:]


def large_tile() -> bytes:
    """A TIFF of 64 x 64 pixels in one tile of 20,000 x 20,000."""
    packed = zlib.compress(bytes(1_000_000))
    tags = [(256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    tags += [(322, 4, 1, 20_000), (323, 4, 1, 20_000), (324, 4, 1, 134), (325, 4, 1, len(packed))]
    return tiff(tags, packed)


def many_strips() -> bytes:
    """A TIFF of 8 x 3,000,000 pixels, each row a strip of its own."""
    rows = 3_000_000
    tags = [(256, 4, 1, 8), (257, 4, 1, rows), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
            (273, 4, rows, 200), (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, 1, 8)]  # fmt: skip
    return tiff(tags, bytes(4 * rows + 1_000))


def many_chunks() -> bytes:
    """A PNG of two million empty chunks."""
    whole = _saved(Image.new("RGB", (64, 64)), "PNG")
    return whole[:33] + chunk(b"teSt", b"") * 2_000_000 + whole[33:]


def many_segments() -> bytes:
    """A JPEG of six million comments."""
    whole = _saved(Image.new("RGB", (64, 64)), "JPEG")
    return whole[:2] + b"\xff\xfe\0\2" * 6_000_000 + whole[2:]


def commented_gif() -> bytes:
    """A GIF with a comment of 25 MB."""
    whole = _saved(Image.new("P", (64, 64)), "GIF")
    start = whole.index(b"\x2c", 13 + 3 * 2 ** ((whole[10] & 7) + 1) if whole[10] & 128 else 13)
    return whole[:start] + b"\x21\xfe" + (b"\xff" + bytes(255)) * 100_000 + b"\0" + whole[start:]


def bmp_of_runs() -> bytes:
    """A BMP whose run-length code moves on by 255 rows at a time."""
    header = struct.pack("<IiiHHIIiiII", 40, 4_000_000, 8, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(1024)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(header)) + header + b"\0\2\xff\xff" * 100


#: The camera was held upright.
SIDEWAYS = Image.Exif()
SIDEWAYS[0x0112] = 6
#: Name -> how it is made, and the code with which it is refused.
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "webp of 64 megapixels": (lambda: flat_webp(7_990), "too_many_pixels"),
    "webp of 268 megapixels": (lambda: flat_webp(16_383), "too_many_pixels"),
    "avif of 16 megapixels": (lambda: flat_avif(4_000), "too_many_pixels"),
    "avif of 16 megapixels that says 64 pixels": (lambda: flat_avif(4_000, said=8), "too_many_pixels"),
    "avif with a tile that says 36 megapixels": (
        lambda: grid_avif(grid(1, 1, (100, 100)), [_tile()], size=(100, 100), tile=(6_000, 6_000)),
        "too_many_pixels",
    ),
    "avif with a grid that says 36 megapixels": (
        lambda: grid_avif(grid(1, 1, (6_000, 6_000)), [_tile()], size=(100, 100), tile=(64, 64)),
        "too_many_pixels",
    ),
    "avif of 20 tiles that say 12 megapixels": (
        lambda: grid_avif(grid(20, 1, (64, 32_000)), [_tile()] * 20, size=(64, 32_000), tile=(7_000, 1_700)),
        "too_many_pixels",
    ),
    "png of 64 megapixels": (lambda: flat_png(7_990, 7_990), "too_many_pixels"),
    "16-bit png of 64 megapixels": (lambda: flat_png(7_990, 7_990, depth=16, color=0), "too_many_pixels"),
    "jpeg of 2,000 scans": (lambda: scans(5_000, 2_000), "too_complex"),
    "small jpeg of 2,000 scans": (lambda: scans(200, 2_000), "too_complex"),
    "progressive jpeg of 64 megapixels": (lambda: flat_jpeg(7_990, 7_990, progressive=True), "too_many_pixels"),
    "tiff with overlapping tags": (overlapping_tags, "not_an_image"),
    "tiff with a large tile": (large_tile, "too_many_pixels"),
    "tiff of many strips": (many_strips, "too_complex"),
    "png of many chunks": (many_chunks, "too_complex"),
    "jpeg of many segments": (many_segments, "too_complex"),
    "bmp of runs": (bmp_of_runs, "not_an_image"),
}
#: Name -> how it is made: within the limits.
ACCEPTED: dict[str, Callable[[], bytes]] = {
    "webp": lambda: flat_webp(3_600),
    "avif": lambda: flat_avif(3_600, subsampling="4:4:4"),
    "avif with alpha": lambda: _saved(Image.new("RGBA", (3_600, 3_600)), "AVIF", speed=10, subsampling="4:4:4"),
    "png": lambda: flat_png(5_650, 5_650),
    "png with alpha": lambda: flat_png(5_650, 5_650, color=6),
    "interlaced png": lambda: flat_png(5_650, 5_650, color=6, interlaced=True),
    "16-bit png": lambda: flat_png(5_650, 5_650, depth=16, color=0),
    "16-bit png in color": lambda: flat_png(5_650, 5_650, depth=16),
    "jpeg": lambda: flat_jpeg(7_990, 7_990),
    "thin jpeg": lambda: flat_jpeg(64_000, 990),
    "progressive jpeg": lambda: flat_jpeg(5_650, 5_650, progressive=True, subsampling=0),
    "jpeg of 60 scans": lambda: scans(5_650, 45),
    "gif": lambda: _saved(Image.new("P", (5_650, 5_650)), "GIF"),
    "gif with a comment of 25 MB": commented_gif,
    "bmp of one bit": lambda: _saved(Image.new("1", (5_650, 5_650)), "BMP"),
    "tiff": lambda: _saved(Image.new("RGB", (4_890, 4_890)), "TIFF", compression="tiff_lzw", exif=SIDEWAYS),
    "cmyk tiff": lambda: _saved(Image.new("CMYK", (4_890, 4_890)), "TIFF", compression="tiff_adobe_deflate"),
    "cmyk jpeg": lambda: _saved(Image.new("CMYK", (5_650, 5_650)), "JPEG"),
    "jpeg with overlapping tags": lambda: overlapping_exif(100),
}
