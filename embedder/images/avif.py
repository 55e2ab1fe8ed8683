"""AVIF before it is decoded: how many pixels are coded in it, and the file without what is not needed.

The size that an AVIF states (its box `ispe`) is not the one that its decoder takes memory for: that is in the sequence
header of each coded picture. Sources: ISO/IEC 14496-12 (boxes), 23008-12 (items), the AV1 specification, 5.3 (OBU) and
5.5 (sequence header).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from embedder.errors import ImageError

#: Boxes of one level, items, and parts of items. A large picture in tiles has about a hundred.
MAX_PARTS = 1_000
#: Frames of an item: a picture that gets sharper while it is loaded has up to 4.
MAX_FRAMES = 8
#: Boxes at the top that the decoder is shown; others (films, texts) are marked as free space.
_NEEDED = (b"ftyp", b"meta", b"mdat", b"free")
#: Types of items that are metadata.
_METADATA = (b"Exif", b"mime", b"uri ")
#: Types of OBUs, which are what AV1 data consists of.
_SEQUENCE_HEADER, _FRAMES = 1, (3, 6)


@dataclass(frozen=True)
class _Box:
    kind: bytes
    start: int
    body: int
    end: int


def read_avif(data: bytes) -> tuple[Sequence[memoryview | bytes], int]:
    """An AVIF -> the file in parts, without metadata, of an animation the first picture alone; and its coded pixels.

    With transparency, or in tiles, these are half of all, or the largest item if that is more. Raises ImageError for
    what is damaged, or has more parts than any picture needs.
    """
    try:
        boxes = list(_boxes(data, 0, len(data)))
        meta = next(box for box in boxes if box.kind == b"meta")
        inside = {box.kind: box for box in _boxes(data, meta.body + 4, meta.end)}
        items = dict(_item_types(data, inside[b"iinf"]))
        coded = [item for item, place in items.items() if data[place : place + 4] == b"av01"]
        found = _item_data(data, inside[b"iloc"], inside.get(b"idat"))
        pixels = [_coded_pixels(b"".join(found[item])) for item in coded]
    except (IndexError, KeyError, StopIteration):
        raise _damaged() from None
    if not pixels:
        raise _damaged()
    # As a film (`avis`), an animation would be decoded in place of its picture.
    brands = range(boxes[0].body, boxes[0].end, 4)
    patches = {place: b"avif" for place in brands if data[place : place + 4] == b"avis"}
    patches |= {box.start + 4: b"free" for box in boxes if box.kind not in _NEEDED}
    patches |= {place: b"skip" for place in items.values() if data[place : place + 4] in _METADATA}
    return _patched(data, patches), max(*pixels, sum(pixels) // 2)


def _damaged() -> ImageError:
    return ImageError("truncated", "The picture is damaged or incomplete (an AVIF without pixels).")


def _too_complex(why: str) -> ImageError:
    return ImageError("too_complex", f"The picture {why}: save it anew with an ordinary program.")


def _checked(count: int, what: str, most: int = MAX_PARTS) -> int:
    if count > most:
        raise _too_complex(f"has more than {most} {what}")
    return count


def _patched(data: bytes, patches: dict[int, bytes]) -> list[memoryview | bytes]:
    view, done = memoryview(data), 0
    parts: list[memoryview | bytes] = []
    for place, patch in sorted(patches.items()):
        parts += [view[done:place], patch]
        done = place + len(patch)
    return [part for part in (*parts, view[done:]) if len(part)]


def _number(data: bytes, place: int, size: int) -> int:
    if place + size > len(data):
        raise IndexError
    return int.from_bytes(data[place : place + size], "big")


def _boxes(data: bytes, place: int, end: int) -> Iterator[_Box]:
    count = 0
    while place + 8 <= end:
        count = _checked(count + 1, "boxes")
        size, body = _number(data, place, 4), place + 8
        if size == 1:
            size, body = _number(data, place + 8, 8), place + 16
        until = end if size == 0 else place + size
        if not body <= until <= end:
            raise IndexError
        yield _Box(data[place + 4 : place + 8], place, body, until)
        place = until


def _item_types(data: bytes, box: _Box) -> Iterator[tuple[int, int]]:
    """Items, and where their types are (4 bytes)."""
    entries = box.body + (6 if data[box.body] == 0 else 8)
    for entry in _boxes(data, entries, box.end):
        version = data[entry.body]
        if entry.kind != b"infe" or version < 2:
            continue
        size = 2 if version == 2 else 4
        yield _number(data, entry.body + 4, size), entry.body + 4 + size + 2


def _item_data(data: bytes, box: _Box, idat: _Box | None) -> dict[int, list[bytes]]:
    """The bytes of each item, in parts. Together they are no more than the file: items may not overlap."""
    version, place = data[box.body], box.body + 6
    sizes = [data[box.body + 4] >> 4, data[box.body + 4] & 15, data[box.body + 5] >> 4]
    index = data[box.body + 5] & 15 if version in (1, 2) else 0
    wide = 4 if version == 2 else 2

    def take(size: int) -> int:
        nonlocal place
        place += size
        return _number(data, place - size, size)

    found: dict[int, list[bytes]] = {}
    left, extents = len(data), 0
    for _ in range(_checked(take(wide), "items")):
        item = take(wide)
        method = take(2) & 15 if version in (1, 2) else 0
        take(2)
        if method > 1 or (method == 1 and idat is None):
            raise _damaged()
        first = take(sizes[2]) + (idat.body if method == 1 and idat else 0)
        parts = found.setdefault(item, [])
        for _ in range(take(2)):
            extents = _checked(extents + 1, "parts of items")
            take(index)
            start = first + take(sizes[0])
            parts.append(data[start : start + (take(sizes[1]) or len(data))])
            left -= len(parts[-1])
            if left < 0:
                raise _too_complex("has parts that overlap")
    return found


def _coded_pixels(coded: bytes) -> int:
    """Pixels that decoding an item takes: those of a frame, of each frame."""
    place, frames, pixels = 0, 0, 0
    while place < len(coded):
        head = coded[place]
        kind, place = head >> 3 & 15, place + (2 if head & 4 else 1)
        size = len(coded) - place
        if head & 2:
            size, place = _leb128(coded, place)
        if kind == _SEQUENCE_HEADER:
            pixels = max(pixels, _frame_pixels(coded[place : place + min(size, 256)]))
        frames = _checked(frames + (kind in _FRAMES), "frames", MAX_FRAMES)
        place += size
    if not (frames and pixels):
        raise _damaged()
    return frames * pixels


def _leb128(data: bytes, place: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the lowest first, and the place after it."""
    value = 0
    for shift in range(0, 56, 7):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise IndexError


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError
        return self._value >> self._left & ((1 << count) - 1)

    def skip_uvlc(self) -> None:
        zeros = 0
        while not self.take(1):
            zeros += 1
        self.take(zeros if zeros < 32 else 0)


def _frame_pixels(header: bytes) -> int:
    """The most pixels that a frame may have, by a sequence header."""
    bits = _Bits(header)
    bits.take(4)  # profile, still picture
    still = bits.take(1)  # "reduced_still_picture_header": what nearly all encoders write
    if still:
        bits.take(5)
    else:
        _skip_operating_points(bits)
    wide, high = bits.take(4) + 1, bits.take(4) + 1
    if still:
        return (bits.take(wide) + 1) * (bits.take(high) + 1)
    return 1 << wide + high  # a frame may have a size of its own, in as many bits


def _skip_operating_points(bits: _Bits) -> None:
    delay = 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):
            bits.skip_uvlc()
        if bits.take(1):  # decoder model
            delay = bits.take(5) + 1
            bits.take(42)
    initial_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay and bits.take(1):
            bits.take(2 * delay + 1)
        if initial_delay and bits.take(1):
            bits.take(4)
