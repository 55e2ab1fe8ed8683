"""SIGTERM and SIGINT: both end the server in order. Loads nothing, so that it is in place before anything else is."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """What SIGTERM and SIGINT asked for. Until the program serves they end it at once, with status 0 and no word.

    Nothing is acknowledged by then, and what it opens survives `kill -9`, too.
    A process that is PID 1 gets only the signals that it handles: without this, `docker stop` would have to kill it.
    """

    def __init__(self) -> None:
        self.times = 0
        self._act: Callable[[], None] = _end

    def listen(self) -> None:
        """Handle the signals from now on, also those that came while they were blocked (see `catalog serve`)."""
        for number in STOPPING:
            signal.signal(number, self._asked)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    def wake(self, act: Callable[[], None]) -> None:
        """Call this from now on; it is called in the signal handler, so it must not wait for a lock."""
        self._act = act

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self.times += 1
        self._act()


def _end() -> None:
    # Not SystemExit: raised in a callback, as of a weak reference, it would be printed and lost.
    os._exit(0)
