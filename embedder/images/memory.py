"""Memory of decoding: pictures are decoded at once only as far as all of them fit."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

#: Bytes that all pictures of this process take together while they are decoded. The largest that is accepted fits.
BUDGET = 224 * 2**20
#: A picture that takes less is decoded at once, whatever others are waiting: a till's frame of two megapixels.
SMALL = 12 * 2**20
#: Blocks of memory from this size on (bytes) are given back to the system when they are freed.
LARGE = 4 * 2**20
#: glibc's name for that size (malloc.h).
M_MMAP_THRESHOLD = -3


@cache
def give_back_large_blocks() -> None:
    """Have glibc give back freed pictures at once. By itself it raises that size to 32 MB as soon as one block so large
    was freed, and then each thread keeps those of the pictures that it decoded: hundreds of megabytes with 8 threads.
    """
    with suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)


class MemoryBudget:
    """A semaphore weighed by bytes; who came first is first."""

    def __init__(self, total: int = BUDGET) -> None:
        self._total = total
        self._used = 0
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @property
    def used(self) -> int:
        """Bytes that are held now."""
        return self._used

    @contextmanager
    def hold(self, wanted: int) -> Iterator[None]:
        """Wait until `wanted` bytes are free, and hold them. What is beyond the budget waits for all of it."""
        if wanted < SMALL:
            yield
            return
        give_back_large_blocks()
        wanted, ticket = min(wanted, self._total), object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket and self._used + wanted <= self._total)
                self._used += wanted
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._used -= wanted
                self._changed.notify_all()


decoding_budget = MemoryBudget()
