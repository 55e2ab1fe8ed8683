"""How often tills recognized a product, from the answer log."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import func, select

from catalog.storage.database import Database
from catalog.storage.tables import RecognitionEntry, now


@dataclass(frozen=True)
class Recognized:
    """Matches by day (UTC), the oldest first, today last; and the last one of the whole log (None: never)."""

    days: list[tuple[date, int]]
    last: datetime | None

    @property
    def total(self) -> int:
        """Matches of all days."""
        return sum(count for _, count in self.days)

    @property
    def most(self) -> int:
        """Matches of the day that has most."""
        return max((count for _, count in self.days), default=0)


def recognized(database: Database, product_id: uuid.UUID, days: int = 30) -> Recognized:
    """How often a product was the match of an answer, on each of the last `days` days."""
    today = now().date()
    dates = [today - timedelta(days=ago) for ago in reversed(range(days))]
    mine = RecognitionEntry.product_id == product_id
    # Ranges of the index by product and moment; the date of a moment is another function on each database.
    counts = [
        select(func.count()).where(mine, RecognitionEntry.at >= _begin(day), RecognitionEntry.at < _begin(day, 1))
        for day in dates
    ]
    last = select(func.max(RecognitionEntry.at)).where(mine)
    with database.read() as session:
        row = session.execute(select(*(query.scalar_subquery() for query in counts))).one()
        return Recognized(list(zip(dates, row, strict=True)), session.scalar(last))


def _begin(day: date, later: int = 0) -> datetime:
    return datetime.combine(day + timedelta(days=later), time(), UTC)
