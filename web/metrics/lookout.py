"""Looks at a part that may be slow or silent, on a thread beside: who asks gets what the last look found."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

from catalog.errors import CatalogError

log = logging.getLogger(__name__)

Found = TypeVar("Found")

#: Seconds for which what was found is not looked at again, so that several Prometheis cost as much as one.
KEPT = 10.0
#: Seconds that a look is waited for, for who asks first; later ones are given what was found before meanwhile.
PATIENCE = 1.0
#: Seconds after which what was found is no longer true, if the next look has no answer: more than a minute, which is
#: Prometheus' own interval, so that what a look found after its first asker had left is still told to the next one.
STALE = 90.0
#: Seconds after which a look is left to itself and another begins beside it.
GIVEN_UP = 60.0


class Lookout(Generic[Found]):
    """Calls `look`, which may raise a CatalogError: it is then not known what there is. Thread-safe."""

    def __init__(self, name: str, look: Callable[[], Found]) -> None:
        self._name, self._look = name, look
        self._lock = threading.Lock()
        self._began = float("-inf")
        self._current: Future[Found] | None = None
        self._last: tuple[float, Found] | None = None

    def begin(self) -> None:
        """Look again, if that is due."""
        at = time.monotonic()
        with self._lock:
            is_over = self._current is None or self._current.done()
            if at < self._began + (KEPT if is_over else GIVEN_UP):
                return
            self._began, self._current = at, Future()
            threading.Thread(target=self._run, args=[self._current], name=self._name, daemon=True).start()

    def get(self) -> Found | None:
        """What was found; None if the part can't be asked, or is silent."""
        self.begin()
        with self._lock:
            current, until = self._current, self._began + PATIENCE
        if current is None:  # only to say so: begin() has set it
            return None
        wait([current], max(0.0, until - time.monotonic()))
        if current.done() and current.exception():
            return None
        if current.done():
            return current.result()
        last = self._last
        return last[1] if last and time.monotonic() < last[0] + STALE else None

    def _run(self, current: Future[Found]) -> None:
        try:
            found = self._look()
        except CatalogError as error:
            current.set_exception(error)
        except BaseException as error:
            log.exception("%s could not be looked at", self._name)
            current.set_exception(error)
        else:
            self._last = time.monotonic(), found
            current.set_result(found)
