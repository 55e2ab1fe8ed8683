"""How far a long piece of work is: one callback for all of them."""

from __future__ import annotations

from collections.abc import Callable

#: Is told how many are done, of how many in all; who takes one says of what (photos, products, bytes).
Progress = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    """Nobody looks on."""


class Steps:
    """Counts what is done of a total, and tells a Progress."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total = progress, total
        self._done = 0

    def advance(self, count: int = 1) -> None:
        """So many more are done."""
        self._done += count
        self._progress(self._done, self._total)
