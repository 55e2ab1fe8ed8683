"""Outbox: pending changes to the gallery, committed with the change in SQL, tried at once, retried until done.

No transaction is open while the gallery is called: nobody waits for a slow one but its caller. So a change in SQL may
overtake a write to the gallery, and each write is checked afterwards: what has changed meanwhile is made pending again
(or pending removal), and the last of several writers leaves the gallery as SQL is. All writes are idempotent.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, case, delete, func, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.enrollment.stored_photos import extract_stored
from catalog.errors import GalleryError, PhotoDamagedError, StorageError
from catalog.gallery import GalleryPoint
from catalog.generations import LiveModel
from catalog.right_of_way import in_background, piece
from catalog.storage import Database
from catalog.storage.tables import LOST, Enrollment, Photo, Product, Removal, now
from embedder.inference import PhotoFeatures

log = logging.getLogger(__name__)

#: An enrollment that is not done, worded as the partial index ix_enrollment_pending: SQLite does not use the index for
#: "done = 0", and this query runs every second.
PENDING = text("NOT enrollment.done")

#: Photos embedded and written in one batch.
CHUNK = 32
#: Seconds for which the worker leaves a pending photo to whoever has just added it, and is enrolling it.
FRESH = 2.0
#: A photo that failed this often by itself (its file is damaged or missing) is retried only after so many seconds.
ATTEMPTS, REST = 3, 60.0


@dataclass(frozen=True)
class _Read:
    """A photo's row as it was before its point was written."""

    sku: str
    product_id: uuid.UUID
    since: datetime


def apply_enrollments(catalog: Catalog, live: LiveModel, features: Mapping[uuid.UUID, PhotoFeatures]) -> int:
    """Upsert photos (their features by the generation's bundle, by id) and mark them done; returns how many.

    Photos deleted meanwhile are skipped. Raises GalleryError; the photos then stay pending.
    """
    with catalog.database.read() as session:
        rows = session.execute(_enrollments(live, list(features))).all()
        read = {row.photo_id: _Read(sku, product_id, row.updated_at) for row, product_id, sku in rows}
    if not read:
        return 0
    points = [
        GalleryPoint(str(identity), features[identity].vector, row.sku, str(row.product_id), features[identity].words)
        for identity, row in read.items()
    ]
    try:
        catalog.gallery.upsert(live.collection, points)
    except GalleryError:
        _settle_written(catalog.database, live, read, written=False)  # some of it may have arrived
        raise
    return _settle_written(catalog.database, live, read, written=True)


def _enrollments(live: LiveModel, photo_ids: Sequence[uuid.UUID]) -> Select[Enrollment, uuid.UUID, str]:
    """Select enrollments of active products, each with the product's id and SKU."""
    return (
        select(Enrollment, Product.id, Product.sku)
        .join(Photo, Photo.id == Enrollment.photo_id)
        .join(Product, Product.id == Photo.product_id)
        .where(Enrollment.generation_id == live.generation_id, Enrollment.photo_id.in_(photo_ids))
        .where(Product.active)
        .order_by(Enrollment.photo_id)  # as in `lock_enrollments`
    )


def _settle_written(database: Database, live: LiveModel, read: Mapping[uuid.UUID, _Read], *, written: bool) -> int:
    """Mark written photos done; returns how many are. A point of a photo that is gone is to be removed again, and one
    that was written with a SKU that is no longer the photo's is to be written again.
    """
    with database.write() as session:
        rows = session.execute(_enrollments(live, list(read)).with_for_update(of=Enrollment)).all()
        done = 0
        for row, _, sku in rows:
            before = read[row.photo_id]
            if sku != before.sku:
                row.done = False
            elif written and row.updated_at == before.since:
                row.done, row.error, row.attempts = True, "", max(row.attempts, 0)
            # Else somebody wrote the same, or the gallery was lost meanwhile, and the row says which.
            done += row.done
        enqueue_removals(session, live.generation_id, read.keys() - {row.photo_id for row, _, _ in rows})
        return done if written else 0


def enqueue_removals(session: Session, generation_id: int, point_ids: Collection[uuid.UUID]) -> None:
    """Enqueue removals of points from a generation; those that are pending already stay as they are."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    rows = [{"generation_id": generation_id, "point_id": identity} for identity in sorted(point_ids)]
    if rows:
        session.execute(insert(Removal).on_conflict_do_nothing(), rows)


def note_failure(
    database: Database, generation_id: int, photo_ids: Collection[uuid.UUID], error: Exception, *, attempts: int = 0
) -> None:
    """Store why photos are still pending, for people to read; `attempts` only when the photo itself is at fault.

    One of a lost gallery that can't be read is no longer waited for; but all are while the photo store is unavailable.
    """
    outage = isinstance(error, StorageError) and not isinstance(error, PhotoDamagedError)
    lost = LOST if outage or not attempts else attempts
    with database.write() as session:
        mine = (Enrollment.generation_id == generation_id) & Enrollment.photo_id.in_(list(photo_ids))
        lock_enrollments(session, mine)
        counted = case((Enrollment.attempts == LOST, lost), else_=Enrollment.attempts + attempts)
        noted = {"attempts": counted, "error": str(error)[:500]}
        session.execute(update(Enrollment).where(mine).values(noted))


def note_failures(database: Database, generation_id: int, failures: Mapping[uuid.UUID, Exception]) -> None:
    """Store why photos can't be read, by id, and count one more attempt for each."""
    for photo_id, error in failures.items():
        note_failure(database, generation_id, [photo_id], error, attempts=1)


