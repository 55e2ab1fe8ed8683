"""The inbox as it is shown: groups of photos that look alike, each with the products that it may be."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from catalog.errors import NotFoundError
from catalog.storage import Database, product_rows
from catalog.storage.tables import AuditEntry, Feedback, InboxPhoto, Photo, Product

#: Products that are offered for a group.
OFFERED = 3
Order = Literal["newest", "frequent"]


@dataclass(frozen=True)
class Item:
    """A photo of the inbox. `decision`: what the till was answered, "match" if that was judged wrong."""

    id: uuid.UUID
    at: datetime
    asked_by: str
    decision: str


@dataclass(frozen=True)
class Candidate:
    """A product that a group may be, and a photo of it (SHA-256). `told`: a till says that it is."""

    sku: str
    name: str
    photo: str
    score: float
    told: bool = False


@dataclass(frozen=True)
class Group:
    """Photos that look alike, the newest first; `seen`: how often tills asked about them, with those no longer kept."""

    id: uuid.UUID
    items: tuple[Item, ...]
    seen: int
    candidates: tuple[Candidate, ...]

    @property
    def newest(self) -> datetime:
        """When a till last asked."""
        return self.items[0].at


@dataclass(frozen=True)
class Inbox:
    """A page of groups; `total` groups and `photos` are all of the inbox's."""

    groups: list[Group]
    total: int
    photos: int


def groups(database: Database, *, order: Order = "newest", start: int = 0, limit: int = 20) -> Inbox:
    """The groups, the newest or the most frequent first."""
    with database.read() as session:
        found = _all(session)
        if order == "frequent":
            found.sort(key=lambda rows: (sum(row.seen for row in rows), rows[0].at), reverse=True)
        chosen = [_group(session, rows) for rows in found[start : start + limit]]
        return Inbox(chosen, len(found), sum(map(len, found)))


@dataclass(frozen=True)
class Dismissed:
    """Photos of a group that a person called none of our products, kept to tell its like by, the newest first.

    `by` and `said_at`: who said so, and when; None where the audit log does not tell.
    """

    id: uuid.UUID
    photos: tuple[uuid.UUID, ...]
    by: str | None
    said_at: datetime | None


def dismissed(database: Database, *, start: int = 0, limit: int = 20) -> tuple[list[Dismissed], int]:
    """The groups that are not ours, that of the newest photo first; and how many there are in all."""
    newest = func.max(InboxPhoto.at)
    groups = select(InboxPhoto.group_id).where(~InboxPhoto.ours).group_by(InboxPhoto.group_id)
    with database.read() as session:
        total = session.scalar(select(func.count()).select_from(groups.subquery())) or 0
        page = groups.order_by(newest.desc(), InboxPhoto.group_id).offset(start).limit(limit)
        photos: dict[uuid.UUID, list[uuid.UUID]] = {group: [] for group in session.scalars(page)}
        if not photos:
            return [], total
        mine = select(InboxPhoto.group_id, InboxPhoto.id).where(InboxPhoto.group_id.in_(photos), ~InboxPhoto.ours)
        for group, photo in session.execute(mine.order_by(InboxPhoto.at.desc(), InboxPhoto.id)):
            photos[group].append(photo)
        named = AuditEntry.subject.in_([str(group) for group in photos])
        log = select(AuditEntry.subject, AuditEntry.actor, AuditEntry.at)
        log = log.where(named, AuditEntry.action == "inbox.not_ours").order_by(AuditEntry.id)
        said = {entry.subject: (entry.actor, entry.at) for entry in session.execute(log)}  # the last word counts
    return [Dismissed(group, tuple(ids), *said.get(str(group), (None, None))) for group, ids in photos.items()], total


def find_group(database: Database, name: str) -> Group:
    """The group whose id begins with this text. Raises NotFoundError for none, and for several."""
    wanted = name.strip().lower().replace("-", "")
    with database.read() as session:
        found = [rows for rows in _all(session) if rows[0].group_id.hex.startswith(wanted)] if wanted else []
        if len(found) != 1:
            raise NotFoundError(f"There is {'more than one' if found else 'no'} group {name!r} in the inbox.")
        return _group(session, found[0])


def picture(database: Database, photo: uuid.UUID) -> bytes:
    """The file of a photo, also of one that is not ours. Raises NotFoundError when it has left the inbox."""
    with database.read() as session:
        data = session.scalar(select(InboxPhoto.data).where(InboxPhoto.id == photo))
    if data is None:
        raise gone()
    return data


def gone() -> NotFoundError:
    """What is said of a photo or group that was decided on before, or has grown too old."""
    return NotFoundError("It has left the inbox: somebody else has decided, or it is recognized now.")


def _all(session: Session) -> list[list[InboxPhoto]]:
    """The photos by group, the newest first, in both. The limit of megabytes keeps them to some thousands."""
    rows: dict[uuid.UUID, list[InboxPhoto]] = defaultdict(list)
    query = select(InboxPhoto).where(InboxPhoto.ours).order_by(InboxPhoto.at.desc(), InboxPhoto.id)
    for row in session.scalars(query):
        rows[row.group_id].append(row)
    return list(rows.values())


def _group(session: Session, rows: Sequence[InboxPhoto]) -> Group:
    items = tuple(Item(row.id, row.at, row.asked_by, row.decision) for row in rows)
    return Group(rows[0].group_id, items, sum(row.seen for row in rows), _candidates(session, rows))


def _candidates(session: Session, rows: Sequence[InboxPhoto]) -> tuple[Candidate, ...]:
    """What tills said that it is, then the products that came nearest, of which each has its best score."""
    said = (Feedback.recognition_id.in_([row.id for row in rows]), ~Feedback.correct, Feedback.sku != "")
    told = list(session.scalars(select(Feedback.sku).where(*said).order_by(Feedback.id.desc())))
    scores: dict[str, float] = {}
    for row in rows:
        for sku, score in row.candidates:
            scores[sku] = max(score, scores.get(sku, score))
    near = sorted(scores, key=lambda sku: -scores[sku])
    wanted = list(dict.fromkeys([*told, *near]))
    known = {
        row.sku: row
        for row in session.execute(
            select(Product.sku, Product.name, product_rows.cover().label("photo")).where(
                Product.sku.in_(wanted[: 4 * OFFERED]), Product.active, exists().where(Photo.product_id == Product.id)
            )
        )
    }
    return tuple(
        Candidate(sku, known[sku].name, known[sku].photo or "", scores.get(sku, 0.0), sku in told)
        for sku in wanted
        if sku in known
    )[:OFFERED]
