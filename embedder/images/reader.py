"""A file for decoders: parts of bytes, one after the other, read without a copy of the whole and for a limited time."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from embedder.errors import ImageError

#: Seconds of processor time for which a decoder goes on to read a file.
MAX_SECONDS = 5.0


class Reader:
    """What Pillow needs of a file. Few bytes may keep a decoder busy: `read` raises ImageError after MAX_SECONDS."""

    def __init__(self, parts: Sequence[bytes | memoryview]) -> None:
        self._parts = parts
        self._ends = list(accumulate(len(part) for part in parts))
        self._place = 0
        self._until = time.thread_time() + MAX_SECONDS

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes; None or below 0: all that is left."""
        if time.thread_time() > self._until:
            raise ImageError("too_complex", f"The picture takes more than {MAX_SECONDS:.0f} s to decode.")
        total = self._ends[-1]
        end = total if size is None or size < 0 else min(total, self._place + size)
        if self._place == 0 and end == total and len(self._parts) == 1:
            self._place = end
            return bytes(self._parts[0])  # of bytes no copy
        pieces = []
        while self._place < end:
            part = bisect_right(self._ends, self._place)
            start = self._ends[part] - len(self._parts[part])
            piece = self._parts[part][self._place - start : end - start]
            pieces.append(piece)
            self._place += len(piece)
        return b"".join(pieces)

    def seek(self, place: int, whence: int = 0) -> int:
        """As of a file."""
        self._place = max(0, place + (0, self._place, self._ends[-1])[whence])
        return self._place

    def tell(self) -> int:
        """As of a file."""
        return self._place