def lock_enrollments(session: Session, condition: ColumnElement[bool]) -> None:
    """Lock rows (FOR UPDATE) until the transaction ends, always in one order, so that no two deadlock."""
    query = select(Enrollment.photo_id).where(condition)
    session.execute(query.order_by(Enrollment.generation_id, Enrollment.photo_id).with_for_update())


def lock_removals(session: Session, condition: ColumnElement[bool]) -> None:
    """Lock rows until the transaction ends, in one order, too: an outbox may be working on the same ones."""
    query = select(Removal.point_id).where(condition)
    session.execute(query.order_by(Removal.generation_id, Removal.point_id).with_for_update())


def apply_removals(catalog: Catalog, live: LiveModel) -> int:
    """Delete from a generation what was deleted in SQL, up to 1,000 points; returns how many. Raises GalleryError."""
    mine = Removal.generation_id == live.generation_id
    with catalog.database.read() as session:
        query = select(Removal.point_id, Removal.created_at).where(mine).order_by(Removal.point_id).limit(1000)
        read = dict(session.execute(query).all())
        back = set(session.scalars(_enrolled(live, read)))  # photos that are there again
    if not read:
        return 0
    gone = sorted(read.keys() - back)
    try:
        if gone:
            catalog.gallery.delete(live.collection, [str(point) for point in gone])
    except GalleryError:
        _settle_removed(catalog.database, live, gone, {})  # some of it may have been deleted
        raise
    _settle_removed(catalog.database, live, gone, read)
    return len(read)


def _settle_removed(
    database: Database, live: LiveModel, gone: Sequence[uuid.UUID], read: Mapping[uuid.UUID, datetime]
) -> None:
    """Forget the removals that were read, and write points again whose photo came back while they were deleted."""
    with database.write() as session:
        back = session.scalars(_enrolled(live, gone)).all()
        if back:
            mine = (Enrollment.generation_id == live.generation_id) & Enrollment.photo_id.in_(back)
            lock_enrollments(session, mine)
            session.execute(update(Enrollment).where(mine).values(done=False))
        owed = Removal.generation_id == live.generation_id
        lock_removals(session, owed & Removal.point_id.in_(list(read)))
        rows = session.scalars(select(Removal).where(owed, Removal.point_id.in_(list(read)))).all()
        # One that was enqueued meanwhile is another one.
        done = [row.point_id for row in rows if row.created_at == read[row.point_id]]
        session.execute(delete(Removal).where(owed, Removal.point_id.in_(done)))


def _enrolled(live: LiveModel, photo_ids: Iterable[uuid.UUID]) -> Select[uuid.UUID]:
    """Select those of the photos that have an enrollment."""
    mine = Enrollment.generation_id == live.generation_id
    return select(Enrollment.photo_id).where(mine, Enrollment.photo_id.in_(list(photo_ids)))


def run_pending(
    catalog: Catalog, limit: int = CHUNK, *, only: Collection[uuid.UUID] | None = None, fresh: bool = True
) -> int:
    """Apply pending changes of the live generation, up to `limit` photos or those of `only`; returns how many changes.

    Without `fresh`, photos that were not tried yet are left alone until they are pending for FRESH seconds.
    Raises what `Generations.ready` does.
    """
    live = catalog.generations.ready()
    with catalog.database.read() as session:
        pending = dict(session.execute(_pending(live, limit, only, fresh=fresh)).all())
        mine = Removal.generation_id == live.generation_id
        removals = session.scalar(select(func.count()).select_from(Removal).where(mine))
    try:
        done = apply_removals(catalog, live) if removals else 0
        if pending:
            catalog.gallery.count(live.collection)  # an unavailable gallery raises before photos are embedded in vain
            # While a lost gallery is filled again no till is answered: the sooner that ends, the better.
            polite = in_background() and not catalog.generations.is_refilling(live)
            features, failures = extract_stored(catalog.photos, live, pending, polite=polite)
            note_failures(catalog.database, live.generation_id, failures)
            with piece():
                done += apply_enrollments(catalog, live, features)
        return done
    except GalleryError as error:
        note_failure(catalog.database, live.generation_id, pending, error)
        catalog.generations.release(live.collection)  # if it was lost, the next run rebuilds it
        raise


def _pending(live: LiveModel, limit: int, only: Collection[uuid.UUID] | None, *, fresh: bool) -> Select[uuid.UUID, str]:
    """Select pending photos (id, SHA-256) of `only`, or `limit` of all but those that failed and have their REST."""
    query = (
        select(Enrollment.photo_id, Photo.sha256)
        .join(Photo, Photo.id == Enrollment.photo_id)
        .where(Enrollment.generation_id == live.generation_id, PENDING)
    )
    if only is not None:
        return query.where(Enrollment.photo_id.in_(list(only)))
    if not fresh:
        tried = (Enrollment.attempts != 0) | (Enrollment.error != "")
        query = query.where(tried | (Enrollment.updated_at < now() - timedelta(seconds=FRESH)))
    rested = Enrollment.updated_at < now() - timedelta(seconds=REST)
    return (
        query.where(or_(Enrollment.attempts < ATTEMPTS, rested))
        .order_by(Enrollment.attempts, Enrollment.updated_at)
        .limit(limit)
    )
