"""Rows of the bin: what was deleted stays in it for KEPT. The bytes of its photos stay in the photo store as long."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from catalog.storage import audit_log
from catalog.storage.audit_log import product_snapshot
from catalog.storage.database import Database
from catalog.storage.tables import BinEntry, BinPhoto, DifferentProducts, Photo, PhotoColumns, Product, now

#: How long what was deleted can be restored.
KEPT = timedelta(days=30)
#: Entries deleted in one transaction.
CHUNK = 500
#: What of a photo goes with it, into the bin and to another product.
PHOTO_COLUMNS = tuple(PhotoColumns.__annotations__)


def photo_facts(photo: PhotoColumns) -> dict[str, Any]:
    """What of a photo goes with it into the bin, back from there, or to another product: PHOTO_COLUMNS by name."""
    return {name: getattr(photo, name) for name in PHOTO_COLUMNS}


def put(session: Session, product: Product, photos: Sequence[Photo], actor: str, *, whole: bool = False) -> uuid.UUID:
    """Put photos of a product into the bin, or (`whole`) the product with them, before they are dropped.

    In the caller's transaction; returns the id of the entry.
    """
    entry = BinEntry(
        id=uuid.uuid4(), actor=actor[:100], product_id=product.id, sku=product.sku, name=product.name, photos=[]
    )
    if whole:
        entry.product = {**product_snapshot(product), "created_at": product.created_at.isoformat()}
    entry.photos += [BinPhoto(photo_id=photo.id, **photo_facts(photo)) for photo in photos]
    session.add(entry)
    return entry.id


def move_entries(session: Session, product_id: uuid.UUID, to: uuid.UUID) -> None:
    """Photos that were deleted from a product are restored to another, since the two are merged."""
    session.execute(update(BinEntry).where(BinEntry.product_id == product_id).values(product_id=to))


def drop_entries(session: Session, product_id: uuid.UUID) -> list[str]:
    """Nothing that was deleted from this product can be restored any more; returns the files (SHA-256) that it had."""
    mine = BinEntry.product_id == product_id
    rows = session.execute(select(BinPhoto.sha256, BinPhoto.original).join(BinEntry).where(mine)).all()
    session.execute(delete(BinEntry).where(mine))
    return [sha256 for row in rows for sha256 in row if sha256]


def trim(database: Database) -> int:
    """Delete up to 500 entries that have expired; returns how many. Raises DatabaseUnavailableError.

    A product is gone for good then, and with it what a person said of it: which products it is not. The audit log names
    the files: a backup that runs meanwhile may still name them (see `catalog doctor`).
    """
    with database.write() as session:
        query = select(BinEntry.id, BinEntry.product_id, BinEntry.product.is_not(None).label("whole"))
        # Locked: one that is restored at this moment is none of them.
        old = query.where(BinEntry.at < now() - KEPT).order_by(BinEntry.at).limit(CHUNK).with_for_update()
        rows = session.execute(old).all()
        ids = [row.id for row in rows]
        files = session.execute(select(BinPhoto.sha256, BinPhoto.original).where(BinPhoto.entry_id.in_(ids))).all()
        session.execute(delete(BinEntry).where(BinEntry.id.in_(ids)))
        if rows:
            left = {"files": sorted({sha256 for row in files for sha256 in row if sha256})}
            audit_log.record(session, "bin", "bin.empty", f"{len(rows)} after {KEPT.days} days", left)
        gone = [row.product_id for row in rows if row.whole]
        one, other = (side.in_(gone) for side in (DifferentProducts.one_id, DifferentProducts.other_id))
        session.execute(delete(DifferentProducts).where(or_(one, other)))
        return len(rows)
