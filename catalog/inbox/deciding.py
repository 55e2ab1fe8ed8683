"""What the staff decides about photos of the inbox: it is this product, a new one, none of ours, or a bad photo."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto, Upload
from catalog.errors import NotFoundError
from catalog.feedback import judge, lock_answer
from catalog.inbox.asking_again import ENROLLING
from catalog.inbox.grouping import gone
from catalog.normalization import normalized_sku
from catalog.products import AddResult, Facts, Intake, barcode_owners
from catalog.storage import Database, audit_log
from catalog.storage.tables import InboxPhoto, Product, RecognitionEntry, now
from embedder import images
from embedder.barcodes import read_barcodes

#: Photos of a group that is not ours that are kept, to tell its like by.
REMEMBERED = 3


def add_to_product(catalog: Catalog, photo: uuid.UUID, product: str, intake: Intake) -> AddResult:
    """Add a photo to the product of this SKU or barcode; the rest of its group is then asked again.

    Raises NotFoundError when the photo has left the inbox or there is no such product, and as `products.add_photos`:
    PhotoQuestionableError for a photo with warnings and an intake that refuses; then nothing has changed.
    """
    (new,) = read_photos(catalog.database, [photo])
    with catalog.database.read() as session:
        sku = _named(session, product)
    added = products.add_photos(catalog, sku, [new], intake)
    settle(catalog.database, [photo], sku=added.sku, actor=intake.actor)
    return added


def create_product(
    catalog: Catalog, facts: Facts, photos: Sequence[uuid.UUID], more: Sequence[Upload], intake: Intake
) -> AddResult:
    """Add a product with photos of the inbox, and with other ones. Raises NotFoundError, and as `products.create`."""
    added = products.create(catalog, facts, [*read_photos(catalog.database, photos), *more], intake)
    settle(catalog.database, photos, sku=added.sku, actor=intake.actor)
    return added


def barcodes_on(database: Database, photos: Sequence[uuid.UUID]) -> list[str]:
    """The barcodes on photos of the inbox, GTINs of 14 digits. Raises NotFoundError when one has left it."""
    return barcode_owners.numbers_on(read_barcodes(photo.data) for photo in read_photos(database, photos))


def _named(session: Session, text: str) -> str:
    """The SKU of the product that a person names: a SKU comes before a barcode of the same digits."""
    owner = barcode_owners.owner_of(session, text)
    if owner is None:
        return text
    with suppress(NotFoundError):
        return session.scalar(select(Product.sku).where(Product.sku == normalized_sku(text))) or owner
    return owner


def read_photos(database: Database, photos: Sequence[uuid.UUID]) -> list[NewPhoto]:
    """Photos of the inbox as uploads, in this order. Raises NotFoundError when one has left it."""
    with database.read() as session:
        wanted = InboxPhoto.id.in_(photos) & InboxPhoto.ours
        rows = {
            row.id: row for row in session.execute(select(InboxPhoto.id, InboxPhoto.at, InboxPhoto.data).where(wanted))
        }
    if set(photos) - rows.keys():
        raise gone()
    return [NewPhoto(_filename(rows[photo].at, rows[photo].data), rows[photo].data) for photo in photos]


def _filename(at: datetime, data: bytes) -> str:
    kind = images.decoded_format(data[: images.HEAD]) or "JPEG"
    return f"till-{at:%Y%m%d-%H%M%S}.{'jpg' if kind == 'JPEG' else kind.lower()}"


def settle(database: Database, photos: Sequence[uuid.UUID], *, sku: str, actor: str) -> None:
    """Photos that were added to a product leave the inbox, and the rest of their groups is asked again.

    What the till should have been answered is kept as feedback, in place of what the till said itself, where the answer
    is still in the log.
    """
    if not photos:
        return
    with database.write() as session:
        groups = session.scalars(select(InboxPhoto.group_id).where(InboxPhoto.id.in_(photos)).distinct()).all()
        logged = session.scalars(select(RecognitionEntry.id).where(RecognitionEntry.id.in_(photos))).all()
        for answer in sorted(logged):
            lock_answer(session, answer)
            judge(session, answer, correct=False, sku=sku, actor=actor)
        session.execute(delete(InboxPhoto).where(InboxPhoto.id.in_(photos)))
        session.execute(update(InboxPhoto).where(InboxPhoto.group_id.in_(groups)).values(ask_again=True))


def not_ours(database: Database, group: uuid.UUID, *, actor: str) -> int:
    """A group shows no product of the catalog: it leaves the inbox, and photos like it never come into it again.

    Returns how many photos it had. Raises NotFoundError when it has left the inbox.
    """
    with database.write() as session:
        rows = _of_group(session, group)
        for row in rows[:REMEMBERED]:
            row.ours = False
        rows[0].seen += sum(row.seen for row in rows[REMEMBERED:])  # it stands for those that go
        _delete(session, rows[REMEMBERED:])
        audit_log.record(session, actor, "inbox.not_ours", str(group), before={"photos": len(rows)})
        return len(rows)


def ours_again(database: Database, group: uuid.UUID, *, actor: str) -> int:
    """Take back `not_ours`: what is kept of the group is in the inbox again, and photos like it may come into it.

    They are asked again: by now they may be recognized. Returns how many photos there are. Raises NotFoundError where
    nothing is kept of such a group, or it was taken back before.
    """
    with database.write() as session:
        # What was added since was not compared with them. Of the last moments, it may not have been searchable yet.
        values = {"ours": True, "ask_again": True, "asked_at": now() - ENROLLING}
        mine = (InboxPhoto.group_id == group) & ~InboxPhoto.ours
        back = session.scalars(update(InboxPhoto).where(mine).values(values).returning(InboxPhoto.id)).all()
        if not back:
            raise NotFoundError("These photos are in the inbox again already, or they are no longer kept.")
        audit_log.record(session, actor, "inbox.ours_again", str(group), after={"photos": len(back)})
        return len(back)


def discard(database: Database, photos: Sequence[uuid.UUID], *, actor: str) -> None:
    """Bad photos leave the inbox; others like them may come. Raises NotFoundError when one has left it."""
    with database.write() as session:
        rows = session.scalars(select(InboxPhoto).where(InboxPhoto.id.in_(photos), InboxPhoto.ours)).all()
        if len(rows) < len(set(photos)):
            raise gone()
        _delete(session, rows)
        subject = str(rows[0].group_id)
        audit_log.record(session, actor, "inbox.discard", subject, before={"photos": len(rows)})


def _of_group(session: Session, group: uuid.UUID) -> Sequence[InboxPhoto]:
    mine = select(InboxPhoto).where(InboxPhoto.group_id == group, InboxPhoto.ours)
    rows = session.scalars(mine.order_by(InboxPhoto.at.desc(), InboxPhoto.id)).all()
    if not rows:
        raise gone()
    return rows


def _delete(session: Session, rows: Sequence[InboxPhoto]) -> None:
    session.execute(delete(InboxPhoto).where(InboxPhoto.id.in_([row.id for row in rows])))
