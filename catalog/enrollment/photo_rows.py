"""Rows of photos and what galleries then owe, within the caller's transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from catalog.enrollment import outbox
from catalog.enrollment.uploads import ReadPhoto
from catalog.errors import NotFoundError
from catalog.generations import live_generation
from catalog.normalization import plain
from catalog.storage.tables import Enrollment, Photo, Product, Removal

# Namespace of photo ids (UUID5): a photo's id follows from its product and content.
_PHOTO_IDS = uuid.UUID("5f0c4e0a-6f0c-5c8e-9d57-0d7a51f1b6aa")


def photo_id(product_id: uuid.UUID, sha256: str) -> uuid.UUID:
    """The same photo on the same product is one photo, however often it is sent."""
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
    """A row for a photo that is in the store; `warnings` (codes) spoke against it and were overruled."""
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
    """The id of a photo of another product on this one; its row is made unless the product has that picture already."""
    identity = photo_id(product.id, photo.sha256)
    if all(own.id != identity for own in product.photos):
        kept = [column.key for column in Photo.__table__.columns if column.key not in ("id", "product_id")]
        session.add(Photo(id=identity, product=product, **{column: getattr(photo, column) for column in kept}))
    return identity


def drop(session: Session, product: Product, identities: Sequence[uuid.UUID]) -> None:
    """Photos leave their product: rows and points."""
    enqueue_removals(session, identities)
    for photo in [photo for photo in product.photos if photo.id in set(identities)]:
        product.photos.remove(photo)


def enqueue_enrollments(session: Session, product: Product, photo_ids: Sequence[uuid.UUID]) -> None:
    """Photos that belong into the live generation and are not there yet become pending; a removal under way is off."""
    live = live_generation(session, hold="share")
    if live is None or not product.active:
        return
    owed = Enrollment.generation_id == live.id
    there = set(session.scalars(select(Enrollment.photo_id).where(owed, Enrollment.photo_id.in_(photo_ids))))
    session.add_all(Enrollment(generation_id=live.id, photo_id=i) for i in photo_ids if i not in there)
    # In other generations, too: a photo that is back must not be taken out while its gallery is built.
    back = Removal.point_id.in_(photo_ids)
    outbox.lock_removals(session, back)
    session.execute(delete(Removal).where(back))


def enqueue_removals(session: Session, photo_ids: Sequence[uuid.UUID]) -> None:
    """Photos leave every generation that holds them: the live one at once, another before it is switched to."""
    mine = Enrollment.photo_id.in_(photo_ids)
    outbox.lock_enrollments(session, mine)
    held = session.execute(delete(Enrollment).where(mine).returning(Enrollment.generation_id, Enrollment.photo_id))
    session.add_all(Removal(generation_id=generation, point_id=identity) for generation, identity in held.all())
