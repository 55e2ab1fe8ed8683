"""What is due every night: at CATALOG_NIGHTLY, by the clock of this machine, once, whichever process is there."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from sqlalchemy import func, select

from catalog.errors import ConflictError
from catalog.runs import recording
from catalog.runs.kinds import KINDS
from catalog.storage import Database
from catalog.storage.change_events import EVERY_NIGHT
from catalog.storage.tables import Generation, Run

#: What was done so long before a night's time is this night's.
SAME_NIGHT = timedelta(hours=6)


def last_due(at: time, moment: datetime) -> datetime:
    """The last time that the clock showed `at`, up to a local moment; both without a time zone.

    A night in which the clock is set forward past `at` is due when it has passed; one in which the clock is set back
    has one date, and so one run.
    """
    due = datetime.combine(moment.date(), at)
    return due if due <= moment else due - timedelta(days=1)


def ask_for_due(database: Database, at: time, moment: datetime) -> int:
    """Ask for the runs of the last night that were not asked for, also hours later, as after a server that was off.

    A catalog that has begun since waits for its first night. A kind that is at work waits until it is over. Returns how
    many were asked for.
    """
    due = last_due(at, moment)
    night = due.date().isoformat()
    with database.read() as session:
        began = session.scalar(select(func.min(Generation.created_at)))
        done = set(session.scalars(select(Run.kind).where(Run.night == night)))
        # `catalog nightly`, at another time of this night.
        mine = (Run.actor == EVERY_NIGHT) & (Run.state == "done")
        done |= set(session.scalars(select(Run.kind).where(mine, Run.created_at > due.astimezone() - SAME_NIGHT)))
        busy = set(session.scalars(select(Run.kind).where(Run.ended_at.is_(None))))
    if began is None or began > due.astimezone():
        return 0
    asked = 0
    for kind in KINDS.values():
        if kind.nightly and kind.name not in done | busy:
            try:
                recording.start(database, kind.name, actor=EVERY_NIGHT, night=night)
                asked += 1
            except ConflictError:  # another process was faster
                continue
    return asked
