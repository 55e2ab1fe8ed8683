"""Looks beside who asks: kept for some seconds, never waited for twice, and not believed for ever."""

from __future__ import annotations

import threading
import time

import pytest

from catalog.errors import DatabaseUnavailableError
from web.metrics import lookout
from web.metrics.lookout import Lookout


class Part:
    """A part that can be silent, or away."""

    def __init__(self) -> None:
        self.asked, self.is_away = 0, False
        self.speaks = threading.Event()
        self.speaks.set()

    def look(self) -> int:
        self.asked += 1
        asked = self.asked
        assert self.speaks.wait(20)
        if self.is_away:
            raise DatabaseUnavailableError("It is away.")
        return asked


def test_what_was_found_is_kept_for_some_seconds() -> None:
    part = Part()
    watched = Lookout("test", part.look)
    assert [watched.get() for _ in range(5)] == [1] * 5 and part.asked == 1


def test_a_silent_part_is_waited_for_once_and_then_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "KEPT", 0.0)
    monkeypatch.setattr(lookout, "PATIENCE", 0.3)
    monkeypatch.setattr(lookout, "STALE", 1.0)
    part = Part()
    watched = Lookout("test", part.look)
    assert watched.get() == 1
    part.speaks.clear()
    began = time.monotonic()
    assert watched.get() == 1, "a look that takes longer than patience says what was found before"
    assert 0.2 < time.monotonic() - began < 5
    began = time.monotonic()
    assert watched.get() == 1 and time.monotonic() - began < 0.2
    time.sleep(1.1)
    assert watched.get() is None and part.asked == 2
    part.speaks.set()
    deadline = time.monotonic() + 10
    while watched.get() is None:
        assert time.monotonic() < deadline


def test_a_part_that_hangs_for_ever_is_asked_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "PATIENCE", 0.05)
    part = Part()
    part.speaks.clear()
    watched = Lookout("test", part.look)
    assert [watched.get(), watched.get()] == [None, None] and part.asked == 1
    monkeypatch.setattr(lookout, "GIVEN_UP", 0.0)
    watched.get()
    assert part.asked == 2
    part.speaks.set()


def test_a_part_that_is_away_is_not_known_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lookout, "KEPT", 0.0)
    part = Part()
    watched = Lookout("test", part.look)
    assert watched.get() == 1
    part.is_away = True
    assert watched.get() is None and not caplog.records
    part.is_away = False
    assert watched.get() == 3


def test_an_unexpected_error_is_logged_and_ends_no_scrape(caplog: pytest.LogCaptureFixture) -> None:
    watched: Lookout[float] = Lookout("the test's part", lambda: 1 / 0)
    assert watched.get() is None
    assert "the test's part" in caplog.text and "ZeroDivisionError" in caplog.text
