"""AVIF files made by hand, of items as encoders code them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

Size = tuple[int, int]
#: Properties of pictures as encoders write them by default: three channels of 8 bits, 4:2:0.
_PIXI, _AV1C = b"\0\0\0\0\3\x08\x08\x08", b"\x81\0\x0c\0"


def box(kind: bytes, *bodies: bytes) -> bytes:
    """A box of an ISO base media file."""
    body = b"".join(bodies)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def item_of(data: bytes) -> bytes:
    """The coded picture of an AVIF of one item, which is the last of its boxes."""
    return data[data.index(b"mdat") + 4 :]


def grid(rows: int, columns: int, size: Size, *, wide: bool = False) -> bytes:
    """The data of an item that puts tiles together to a picture of this size."""
    return bytes([0, int(wide), rows - 1, columns - 1]) + struct.pack(">II" if wide else ">HH", *size)


def avif(
    parts: Sequence[Size],
    coded: bytes,
    *,
    types: Sequence[bytes] = (),
    sizes: Sequence[Size] = (),
    version: int = 0,
    counted: int | None = None,
    more: bytes = b"",
    brands: bytes = b"avifmif1",
) -> bytes:
    """An AVIF whose items (of these types and stated sizes) are parts of `coded`: their start and length.

    The first item is the picture; where it is a grid, the others are its tiles. `counted`: as how many items it counts.
    `more`: further boxes beside those that say all this.
    """
    types = types or [b"av01"] * len(parts)
    sizes = sizes or [(64, 48)] * len(parts)
    wide = ">I" if version == 2 else ">H"
    index = struct.pack(wide, len(parts))

    def meta(first: int) -> bytes:
        rows = b"".join(
            struct.pack(wide, number) + (bytes(2) if version else b"") + bytes(2)
            + struct.pack(">HII", 1, first + start, length)
            for number, (start, length) in enumerate(parts, 1)
        )  # fmt: skip
        entries = b"".join(
            box(b"infe", b"\2\0\0\0", struct.pack(">HH", number, 0), kind, b"\0")
            for number, kind in enumerate(types, 1)
        )
        stated = [box(b"ispe", bytes(4), struct.pack(">II", *size)) for size in sizes]
        # Each item has its size, and both others, which are the first; its coding is essential.
        of_items = [struct.pack(">HBHHH", number, 3, 1, 0x8002, 2 + number) for number in range(1, len(parts) + 1)]
        tiles = struct.pack(f">HH{len(parts) - 1}H", 1, len(parts) - 1, *range(2, len(parts) + 1))
        return box(
            b"meta", bytes(4), box(b"hdlr", bytes(8), b"pict", bytes(13)), box(b"pitm", bytes(4), b"\0\1"),
            box(b"iloc", bytes([version, 0, 0, 0, 0x44, 0]), index, rows),
            box(b"iinf", bytes(4), struct.pack(">H", len(parts) if counted is None else counted), entries),
            box(
                b"iprp", box(b"ipco", box(b"pixi", _PIXI), box(b"av1C", _AV1C), *stated),
                box(b"ipma", b"\0\0\0\1", struct.pack(">I", len(parts)), *of_items),
            ),
            box(b"iref", bytes(4), box(b"dimg", tiles)) if types[0] == b"grid" else b"", more,
        )  # fmt: skip

    head = box(b"ftyp", b"avif", bytes(4), brands)
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", coded)


def grid_avif(put_together: bytes, tiles: Sequence[bytes], *, size: Size, tile: Size) -> bytes:
    """An AVIF of tiles (coded pictures), with the sizes that are stated of the whole and of each."""
    parts, start = [], 0
    for one in (put_together, *tiles):
        parts.append((start, len(one)))
        start += len(one)
    types, sizes = [b"grid", *[b"av01"] * len(tiles)], [size, *[tile] * len(tiles)]
    return avif(parts, put_together + b"".join(tiles), types=types, sizes=sizes)
