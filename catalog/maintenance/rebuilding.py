"""Rebuild the live generation's gallery from SQL and the photos alone."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select, update

from catalog import enrollment
from catalog.catalog import Catalog
from catalog.enrollment import outbox
from catalog.enrollment.backlog import owe_missing, pending_pages
from catalog.errors import ConflictError
from catalog.generations import live_generation
from catalog.progress import Progress, no_progress
from catalog.storage import Database, audit_log
from catalog.storage.tables import LOST, Enrollment, Generation, Photo, Product, Removal


@dataclass(frozen=True)
class Rebuilt:
    """Result of a rebuild: the bundle's id, the number of photos enrolled, and why others (by SKU) are pending."""

    bundle: str
    photos: int
    pending: list[tuple[str, str]]


def rebuild(catalog: Catalog, progress: Progress = no_progress, *, actor: str) -> Rebuilt:
    """Drop the live collection, make every photo pending, and enroll all.

    If it is killed, the rest stays pending: the outbox of a serving process continues, another rebuild starts over.
    Indexing blocks all threads of this process, so it is for one that serves nobody. Raises GalleryLockedError, before
    anything is changed, while another process has the embedded gallery open, and what `outbox.run_pending` does.
    """
    live = catalog.generations.live()
    with catalog.database.read() as session:
        generation = session.get_one(Generation, live.generation_id)
    empty(catalog, generation, actor=actor)
    catalog.generations.ensure_collection(live)
    total, done = _count_pending(catalog.database, live.generation_id), 0
    for ids in pending_pages(catalog.database):
        enrollment.run_pending(catalog, only=ids)
        done += len(ids)
        progress(done, total)
    catalog.gallery.optimize(live.collection)
    with catalog.database.read() as session:
        mine = Enrollment.generation_id == live.generation_id
        query = select(Product.sku, Enrollment.error).join(Photo, Photo.product_id == Product.id)
        query = query.join(Enrollment, Enrollment.photo_id == Photo.id).where(mine, ~Enrollment.done)
        left = [(sku, error) for sku, error in session.execute(query.order_by(Product.sku))]
        photos = session.scalar(select(func.count()).select_from(Enrollment).where(mine, Enrollment.done)) or 0
    return Rebuilt(live.embedder.bundle.id, photos, left)


def empty(catalog: Catalog, generation: Generation, *, actor: str) -> None:
    """Drop a generation's collection, and make its photos pending; for the live one, all photos of active products.

    The rows are written after the drop, in a transaction of their own, so that nobody waits for a slow gallery: a photo
    whose vector was written into the old collection is pending then, or finds that its row has changed. If killed
    between drop and commit, the collection is missing, which `Generations.ensure_collection` detects. Raises
    GalleryError, and ConflictError when the model is just switched.
    """
    mine = Enrollment.generation_id == generation.id
    switched = ConflictError("Another model was made the live one at this moment: try again.")
    with catalog.database.read() as session:
        if generation.live and not _is_live(live_generation(session), generation):
            raise switched
    catalog.gallery.drop(generation.collection)
    with catalog.database.write() as session:
        is_live = _is_live(live_generation(session, hold="change"), generation)
        outbox.lock_enrollments(session, mine)
        session.execute(update(Enrollment).where(mine).values(done=False, attempts=LOST, error=""))
        session.execute(delete(Removal).where(Removal.generation_id == generation.id))
        if is_live:
            owe_missing(session, generation.id)
        audit_log.record(session, actor, "gallery.rebuild", generation.bundle_id)
    catalog.generations.release(generation.collection)
    if generation.live and not is_live:
        raise switched


def _is_live(live: Generation | None, generation: Generation) -> bool:
    return live is not None and live.id == generation.id


def _count_pending(database: Database, generation_id: int) -> int:
    with database.read() as session:
        mine = Enrollment.generation_id == generation_id
        return session.scalar(select(func.count()).select_from(Enrollment).where(mine, outbox.PENDING)) or 0
