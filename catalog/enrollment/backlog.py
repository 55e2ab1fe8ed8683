"""Enrollment backlog: photos that are pending in a generation, and photos that have no enrollment in it yet."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session

from catalog.enrollment import outbox
from catalog.generations import live_generation
from catalog.storage import Database
from catalog.storage.tables import Enrollment, Photo, Product


def not_owed(generation_id: int) -> Select[uuid.UUID]:
    """Select photos (ids, in order) of active products that have no enrollment in this generation."""
    owed = exists().where(Enrollment.photo_id == Photo.id, Enrollment.generation_id == generation_id)
    return select(Photo.id).join(Product).where(Product.active, ~owed).order_by(Photo.id)


def owe_missing(session: Session, generation_id: int) -> None:
    """Make them pending. The caller holds the live row's lock (FOR UPDATE), so that nobody adds one meanwhile."""
    ids = session.scalars(not_owed(generation_id)).all()
    session.add_all(Enrollment(generation_id=generation_id, photo_id=identity) for identity in ids)


def pending_pages(database: Database, only: Sequence[uuid.UUID] | None = None) -> Iterator[Sequence[uuid.UUID]]:
    """Ids of photos that are pending in the live generation (all, or those of `only`), each once, in pages."""
    if only is not None:
        yield from (only[start : start + outbox.CHUNK] for start in range(0, len(only), outbox.CHUNK))
        return
    last: uuid.UUID | None = None
    while True:
        with database.read() as session:
            live = live_generation(session)
            query = select(Enrollment.photo_id).where(Enrollment.generation_id == (live.id if live else 0))
            if last is not None:
                query = query.where(Enrollment.photo_id > last)
            query = query.where(~Enrollment.done).order_by(Enrollment.photo_id).limit(outbox.CHUNK)
            ids = session.scalars(query).all()
        if not ids:
            return
        yield ids
        last = ids[-1]
