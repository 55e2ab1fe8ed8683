"""Silence of a server, remembered for a moment, so that not every caller waits for a time-out (a circuit breaker)."""

from __future__ import annotations

import math
import threading
import time

#: Seconds that a silent server is left alone. Then one caller, and no other, tries it again.
REST = 3.0


class Silence:
    """Whether a server is silent at this moment. Thread-safe; `timeout` is that of one call, in seconds.

    A call that timed out is no silence while others are answered: a large write may take long.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._ended = -math.inf
        self._again_at: float | None = None

    def may_ask(self) -> bool:
        """Whether a call may be made now. The caller tells how it went by `ended` or `timed_out`."""
        with self._lock:
            if self._again_at is None:
                return True
            now = time.monotonic()
            if now < self._again_at:
                return False
            # This caller tries it. Should it never tell, somebody else does later.
            self._again_at = now + self._timeout + REST
            return True

    def ended(self) -> None:
        """A call ended in time: by an answer, or by an error that says that there will be none."""
        with self._lock:
            self._ended, self._again_at = time.monotonic(), None

    def timed_out(self) -> None:
        """A call timed out."""
        with self._lock:
            now = time.monotonic()
            if now - self._ended > self._timeout / 2:
                self._again_at = now + REST
