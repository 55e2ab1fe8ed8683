"""The feed of changes, read by cursor: nothing is missed, and nothing told twice to who keeps the cursor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from catalog.errors import CursorGoneError, InvalidInputError
from catalog.normalization import MOST
from catalog.storage.database import Database
from catalog.storage.tables import Change, ChangeFeed, now

#: In place of a cursor: from now on.
LATEST = "latest"
#: Changes that are deleted in one transaction.
CHUNK = 1000


@dataclass(frozen=True)
class ChangePage:
    """Changes, the oldest first; the cursor after the last of them, and whether there are more."""

    changes: list[Change]
    next: str
    more: bool
    feed: str


def as_dict(feed: str, change: Change) -> dict[str, Any]:
    """A change of the feed of that name, as other systems are told it; its `id` is also the cursor after it."""
    told = {name: change.told.get(name) for name in ("was", "photo", "bundle", "group", "well")}
    return {
        "id": f"{feed}-{change.id}",
        "type": change.type,
        "at": change.at.isoformat(),
        "actor": change.actor,
        "sku": change.sku or None,
        "fields": change.told.get("fields", []),
        **told,
    }


def changes_after(database: Database, cursor: str, limit: int) -> ChangePage:
    """Changes after a cursor: "" from the oldest that is kept on, LATEST for none but the cursor of this moment.

    Raises InvalidInputError for what is no cursor; CursorGoneError for one whose next changes are kept no more, or of
    another database.
    """
    place = _place(cursor)
    with database.read() as session:
        if cursor == LATEST:
            feed = session.scalars(select(ChangeFeed)).one()
            return ChangePage([], f"{feed.name}-{newest(session)}", False, feed.name)
        after = place[1] if place else 0
        query = select(Change).where(Change.id > after).order_by(Change.id).limit(limit + 1)
        found = list(session.scalars(query))
        # Only now: had it been read before, changes might have been deleted since.
        feed = session.scalars(select(ChangeFeed)).one()
        if place and (place[0] != feed.name or not feed.trimmed_to <= after <= newest(session)):
            raise CursorGoneError(
                "What changed after this cursor is kept no more, or it is of another database. Ask for the changes "
                f"after `{LATEST}`, keep that cursor, read all products anew, and go on from the cursor."
            )
    shown = found[:limit]
    last = shown[-1].id if shown else max(after, feed.trimmed_to)
    return ChangePage(shown, f"{feed.name}-{last}", len(found) > limit, feed.name)


def newest(session: Session) -> int:
    """The id of the newest change, also where it is kept no more."""
    return max(session.scalar(select(func.max(Change.id))) or 0, session.scalar(select(ChangeFeed.trimmed_to)) or 0)


def _place(cursor: str) -> tuple[str, int] | None:
    """The feed of a cursor and the id that it is after; None for one that names no place. Raises InvalidInputError."""
    if cursor in ("", LATEST):
        return None
    found = re.fullmatch("([0-9a-f]{8})-([0-9]{1,18})", cursor)
    if found is None:
        raise InvalidInputError("after", f"`after` is the `next` of the page before, {LATEST}, or left out.")
    return found[1], min(int(found[2]), MOST)


def trim(database: Database, days: int) -> int:
    """Delete up to 1,000 changes that are older than so many days; returns how many."""
    with database.write() as session:
        old = Change.at < now() - timedelta(days=days)
        ids = session.scalars(select(Change.id).where(old).order_by(Change.id).limit(CHUNK)).all()
        if ids:
            session.execute(update(ChangeFeed).values(trimmed_to=ids[-1]))
            session.execute(delete(Change).where(Change.id <= ids[-1]))
        return len(ids)
