"""AVIF before it is decoded: how many pixels its decoder takes memory for, and the file without what is not needed.

These are stated at three places, which need not agree: in the sequence header of each coded picture; in the box `ispe`
of each item, to which libavif scales it; and in a grid, to which tiles are put together. Sources: ISO/IEC 14496-12
(boxes), 23008-12 (items, their properties), the AV1 specification, 5.3 (OBU) and 5.5 (sequence header).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from embedder.errors import ImageError

#: Boxes of one level, brands, items, and parts of items. A large picture in tiles has about a hundred.
MAX_PARTS = 1_000
#: Frames of an item: a picture that gets sharper while it is loaded has up to 4.
MAX_FRAMES = 8
#: OBUs of an item: a frame has about three.
MAX_OBUS = 100
#: Boxes at the top that the decoder is shown; others (films, texts) are marked as free space.
_NEEDED = (b"ftyp", b"meta", b"mdat", b"free")
#: Types of items that are pixels: coded ones, and tiles put together. The decoder is shown no others.
_CODED, _GRID = b"av01", b"grid"
#: Types of OBUs, which are what AV1 data consists of.
_SEQUENCE_HEADER, _FRAMES = 1, (3, 6)


@dataclass(frozen=True)
class _Box:
    kind: bytes
    start: int
    body: int
    end: int


def read_avif(data: bytes) -> tuple[Sequence[memoryview | bytes], int]:
    """An AVIF -> the file in parts, without metadata, of an animation the first picture alone; and its pixels.

    Those are of the largest item, as it is coded, or as it is stated if that is more. With transparency, or in tiles,
    they are half of all coded items, if that is more. Raises ImageError for what is damaged, or has more parts than any
    picture needs.
    """
    try:
        boxes = list(_boxes(data, 0, len(data)))
        top = _only(boxes, (b"ftyp", b"meta"))
        # What follows is the major brand, a version, and the brands that the file is compatible with.
        brands = range(top[b"ftyp"].body, top[b"ftyp"].end, 4)
        _checked(len(brands), "brands")
        pixels, items = _pixels(data, top[b"meta"])
    except (IndexError, KeyError):
        raise _damaged() from None
    # As a film (`avis`), an animation would be decoded in place of its picture.
    patches = {place: b"avif" for place in brands if data[place : place + 4] == b"avis"}
    patches[brands[0]] = b"avif"  # of the brands of any coding Pillow knows some
    patches |= {box.start + 4: b"free" for box in boxes if box.kind not in _NEEDED}
    patches |= {place: b"skip" for place in items.values() if data[place : place + 4] not in (_CODED, _GRID)}
    return _patched(data, patches), pixels


def _pixels(data: bytes, meta: _Box) -> tuple[int, dict[int, int]]:
    """Pixels, and the items, with the places of their types (4 bytes)."""
    inside = _only(_boxes(data, meta.body + 4, meta.end), (b"iinf", b"iloc", b"idat", b"iprp"))
    items = _item_types(data, inside[b"iinf"])
    found = _item_data(data, inside[b"iloc"], inside.get(b"idat"))
    stated, largest = _stated_pixels(data, inside[b"iprp"])
    coded = []
    for item, place in items.items():
        kind, parts = data[place : place + 4], found.get(item, ())
        if kind in (_CODED, _GRID):
            whole = parts[0] if len(parts) == 1 else b"".join(parts)
            if kind == _GRID:
                largest = max(largest, _grid_pixels(whole))
            else:
                coded.append(max(_coded_pixels(whole), stated.get(item, 0)))
    if not coded:
        raise _damaged()
    return max(*coded, sum(coded) // 2, largest), items


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


def _number(data: bytes | memoryview, place: int, size: int) -> int:
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


def _only(boxes: Iterable[_Box], kinds: Collection[bytes]) -> dict[bytes, _Box]:
    """The boxes of these kinds. Raises ImageError for a second one of a kind: the decoder might read that."""
    found = [box for box in boxes if box.kind in kinds]
    only = {box.kind: box for box in found}
    if len(only) < len(found):
        raise _damaged()
    return only


def _item_types(data: bytes, box: _Box) -> dict[int, int]:
    """Items, and where their types are (4 bytes). Raises ImageError unless there are as many as the box counts."""
    wide = 2 if data[box.body] == 0 else 4
    entries = list(_boxes(data, box.body + 4 + wide, box.end))
    items = {}
    for entry in entries:
        size = 2 if data[entry.body] == 2 else 4
        items[_number(data, entry.body + 4, size)] = entry.body + 4 + size + 2
        if entry.kind != b"infe" or data[entry.body] not in (2, 3):
            raise _damaged()
    if not len(items) == len(entries) == _number(data, box.body + 4, wide):
        raise _damaged()
    return items


def _stated_pixels(data: bytes, box: _Box) -> tuple[dict[int, int], int]:
    """The pixels that each item has by its properties, and the most that any property states."""
    inside = _only(_boxes(data, box.body, box.end), (b"ipco", b"ipma"))
    sizes = [
        _number(data, one.body + 4, 4) * _number(data, one.body + 8, 4) if one.kind == b"ispe" else 0
        for one in _boxes(data, inside[b"ipco"].body, inside[b"ipco"].end)
    ]
    stated: dict[int, int] = {}
    for item, number in _associations(data, inside[b"ipma"]):
        stated[item] = max(stated.get(item, 0), sizes[number - 1] if number else 0)
    return stated, max(sizes, default=0)


def _associations(data: bytes, box: _Box) -> Iterator[tuple[int, int]]:
    """Items and the numbers of their properties, from 1 on; 0 is none."""
    wide = 2 if data[box.body] == 0 else 4
    size = 2 if data[box.body + 3] & 1 else 1
    place = box.body + 8
    for _ in range(_checked(_number(data, box.body + 4, 4), "items")):
        item, count = _number(data, place, wide), data[place + wide]
        place += wide + 1
        for start in range(place, place + count * size, size):
            yield item, _number(data, start, size) & (1 << 8 * size - 1) - 1  # the first bit: it is essential
        place += count * size


def _grid_pixels(grid: bytes | memoryview) -> int:
    """Pixels of the picture that the tiles of a grid are put together to."""
    size = 4 if grid[1] & 1 else 2
    return _number(grid, 4, size) * _number(grid, 4 + size, size)


def _item_data(data: bytes, box: _Box, idat: _Box | None) -> dict[int, list[memoryview]]:
    """The bytes of each item, in parts. Together they are no more than the file: items may not overlap."""
    view, version, place = memoryview(data), data[box.body], box.body + 6
    sizes = [data[box.body + 4] >> 4, data[box.body + 4] & 15, data[box.body + 5] >> 4]
    index = data[box.body + 5] & 15 if version in (1, 2) else 0
    wide = 4 if version == 2 else 2

    def take(size: int) -> int:
        nonlocal place
        place += size
        return _number(data, place - size, size)

    found: dict[int, list[memoryview]] = {}
    left, extents = len(data), 0
    for _ in range(_checked(take(wide), "items")):
        item = take(wide)
        method = take(2) & 15 if version in (1, 2) else 0
        take(2)
        if item in found or method > 1 or (method == 1 and idat is None):
            raise _damaged()
        first = take(sizes[2]) + (idat.body if method == 1 and idat else 0)
        parts = found[item] = []
        for _ in range(take(2)):
            extents = _checked(extents + 1, "parts of items")
            take(index)
            start, length = first + take(sizes[0]), take(sizes[1])
            if not length:  # all that is left, or nothing: decoders differ
                raise _damaged()
            parts.append(view[start : start + length])
            left -= len(parts[-1])
            if left < 0:
                raise _too_complex("has parts that overlap")
    return found


def _coded_pixels(coded: bytes | memoryview) -> int:
    """Pixels that decoding an item takes: those of a frame, of each frame."""
    place, frames, pixels, obus = 0, 0, 0, 0
    while place < len(coded):
        obus = _checked(obus + 1, "OBUs", MAX_OBUS)
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


def _leb128(data: bytes | memoryview, place: int) -> tuple[int, int]:
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
    def __init__(self, data: bytes | memoryview) -> None:
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


def _frame_pixels(header: bytes | memoryview) -> int:
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
