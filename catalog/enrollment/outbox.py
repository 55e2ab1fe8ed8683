"""Outbox: pending changes to the gallery, committed with the change in SQL, tried at once, retried until done.

A change is applied while its row is locked, so an upsert and a delete of one point never overtake each other. Both are
idempotent.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Mapping
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, delete, func, or_, select, text, update
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.enrollment.stored_photos import extract_stored
from catalog.errors import GalleryError
from catalog.gallery import GalleryPoint
from catalog.generations import LiveModel
from catalog.storage import Database
from catalog.storage.tables import Enrollment, Photo, Product, Removal, now
from embedder.inference import PhotoFeatures

log = logging.getLogger(__name__)

#: An enrollment that is not done, worded as the partial index ix_enrollment_pending: SQLite does not use the index for
#: "done = 0", and this query runs every second.
PENDING = text("NOT enrollment.done")

#: Photos embedded and written in one batch.
CHUNK = 32
#: A photo that failed this often by itself (its file is damaged or missing) is retried only after so many seconds.
ATTEMPTS, REST = 3, 60.0


def apply_enrollments(catalog: Catalog, live: LiveModel, features: Mapping[uuid.UUID, PhotoFeatures]) -> int:
    """Upsert photos (their features by the generation's bundle, by id) and mark them done; returns how many.

    Photos deleted meanwhile are skipped. Raises GalleryError; the photos then stay pending.
    """
    with catalog.database.write() as session:
        rows = session.execute(
            select(Enrollment, Product.id, Product.sku)
            .join(Photo, Photo.id == Enrollment.photo_id)
            .join(Product, Product.id == Photo.product_id)
            .where(Enrollment.generation_id == live.generation_id, Enrollment.photo_id.in_(list(features)))
            .where(Product.active)
            .order_by(Enrollment.photo_id)  # as in `lock_enrollments`
            .with_for_update(of=Enrollment)
        ).all()
        points = [
            GalleryPoint(
                str(row.photo_id), features[row.photo_id].vector, sku, str(product_id), features[row.photo_id].words
            )
            for row, product_id, sku in rows
        ]
        if points:
            catalog.gallery.upsert(live.collection, points)
        for row, _, _ in rows:
            row.done, row.error = True, ""
        return len(points)


def note_failure(
    database: Database, generation_id: int, photo_ids: Collection[uuid.UUID], error: Exception, *, attempts: int = 0
) -> None:
    """Store why photos are still pending, for people to read; `attempts` only when the photo itself is at fault."""
    with database.write() as session:
        mine = (Enrollment.generation_id == generation_id) & Enrollment.photo_id.in_(list(photo_ids))
        lock_enrollments(session, mine)
        noted = {"attempts": Enrollment.attempts + attempts, "error": str(error)[:500]}
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
    with catalog.database.write() as session:
        mine = Removal.generation_id == live.generation_id
        query = select(Removal.point_id).where(mine).order_by(Removal.point_id).limit(1000).with_for_update()
        points = session.scalars(query).all()
        if points:
            catalog.gallery.delete(live.collection, [str(point) for point in points])
            session.execute(delete(Removal).where(mine, Removal.point_id.in_(points)))
        return len(points)


def run_pending(catalog: Catalog, limit: int = CHUNK, *, only: Collection[uuid.UUID] | None = None) -> int:
    """Apply pending changes of the live generation, up to `limit` photos or those of `only`; returns how many changes.

    Raises what `Generations.ready` does.
    """
    live = catalog.generations.ready()
    with catalog.database.read() as session:
        pending = dict(session.execute(_pending(live, limit, only)).all())
        mine = Removal.generation_id == live.generation_id
        removals = session.scalar(select(func.count()).select_from(Removal).where(mine))
    try:
        done = apply_removals(catalog, live) if removals else 0
        if pending:
            catalog.gallery.count(live.collection)  # an unavailable gallery raises before photos are embedded in vain
            features, failures = extract_stored(catalog.photos, live, pending)
            note_failures(catalog.database, live.generation_id, failures)
            done += apply_enrollments(catalog, live, features)
        return done
    except GalleryError as error:
        note_failure(catalog.database, live.generation_id, pending, error)
        catalog.generations.release(live.collection)  # if it was lost, the next run rebuilds it
        raise


def _pending(live: LiveModel, limit: int, only: Collection[uuid.UUID] | None) -> Select[uuid.UUID, str]:
    """Select pending photos (id, SHA-256) of `only`, or `limit` of all but those that failed and have their REST."""
    query = (
        select(Enrollment.photo_id, Photo.sha256)
        .join(Photo, Photo.id == Enrollment.photo_id)
        .where(Enrollment.generation_id == live.generation_id, PENDING)
    )
    if only is not None:
        return query.where(Enrollment.photo_id.in_(list(only)))
    rested = Enrollment.updated_at < now() - timedelta(seconds=REST)
    return (
        query.where(or_(Enrollment.attempts < ATTEMPTS, rested))
        .order_by(Enrollment.attempts, Enrollment.updated_at)
        .limit(limit)
    )
