"""Progress of long-running work: one type of callback for all of it."""

from __future__ import annotations

from collections.abc import Callable

#: Called with the units done and their total; the function that takes it names the unit (photos, products, bytes).
Progress = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""


class Steps:
    """Counts the units done of a total, and reports to a Progress."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total = progress, total
        self._done = 0

    def advance(self, count: int = 1) -> None:
        """Count more units as done, and report."""
        self._done += count
        self._progress(self._done, self._total)
