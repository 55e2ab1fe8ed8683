"""The steps of a recognition, and how long each took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

#: Step -> milliseconds by the clock.
Milliseconds = Mapping[str, float]

#: In their order. `search`: the gallery, and SQL for what it found. `facts`: what is said of each match, from SQL.
STEPS = ("decode", "embed", "search", "barcodes", "second_look", "facts")


class Stopwatch:
    """Adds up the time of each step; steps that were not needed took 0."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = dict.fromkeys(STEPS, 0.0)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what is done meanwhile as this step."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.taken[name] += (time.perf_counter() - began) * 1000
