"""Right of way: work of the background is done in small pieces, one at a time, and waits while tills ask.

The serving process answers tills and works in the background on the same cores, with the same interpreters of the
network, and under one lock of Python's (GIL): side by side, each step of an answer waits for a step of the other. So
threads of the background are marked, and do each piece of their work within `piece()`, which waits until no photo of a
till is being recognized and no other piece is being done. On any other thread it does nothing, so that functions which
people wait for use it, too. All of it is the process's, as the cores and that lock are, not an open catalog's.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds that a piece waits for tills, at most, when it is its turn, so that work goes on while they never pause: an
#: import needs about twelve pieces for a photo of a new product, with what is done afterwards, and takes two seconds.
LONGEST = 0.15
#: Seconds that a piece waits for its turn, at most: one that hangs, as at a silent gallery, holds up no other for long.
TURN = 1.0
#: Seconds after an answer during which the next photo is expected: until then the background rests after each piece for
#: as long as that took, and at most LONGEST, so that the photo is likely to find it at rest.
EXPECTED = 1.0

_changed = threading.Condition()
_asked = 0  # photos of tills that are being recognized
_answered_at = -EXPECTED
_done = 0  # pieces that are being done
_rests_until = 0.0
_waiting: deque[object] = deque()  # pieces that wait, the first one first
_thread = threading.local()


@contextmanager
def asking() -> Iterator[None]:
    """A photo of a till is being recognized. In the background this does nothing: nobody waits for that answer."""
    global _asked, _answered_at
    if in_background():
        yield
        return
    with _changed:
        _asked += 1
    try:
        yield
    finally:
        with _changed:
            _asked -= 1
            _answered_at = time.monotonic()
            _changed.notify_all()


def is_shared() -> bool:
    """Whether photos of several tills are being recognized: the cores have enough to do with one thread for each."""
    return _asked > 1


@contextmanager
def piece() -> Iterator[None]:
    """A piece of work that should take at most some 20 ms; in the background it waits until it may be done.

    A piece within a piece is a part of that. Hold no transaction, and no lock that an answer needs, while it waits.
    """
    global _done, _rests_until
    if not in_background() or getattr(_thread, "in_piece", False):
        yield
        return
    with _changed:
        _wait()
        _done += 1
    began = time.monotonic()
    _thread.in_piece = True
    try:
        yield
    finally:
        _thread.in_piece = False
        with _changed:
            _done -= 1
            ended = time.monotonic()
            if _asked or ended < _answered_at + EXPECTED:
                _rests_until = ended + (ended - began)
            _changed.notify_all()


def _wait() -> None:
    mine, turn_by, tills_by = object(), time.monotonic() + TURN, 0.0
    _waiting.append(mine)
    while (now := time.monotonic()) < turn_by:
        if _done or _waiting[0] is not mine:
            _changed.wait(turn_by - now)
            continue
        tills_by = tills_by or now + LONGEST
        until = tills_by if _asked else min(tills_by, _rests_until)
        if now >= until:
            break
        _changed.wait(until - now)
    _waiting.remove(mine)


def mark_background() -> None:
    """What this thread does from now on is work of the background."""
    _thread.in_background = True


@contextmanager
def background() -> Iterator[None]:
    """What this thread does meanwhile is work of the background."""
    before = in_background()
    _thread.in_background = True
    try:
        yield
    finally:
        _thread.in_background = before


def in_background() -> bool:
    """Whether what this thread does is work of the background."""
    return getattr(_thread, "in_background", False)
