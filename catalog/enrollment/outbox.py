"""Changes that the gallery still owes: committed with the change in SQL, tried at once, retried until done.

A change is applied while its row is held in a transaction, so an upsert and a delete of one point can never pass each
other; each can be repeated.
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

#: An enrollment that is not done, in the words of ix_enrollment_pending: SQLite sees no use for it in "done = 0", and
#: this is asked every second.
PENDING = text("NOT enrollment.done")

#: Photos embedded and written in one go.
CHUNK = 32
#: A photo that failed this often (its file is damaged or gone) is tried again after so many seconds only.
ATTEMPTS, REST = 3, 60.0


def apply_enrollments(catalog: Catalog, live: LiveModel, features: Mapping[uuid.UUID, PhotoFeatures]) -> int:
    """Put photos (what the generation's bundle sees in them, by id) into it and mark them done; how many.

    Photos gone meanwhile are left out. Raises GalleryError; the photos then stay pending.
    """
    with catalog.database.write() as session:
        rows = session.execute(
            select(Enrollment, Product.id, Product.sku)
            .join(Photo, Photo.id == Enrollment.photo_id)
            .join(Product, Product.id == Photo.product_id)
            .where(Enrollment.generation_id == live.generation_id, Enrollment.photo_id.in_(list(features)))
            .where(Product.active)
            .order_by(Enrollment.photo_id)  # as in `hold_enrollments`
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
    """Keep why photos are still pending, for the people who look; `attempts` only when it is the photo's own fault."""
    with database.write() as session:
        mine = (Enrollment.generation_id == generation_id) & Enrollment.photo_id.in_(list(photo_ids))
        lock_enrollments(session, mine)
        noted = {"attempts": Enrollment.attempts + attempts, "error": str(error)[:500]}
        session.execute(update(Enrollment).where(mine).values(noted))


def note_failures(database: Database, generation_id: int, failures: Mapping[uuid.UUID, Exception]) -> None:
    """Keep why photos can't be read, by id: each has one attempt more behind it."""
    for photo_id, error in failures.items():
        note_failure(database, generation_id, [photo_id], error, attempts=1)


def lock_enrollments(session: Session, condition: ColumnElement[bool]) -> None:
    """Hold rows until the transaction ends; all do it in one order, so that two never wait for each other."""
    query = select(Enrollment.photo_id).where(condition)
    session.execute(query.order_by(Enrollment.generation_id, Enrollment.photo_id).with_for_update())


def lock_removals(session: Session, condition: ColumnElement[bool]) -> None:
    """Hold rows until the transaction ends, in one order, too: an outbox may be at work on the same ones."""
    query = select(Removal.point_id).where(condition)
    session.execute(query.order_by(Removal.generation_id, Removal.point_id).with_for_update())


def apply_removals(catalog: Catalog, live: LiveModel) -> int:
    """Delete from a generation what was deleted in SQL, up to 1,000 points; how many. Raises GalleryError."""
    with catalog.database.write() as session:
        mine = Removal.generation_id == live.generation_id
        query = select(Removal.point_id).where(mine).order_by(Removal.point_id).limit(1000).with_for_update()
        points = session.scalars(query).all()
        if points:
            catalog.gallery.delete(live.collection, [str(point) for point in points])
            session.execute(delete(Removal).where(mine, Removal.point_id.in_(points)))
        return len(points)


def run_pending(catalog: Catalog, limit: int = CHUNK, *, only: Collection[uuid.UUID] | None = None) -> int:
    """Do what the live generation still owes, up to `limit` photos, or those of `only`; how many changes.

    Raises GalleryError, and the rest of what `Catalog.live` does.
    """
    live = catalog.generations.ready()
    with catalog.database.read() as session:
        pending = dict(session.execute(_pending(live, limit, only)).all())
        mine = Removal.generation_id == live.generation_id
        removals = session.scalar(select(func.count()).select_from(Removal).where(mine))
    try:
        done = apply_removals(catalog, live) if removals else 0
        if pending:
            catalog.gallery.count(live.collection)  # a dead gallery is noticed before photos are embedded for nothing
            features, failures = extract_stored(catalog.photos, live, pending)
            note_failures(catalog.database, live.generation_id, failures)
            done += apply_enrollments(catalog, live, features)
        return done
    except GalleryError as error:
        note_failure(catalog.database, live.generation_id, pending, error)
        catalog.generations.release(live.collection)  # if it was lost, the next run makes it anew
        raise


def _pending(live: LiveModel, limit: int, only: Collection[uuid.UUID] | None) -> Select[uuid.UUID, str]:
    """Photos (id, SHA-256) that are not in the gallery; one that failed by itself repeatedly is left to rest."""
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
