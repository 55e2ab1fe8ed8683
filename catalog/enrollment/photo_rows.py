"""Rows of photos and the pending gallery changes that follow, within the caller's transaction."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from catalog.enrollment import outbox
from catalog.enrollment.uploads import ReadPhoto
from catalog.errors import NotFoundError
from catalog.generations import live_generation
from catalog.margins import note_change
from catalog.normalization import plain
from catalog.storage.bin_rows import photo_facts
from catalog.storage.tables import Enrollment, Generation, Photo, Product, Removal

#: Ids of one statement.
BLOCK = 1000
# Namespace of photo ids (UUIDv5): a photo's id is derived from its product and content.
_PHOTO_IDS = uuid.UUID("5f0c4e0a-6f0c-5c8e-9d57-0d7a51f1b6aa")


def photo_id(product_id: uuid.UUID, sha256: str) -> uuid.UUID:
    """The id of a photo on a product; the same content has the same id, so that adding it again is idempotent."""
    return uuid.uuid5(_PHOTO_IDS, f"{product_id}/{sha256}")


def photo_of(product: Product, identity: uuid.UUID) -> Photo:
    """The product's photo of this id. Raises NotFoundError."""
    photo = next((photo for photo in product.photos if photo.id == identity), None)
    if photo is None:
        raise NotFoundError(f"The product {product.sku!r} has no such photo.")
    return photo


def insert(
    session: Session, product: Product, identity: uuid.UUID, photo: ReadPhoto, warnings: Sequence[str] = ()
) -> Photo:
    """Insert the row of a photo that is in the store; `warnings`: codes of the warnings that were overridden."""
    row = Photo(
        id=identity,
        product=product,
        sha256=photo.sha256,
        filename="".join(character for character in photo.filename if plain(character))[-255:],
        bytes=len(photo.data),
        width=photo.width,
        height=photo.height,
        status="overruled" if warnings else "accepted",
        warnings=list(warnings),
    )
    session.add(row)
    return row


def copy(session: Session, product: Product, photo: Photo) -> uuid.UUID:
    """Copy another product's photo to this one, unless it has that picture already; returns the id it has here."""
    identity = photo_id(product.id, photo.sha256)
    if all(own.id != identity for own in product.photos):
        session.add(Photo(id=identity, product=product, **{**photo_facts(photo), "cover": False}))
    return identity


def drop(session: Session, product: Product, identities: Sequence[uuid.UUID]) -> None:
    """Remove photos from their product: rows and points."""
    enqueue_removals(session, product, identities)
    for photo in [photo for photo in product.photos if photo.id in set(identities)]:
        product.photos.remove(photo)


def enqueue_enrollments(session: Session, product: Product, photo_ids: Sequence[uuid.UUID]) -> None:
    """Make photos pending that the live generation should have and lacks, and cancel their pending removals."""
    if product.active:
        enqueue_enrollments_of(session, [product.id], photo_ids)


def enqueue_enrollments_of(session: Session, product_ids: Sequence[uuid.UUID], photo_ids: Sequence[uuid.UUID]) -> None:
    """The same for photos of several products, which are active."""
    live = live_generation(session, hold="share")
    if live is None:
        return
    for product_id in product_ids:
        note_change(session, product_id)
    for block in _blocks(photo_ids):
        owed = Enrollment.generation_id == live.id
        there = set(session.scalars(select(Enrollment.photo_id).where(owed, Enrollment.photo_id.in_(block))))
        session.add_all(Enrollment(generation_id=live.id, photo_id=i) for i in block if i not in there)
        # In other generations, too: a restored photo must not be removed from a gallery that is being built.
        back = Removal.point_id.in_(block)
        outbox.lock_removals(session, back)
        session.execute(delete(Removal).where(back))


def enqueue_removals(session: Session, product: Product, photo_ids: Sequence[uuid.UUID]) -> None:
    """Remove a product's photos from every generation that holds them: the live one at once, others before a switch to
    them.
    """
    enqueue_removals_of(session, [product.id], photo_ids)


def enqueue_removals_of(session: Session, product_ids: Sequence[uuid.UUID], photo_ids: Sequence[uuid.UUID]) -> None:
    """The same for photos of several products."""
    for product_id in product_ids:
        note_change(session, product_id)
    held: dict[int, list[uuid.UUID]] = {}
    for generation in session.scalars(select(Generation.id).order_by(Generation.id)).all():
        for block in _blocks(photo_ids):
            mine = (Enrollment.generation_id == generation) & Enrollment.photo_id.in_(block)
            outbox.lock_enrollments(session, mine)
            gone = session.scalars(delete(Enrollment).where(mine).returning(Enrollment.photo_id))
            held.setdefault(generation, []).extend(gone)
    for generation, identities in held.items():
        for block in _blocks(identities):
            outbox.enqueue_removals(session, generation, block)


def _blocks(identities: Sequence[uuid.UUID]) -> Iterator[Sequence[uuid.UUID]]:
    """Ids in as many statements as they need, in the order in which rows are locked."""
    ordered = sorted(identities)
    return (ordered[start : start + BLOCK] for start in range(0, len(ordered), BLOCK))
