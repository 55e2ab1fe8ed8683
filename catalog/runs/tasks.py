"""A run as its work sees it: what was asked for, and where to say how far it is."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import update

from catalog.storage import Database
from catalog.storage.tables import Run

#: Seconds between two writes of how far a run is; each asks whether it is to end, too.
TELL_EVERY = 1.0


class StopAskedError(Exception):
    """A person wants the run to end. No CatalogError: the work must let it pass."""


class LostError(Exception):
    """The run is no longer this process's: the server stops, or another process has it. What it did stays."""


@dataclass(frozen=True)
class Outcome:
    """What a run has to say at its end: a sentence, and small figures or lists, as JSON."""

    message: str
    result: dict[str, Any] = field(default_factory=dict)


@dataclass
class Task:
    """A run that this process is at. `progress` is a Progress (catalog/progress.py), to be called every few seconds:
    it raises StopAskedError or LostError when the work is to end, which may be at any call.

    `leaving`: this process is to end.
    """

    id: uuid.UUID
    actor: str
    options: dict[str, Any]
    database: Database
    holder: uuid.UUID
    leaving: Callable[[], bool] = lambda: False
    told_at: float = 0.0

    def progress(self, done: int, total: int) -> None:
        """Keep how far it is, now and then. Raises StopAskedError or LostError."""
        if self.leaving():
            raise LostError
        if time.monotonic() < self.told_at + TELL_EVERY:
            return
        self.told_at = time.monotonic()
        with self.database.write() as session:
            mine = (Run.id == self.id) & (Run.holder == self.holder) & Run.ended_at.is_(None)
            stop = session.scalar(update(Run).where(mine).values(done=done, total=total).returning(Run.stop))
        if stop is None:
            raise LostError
        if stop:
            raise StopAskedError
