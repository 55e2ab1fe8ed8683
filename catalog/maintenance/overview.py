"""The catalog in figures, for the first look in the morning: what is there, what tills were told, what waits."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import String, column, func, select, values
from sqlalchemy.orm import Session

from catalog import products
from catalog.catalog import Catalog
from catalog.products import Counts
from catalog.storage.tables import (
    Feedback,
    Generation,
    InboxPhoto,
    RecognitionEntry,
    Removal,
    UtcDateTime,
    Webhook,
    now,
)

#: Days that are counted, today included.
DAYS = 30
#: The newest answers whose milliseconds are looked at: enough for a 95th percentile, however many there are.
TIMED = 2000
DECISIONS = ("match", "ambiguous", "unknown")


@dataclass(frozen=True)
class Day:
    """How many answers a day (in UTC) had, by decision."""

    on: date
    match: int
    ambiguous: int
    unknown: int

    @property
    def total(self) -> int:
        """All answers of the day."""
        return self.match + self.ambiguous + self.unknown


@dataclass(frozen=True)
class Times:
    """The median and the 95th percentile, in milliseconds, of the newest `answers`; None without any."""

    answers: int
    p50: float | None
    p95: float | None


@dataclass(frozen=True)
class Disk:
    """Bytes of the disk that holds CATALOG_DATA."""

    free: int
    total: int


@dataclass(frozen=True)
class LiveBundle:
    """The live model, and since when it is."""

    name: str
    bundle_id: str
    since: datetime


@dataclass(frozen=True)
class Webhooks:
    """Systems that are told what changes. `dead`: they are not any more; `failing`: the next attempt is due later, and
    `failing_since` when the first of these began to fail. `paused`: by the staff.
    """

    total: int
    dead: int
    failing: int
    paused: int
    failing_since: datetime | None

    @property
    def seconds_behind(self) -> float:
        """How long the first of these has been failing; 0 without any."""
        return max(0.0, (now() - self.failing_since).total_seconds()) if self.failing_since else 0.0


@dataclass(frozen=True)
class Overview:
    """The figures of one moment. `days`: the last DAYS, the oldest first. `wrong`: answers that were
    judged wrong in them.

    `pending`: changes that the live gallery does not have yet. `model` is None before the first.
    """

    counts: Counts
    pending: int
    days: tuple[Day, ...]
    times: Times
    wrong: int
    inbox_photos: int
    inbox_groups: int
    disk: Disk
    model: LiveBundle | None
    webhooks: Webhooks


def look_over(catalog: Catalog) -> Overview:
    """Count all that an Overview has. No gallery is asked."""
    counts = products.counts(catalog.database)
    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=DAYS - 1)
    used = shutil.disk_usage(catalog.settings.data)
    with catalog.database.read() as session:
        live = session.scalar(select(Generation).where(Generation.live))
        photos, groups = session.execute(
            select(func.count(), func.count(InboxPhoto.group_id.distinct())).where(InboxPhoto.ours)
        ).one()
        return Overview(
            counts,
            counts.pending + count_removals(session, live),
            _days(session, since),
            _times(session, since),
            _count_wrong(session, since),
            photos,
            groups,
            Disk(used.free, used.total),
            LiveBundle(live.bundle_name, live.bundle_id, live.switched_at or live.created_at) if live else None,
            webhooks(session),
        )


def webhooks(session: Session) -> Webhooks:
    """How the webhooks are doing."""
    rows = session.execute(select(Webhook.paused, Webhook.failing_since)).all()
    failing = [since for paused, since in rows if not paused and since is not None]
    by_staff = sum(row.paused == "staff" for row in rows)
    dead = sum(row.paused != "" for row in rows) - by_staff
    return Webhooks(len(rows), dead, len(failing), by_staff, min(failing, default=None))


def _days(session: Session, since: datetime) -> tuple[Day, ...]:
    """One count for each day and decision, each from a stretch of ix_recognition_decision_at: grouping all answers by
    their day would compute it for each of them."""
    starts = [since + timedelta(days=day) for day in range(DAYS)]
    wanted = values(
        *(column("decision", String), column("since", UtcDateTime), column("until", UtcDateTime)), name="wanted"
    ).data([(decision, start, start + timedelta(days=1)) for start in starts for decision in DECISIONS])
    each = wanted.cte("wanted")
    mine = (RecognitionEntry.decision == each.c.decision) & (RecognitionEntry.at >= each.c.since)
    counted = select(func.count()).select_from(RecognitionEntry).where(mine, RecognitionEntry.at < each.c.until)
    rows = session.execute(select(each.c.since, each.c.decision, counted.correlate(each).scalar_subquery()))
    found = {(start, decision): count for start, decision, count in rows}
    return tuple(Day(start.date(), *(found[start, decision] for decision in DECISIONS)) for start in starts)


def _times(session: Session, since: datetime) -> Times:
    newest = select(RecognitionEntry.milliseconds).where(RecognitionEntry.at >= since)
    taken = sorted(session.scalars(newest.order_by(RecognitionEntry.at.desc()).limit(TIMED)))
    if not taken:
        return Times(0, None, None)
    return Times(len(taken), taken[len(taken) // 2], taken[min(len(taken) - 1, len(taken) * 95 // 100)])


def _count_wrong(session: Session, since: datetime) -> int:
    wrong = select(func.count(Feedback.recognition_id.distinct())).where(~Feedback.correct, Feedback.at >= since)
    return session.scalar(wrong) or 0


def count_removals(session: Session, live: Generation | None) -> int:
    """Points that the live gallery still has, and should not."""
    if live is None:
        return 0
    mine = select(func.count()).select_from(Removal).where(Removal.generation_id == live.id)
    return session.scalar(mine) or 0
