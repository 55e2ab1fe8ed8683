"""The answer log: answers to tills, in SQL, written asynchronously.

No answer waits for the disk: entries are buffered in memory and written in batches within seconds. A killed process
loses those; nothing that was acknowledged depends on them.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from catalog.storage.database import Database
from catalog.storage.tables import Product, RecognitionEntry, now

#: Capacity of the buffer, in entries: the oldest are dropped when the database is unavailable for long.
WAITING = 10_000
#: Entries written, or expired entries deleted, in one transaction.
CHUNK = 1000


@dataclass(frozen=True)
class AnswerEntry:
    """An answer as it is logged. `sku`, `score` and `confidence` are the first match's; "" and None without one."""

    id: uuid.UUID
    at: datetime
    asked_by: str
    decision: str
    decided_by: str
    sku: str
    score: float | None
    confidence: float | None
    bundle_id: str
    milliseconds: float


def new_answer_id() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562): the moment, in milliseconds, and 74 random bits.

    Whoever is asked about an answer can tell by it whether another process may not have written it yet.
    """
    milliseconds = int(now().timestamp() * 1000) & (1 << 48) - 1
    drawn = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | 7 << 76 | (drawn >> 64 & 0xFFF) << 64 | 2 << 62 | drawn & (1 << 62) - 1
    return uuid.UUID(int=value)


def made_at(answer: uuid.UUID) -> float | None:
    """When an answer was given, in seconds since 1970, by its id; None for an id of an older version."""
    return (answer.int >> 80) / 1000 if answer.version == 7 else None


class AnswerLog:
    """The answer log of one catalog, kept for `days` days (0: not at all). Thread-safe."""

    def __init__(self, db: Database, days: int) -> None:
        self._db, self._days = db, days
        self._waiting: deque[AnswerEntry] = deque(maxlen=WAITING)
        self._writing = threading.Lock()

    @property
    def is_kept(self) -> bool:
        """Whether there is a log at all."""
        return self._days > 0

    def append(self, entry: AnswerEntry) -> None:
        """Buffer an answer; it is in SQL after the next `flush`. Does nothing where no log is kept."""
        if self.is_kept:
            self._waiting.append(entry)

    def flush(self) -> int:
        """Write the buffer; returns how many entries. Raises DatabaseUnavailableError; they then stay buffered."""
        written = 0
        with self._writing:
            while self._waiting:
                chunk = [self._waiting[place] for place in range(min(CHUNK, len(self._waiting)))]
                with self._db.write() as session:
                    skus = {entry.sku for entry in chunk if entry.decision == "match"}
                    known = dict(session.execute(select(Product.sku, Product.id).where(Product.sku.in_(skus))).all())
                    session.add_all(
                        RecognitionEntry(
                            **asdict(entry), product_id=known.get(entry.sku) if entry.decision == "match" else None
                        )
                        for entry in chunk
                    )
                # Only this method removes entries, but a full deque drops its oldest by itself.
                kept = {entry.id for entry in chunk}
                while self._waiting and self._waiting[0].id in kept:
                    self._waiting.popleft()
                written += len(chunk)
        return written

    def trim(self) -> int:
        """Delete up to 1,000 expired entries; returns how many. Raises DatabaseUnavailableError."""
        with self._db.write() as session:
            old = RecognitionEntry.at < now() - timedelta(days=self._days)
            ids = session.scalars(
                select(RecognitionEntry.id).where(old).order_by(RecognitionEntry.at).limit(CHUNK)
            ).all()
            if ids:
                session.execute(delete(RecognitionEntry).where(RecognitionEntry.id.in_(ids)))
            return len(ids)
