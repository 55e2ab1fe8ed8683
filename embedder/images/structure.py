"""Structure of an image file: what decoding it takes, read from its headers; and the file without what is not needed.

Metadata is never a reason to refuse a picture, and never parsed by a decoder: Pillow limits the texts of a PNG, and a
few tags of EXIF that point to the same bytes fill the memory. What is used (orientation, color profile) is read here.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from embedder.errors import ImageError
from embedder.images.avif import read_avif
from embedder.images.file_kinds import HEAD, decoded_format, other_format

#: Kinds that differ in what decoding takes. `progressive`: a JPEG of several scans.
Kind = Literal["jpeg", "progressive", "png", "webp", "avif", "gif", "bmp", "tiff"]
#: Scans of a JPEG: encoders usually write about ten, and each goes over all of the picture.
MAX_SCANS = 64
#: Parts of a file (PNG chunks, JPEG segments). A photo of 25 MB has some thousands.
MAX_PARTS = 50_000
#: Numbers in one tag of a TIFF. The strips of a photo are some thousands.
MAX_NUMBERS = 65_536
#: Bytes of a color profile that is applied.
MAX_PROFILE = 1024 * 1024
#: EXIF and TIFF tags.
ORIENTATION, COMPRESSION, TILE_WIDTH, TILE_HEIGHT, STRIPS, TILES = 0x0112, 259, 322, 323, 273, 324
#: TIFF compressions that have a JPEG in each strip or tile.
JPEG_IN_TIFF = (6, 7)

#: Size in bytes of a TIFF tag's types; those that are unpacked as numbers.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_NUMBERS = frozenset(_SIZES) - {1, 2, 7}
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
#: In the data of a scan, where restart markers are no end.
_NEXT = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
#: Libraries for HEIC bring a decoder under the GPL or LGPL with them.
_WHAT_TO_DO = {"HEIC": "Save it as JPEG, or set the phone's camera to the most compatible format"}
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


@dataclass(frozen=True, eq=False)
class Structure:
    """`parts`, one after the other, are the file; of JPEG and PNG without metadata.

    `orientation` (EXIF, 1: upright; of TIFF the decoder's concern) and `profile` (ICC) are of JPEG and PNG; WebP's and
    AVIF's are read by their decoders. `whole` is what decoding holds beside the picture, in bytes for each of its
    pixels. `tile`: pixels of a WebP or AVIF; of a TIFF's tile, which is decoded as a whole however small the picture
    is; 0 without tiles.
    """

    kind: Kind
    parts: Sequence[bytes | memoryview]
    orientation: int = 1
    profile: bytes = b""
    whole: float = 0.0
    tile: int = 0


def read_structure(data: bytes) -> Structure:
    """Structure of a file in one of the formats. Raises ImageError for others, and for bombs."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(_PNG):
        return _png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Structure("webp", (data,), tile=_webp_pixels(data))
    if decoded_format(data[:HEAD]) == "AVIF":
        parts, pixels = read_avif(data)
        return Structure("avif", parts, tile=pixels)
    if data.startswith(b"GIF8"):
        return Structure("gif", (data,))
    if data.startswith(b"BM"):
        if len(data) >= 34 and struct.unpack_from("<I", data, 30)[0] in (1, 2) and data[14] >= 40:
            raise unreadable("A run-length encoded BMP is not read: save it as PNG.")
        return Structure("bmp", (data,))
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(data)
    raise unreadable(head=data[:HEAD])


def unreadable(message: str = "", head: bytes = b"") -> ImageError:
    """The error for a file that is no image; by its first bytes it is told what it is, where that is known."""
    other = other_format(head)
    found = f": it is {other}. {_WHAT_TO_DO.get(other, 'Save it as JPEG')}" if other else ""
    return ImageError(
        "not_an_image",
        message or f"The file is not an image that can be read (JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF){found}.",
    )


def _too_complex(what: str) -> ImageError:
    return ImageError("too_complex", f"The picture has {what}: save it anew with an ordinary program.")


def _jpeg(data: bytes) -> Structure:
    """Up to the first scan the segments that decoding needs; of several scans, how many."""
    kept, exif, profile = [b"\xff\xd8"], b"", []
    frame: tuple[int, bytes] | None = None  # components, and their three bytes each
    place = 2
    for _ in range(MAX_PARTS):
        found = _MARKER.search(data, place)
        if found is None or found.end() + 2 > len(data):
            raise ImageError("truncated", "The picture is damaged or incomplete (a JPEG without pixels).")
        marker, start = data[found.end() - 1], found.end()
        if marker in (0x01, 0xD8) or 0xD0 <= marker <= 0xD7:
            place = start
            continue
        if marker == 0xD9:
            raise ImageError("truncated", "The picture is damaged or incomplete (a JPEG without pixels).")
        place = start + max(2, int.from_bytes(data[start : start + 2], "big"))
        body = data[start + 2 : place]
        if marker == 0xDA:
            break
        if marker == 0xE1 and body.startswith(b"Exif\0") and not exif:
            exif = body[6:]
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            profile.append((body[12], body[14:]))
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(body) >= 6:
            frame = (body[5], body[6 : 6 + 3 * body[5]])
        if not (0xE1 <= marker <= 0xEF or marker == 0xFE) or marker == 0xEE:
            kept.append(data[found.start() : place])
    else:
        raise _too_complex(f"more than {MAX_PARTS} segments")
    several = frame is None or not body or body[0] < frame[0] or _is_progressive(kept)
    if several:
        _count_scans(data, place)
    return Structure(
        "progressive" if several else "jpeg",
        (b"".join(kept), memoryview(data)[found.start() :]),
        orientation(exif),
        b"".join(part for _, part in sorted(profile, key=lambda one: one[0])),
        _coefficients(frame) if several else 0.0,
    )


def _is_progressive(segments: list[bytes]) -> bool:
    return any(segment[1] in (0xC2, 0xC6, 0xCA, 0xCE) for segment in segments[1:])


def _coefficients(frame: tuple[int, bytes] | None) -> float:
    """Bytes for each pixel of the coefficients, which are all held until the last scan: two of each."""
    samples = [(byte >> 4) * (byte & 15) for byte in frame[1][1::3]] if frame else []
    largest = max(((byte >> 4) for byte in frame[1][1::3]), default=1) if frame else 1
    tallest = max(((byte & 15) for byte in frame[1][1::3]), default=1) if frame else 1
    return 2 * sum(samples) / max(1, largest * tallest) if samples else 6.0


def _count_scans(data: bytes, place: int) -> None:
    """Walk over all scans after the first. Raises ImageError for too many."""
    scans, parts = 1, 0
    while (found := _NEXT.search(data, place)) and data[found.end() - 1] != 0xD9:
        parts += 1
        scans += data[found.end() - 1] == 0xDA
        if scans > MAX_SCANS or parts > MAX_PARTS:
            raise _too_complex(f"more than {MAX_SCANS} scans")
        place = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))


