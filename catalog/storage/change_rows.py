"""Rows of the feed of changes, written at the end of the transaction that makes the change, in the order of commits.

Ids of concurrent transactions become visible out of order: a reader that has seen 11 would miss a 10 that commits
later. So the rows are written last, under a lock of the database that is held until the commit: whoever gets the next
id gets it after the one before can be seen. What was written before has its locks by then, so that nobody waits for
another while it holds this one, and it is held for the time of a commit, whatever the transaction did. A backup's
snapshot, or a transaction that lasts for hours, holds up no reader, as a comparison with the oldest one would.
"""

from __future__ import annotations

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from catalog.storage.change_events import ChangeEvent
from catalog.storage.tables import Change, now

#: Key of PostgreSQL's advisory lock under which rows are written (arbitrary).
FEED_LOCK = 7_215_805
_NOTED = "changes"


def note(session: Session, event: ChangeEvent, actor: str) -> None:
    """Have a change told when the session commits; `actor`: the kind of it (see change_events.kind_of)."""
    row = {"type": event.type, "actor": actor, "sku": event.sku, "told": dict(event.told)}
    session.info.setdefault(_NOTED, []).append(row)


def write_noted(session: Session) -> None:
    """Write what was noted. Nothing may be written after it in the transaction: see above."""
    rows = session.info.pop(_NOTED, [])
    if not rows:
        return
    session.flush()
    if session.get_bind().dialect.name == "postgresql":  # on SQLite there is one writer at a time
        session.execute(select(func.pg_advisory_xact_lock(FEED_LOCK)))
    at = now()
    session.execute(insert(Change), [{**row, "at": at} for row in rows])