def _webp_pixels(data: bytes) -> int:
    """Pixels by the header: Pillow copies the file, and its decoder takes memory for them as soon as it is opened."""
    if len(data) < 30:
        return 0
    if data[12:16] == b"VP8X":
        return (1 + int.from_bytes(data[24:27], "little")) * (1 + int.from_bytes(data[27:30], "little"))
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (1 + (bits & 0x3FFF)) * (1 + (bits >> 14 & 0x3FFF))
    width, height = struct.unpack_from("<HH", data, 26)
    return int(width & 0x3FFF) * int(height & 0x3FFF)


def _png(data: bytes) -> Structure:
    """The chunks that decoding needs; of an animation the first picture."""
    kept: list[tuple[int, int]] = [(0, len(_PNG))]
    place, exif, profile = len(_PNG), b"", b""
    for _ in range(MAX_PARTS):
        if place + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if kind in _PNG_NEEDED:
            if kept[-1][1] == place:
                kept[-1] = (kept[-1][0], end)
            else:
                kept.append((place, end))
        elif kind == b"eXIf":
            exif = exif or data[place + 8 : end - 4]
        elif kind == b"iCCP":
            profile = profile or _unpacked(data[place + 8 : end - 4])
        place = end
        if kind == b"IEND":
            break
    else:
        raise _too_complex(f"more than {MAX_PARTS} chunks")
    view = memoryview(data)
    return Structure("png", [view[start:end] for start, end in kept], orientation(exif), profile)


def _unpacked(chunk: bytes) -> bytes:
    """The profile of an iCCP chunk (a name, 0, 0, zlib); none where it is damaged or too large."""
    _, _, packed = chunk.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], MAX_PROFILE + 1)
    except zlib.error:
        return b""


def orientation(exif: bytes) -> int:
    """EXIF (from its TIFF header on) -> the camera's orientation, 1 (upright) where it is missing or damaged."""
    for tag, kind, count, value in _tags(exif.removeprefix(b"Exif\0\0")):
        if tag == ORIENTATION and count == 1 and kind in (1, 3, 4):
            return value
    return 1


def _tags(data: bytes) -> list[tuple[int, int, int, int]]:
    """The first directory of a TIFF: tag, type, count, and the first value or the offset of the values."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return []
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    if start + 2 > len(data):
        return []
    (count,) = struct.unpack_from(f"{order}H", data, start)
    found = []
    for place in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, numbers = struct.unpack_from(f"{order}HHI", data, place)
        form = {1: "B", 3: "H"}.get(kind, "I") if numbers * _SIZES.get(kind, 1) <= 4 else "I"
        found.append((tag, kind, numbers, int(struct.unpack_from(order + form, data, place + 8)[0])))
    return found


def _tiff(data: bytes) -> Structure:
    """Tags may not take more than the file has (they would overlap), nor be endless lists. Raises ImageError."""
    tags = _tags(data)
    if sum(count * _SIZES.get(kind, 1) for _, kind, count, _ in tags) > len(data):
        raise unreadable("The TIFF is damaged: its tags are larger than the file.")
    if any(kind in _NUMBERS and count > MAX_NUMBERS for _, kind, count, _ in tags):
        raise _too_complex(f"more than {MAX_NUMBERS} strips or numbers in a tag")
    if any(tag == COMPRESSION and value in JPEG_IN_TIFF for tag, _, _, value in tags):
        pieces = max([count for tag, _, count, _ in tags if tag in (STRIPS, TILES)], default=1)
        if data.count(b"\xff\xda") > MAX_SCANS + pieces:
            raise _too_complex(f"more than {MAX_SCANS} scans")
    values = {tag: value for tag, _, _, value in tags}
    return Structure("tiff", (data,), tile=values.get(TILE_WIDTH, 0) * values.get(TILE_HEIGHT, 0))
