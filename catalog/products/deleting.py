"""Delete photos or a whole product, and restore them from the bin. One transaction each."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from catalog import enrollment
from catalog.catalog import Catalog
from catalog.enrollment import photo_rows
from catalog.errors import ConflictError, InvalidInputError, NotFoundError, SkuExistsError
from catalog.normalization import sku_key
from catalog.products import barcode_owners, differing
from catalog.products.facts import describe_anew, replace_labels
from catalog.storage import Database, audit_log, bin_rows, named_requests
from catalog.storage.product_rows import Seen, lock_product, refuse_alike
from catalog.storage.tables import BinEntry, Photo, Product, RecognitionEntry


def delete_photos(
    catalog: Catalog, sku: str, identities: Sequence[uuid.UUID], *, seen: Seen = None, actor: str
) -> uuid.UUID:
    """Delete photos of a product, effective from the next answer; returns the id of their entry in the bin.

    Raises NotFoundError when the product lacks one of them, InvalidInputError for none, PreconditionFailedError when
    the product is not as it was `seen`; nothing is changed then.
    """
    if not identities:
        raise InvalidInputError("photo", "Choose a photo first.")
    with catalog.database.write() as session:
        product = lock_product(session, sku, seen)
        photos = [photo_rows.photo_of(product, identity) for identity in dict.fromkeys(identities)]
        entry = bin_rows.put(session, product, photos, actor)
        named_requests.tell(session, {"entry": str(entry)})
        for photo in photos:
            before = {"photo": photo.sha256, "filename": photo.filename, "original": photo.original}
            audit_log.record(session, actor, "photo.delete", product.sku, before)
        photo_rows.drop(session, product, identities)
    enrollment.catch_up(catalog)
    return entry


def delete_product(catalog: Catalog, sku: str, *, seen: Seen = None, actor: str) -> uuid.UUID:
    """Delete a product with all that it has, effective from the next answer; returns the id of its entry in the bin.

    Its SKU and barcodes are free for other products from then on. Raises NotFoundError, or PreconditionFailedError when
    it is not as it was `seen`.
    """
    with catalog.database.write() as session:
        product = lock_product(session, sku, seen)
        before = audit_log.whole_snapshot(product)
        entry = bin_rows.put(session, product, product.photos, actor, whole=True)
        named_requests.tell(session, {"entry": str(entry)})
        photo_rows.drop(session, product, [photo.id for photo in product.photos])
        session.flush()
        session.delete(product)
        audit_log.record(session, actor, "product.delete", product.sku, before)
    enrollment.catch_up(catalog)
    return entry


@dataclass(frozen=True)
class Undeleted:
    """What was restored: to which product, and how many photos it got back. `whole`: the product itself, too."""

    sku: str
    name: str
    photos: int
    whole: bool


def undelete(catalog: Catalog, entry_id: uuid.UUID, *, actor: str) -> Undeleted:
    """Restore an entry of the bin: as when it is added, it is searchable when this returns, or pending.

    A product gets back its past answers, too, where they are still in the log under its SKU. Raises NotFoundError when
    the entry has left the bin; ConflictError for photos whose product is not there; SkuExistsError, SkuAlikeError or
    BarcodeTakenError when another product has got what the product had. Nothing is changed then.
    """
    try:
        with catalog.database.write() as session:
            product, entry = _open(session, entry_id)
            before = None if entry.product else {"photos": len(product.photos)}
            ids = [_insert(product, bin_rows.photo_facts(photo)) for photo in entry.photos]
            done = Undeleted(product.sku, product.name, len(ids), entry.product is not None)
            named_requests.tell(session, {"sku": product.sku})
            session.delete(entry)
            session.flush()
            photo_rows.enqueue_enrollments(session, product, ids)
            if entry.product:
                audit_log.record(
                    session, actor, "product.undelete", product.sku, None, audit_log.whole_snapshot(product)
                )
            else:
                restored = {"photos": len(product.photos), "restored": [photo.sha256 for photo in entry.photos]}
                audit_log.record(session, actor, "photo.undelete", product.sku, before, restored)
    except IntegrityError as error:
        raise ConflictError("The product was changed by somebody else just now; try again.") from error
    enrollment.catch_up(catalog, ids)
    return done


def delete_for_good(database: Database, entry_id: uuid.UUID, *, actor: str) -> None:
    """Delete an entry of the bin before its time: nothing restores it any more. With a product goes what was deleted
    from it before.

    The files stay in the photo store until the doctor removes what nothing refers to, a day later at the earliest: a
    backup that runs meanwhile may still name them. Raises NotFoundError when the entry has left the bin.
    """
    with database.write() as session:
        entry = session.scalar(select(BinEntry).where(BinEntry.id == entry_id).with_for_update())
        if entry is None:
            raise _left()
        before: dict[str, Any] = {"name": entry.name, "product": entry.product is not None}
        if entry.product is not None:
            differing.forget(session, entry.product_id)
            before["files"] = sorted({*bin_rows.drop_entries(session, entry.product_id)})
        else:
            files = {file for photo in entry.photos for file in (photo.sha256, photo.original) if file}
            before["files"] = sorted(files)
            session.delete(entry)
        audit_log.record(session, actor, "bin.delete", entry.sku, before)


def _left() -> NotFoundError:
    return NotFoundError("It has left the bin: somebody restored it, or deleted it for good.")


def _open(session: Session, entry_id: uuid.UUID) -> tuple[Product, BinEntry]:
    """An entry, locked, and the product that it is restored to."""
    product_id = session.scalar(select(BinEntry.product_id).where(BinEntry.id == entry_id))
    # The product first, as wherever both are changed, so that no two transactions deadlock.
    locked = session.scalar(select(Product).where(Product.id == product_id).with_for_update())
    entry = session.scalar(select(BinEntry).where(BinEntry.id == entry_id).with_for_update())
    if entry is None or entry.product_id != product_id:
        raise _left()
    if entry.product is not None:
        return _new(session, entry, entry.product), entry
    if locked is None:
        raise ConflictError(f"The product {entry.sku!r} is not in the catalog: restore it first.")
    return locked, entry


def _new(session: Session, entry: BinEntry, facts: dict[str, Any]) -> Product:
    sku = facts["sku"]
    if session.scalar(select(Product.id).where(Product.sku == sku)) is not None:
        raise SkuExistsError(f"Another product has the SKU {sku!r} now: give that one another SKU first.")
    refuse_alike(session, sku)
    product = Product(id=entry.product_id, sku=sku, sku_key=sku_key(sku), photos=[], barcodes=[], labels=[])
    for name in ("name", "brand", "category", "variant_group", "attributes", "active"):
        setattr(product, name, facts[name])
    product.created_at = datetime.fromisoformat(facts["created_at"])
    describe_anew(product)
    replace_labels(product, facts["labels"])
    session.add(product)
    session.flush()
    barcode_owners.claim(session, product, facts["barcodes"])
    lost = RecognitionEntry.product_id.is_(None), RecognitionEntry.decision == "match", RecognitionEntry.sku == sku
    since = RecognitionEntry.at >= product.created_at
    session.execute(update(RecognitionEntry).where(*lost, since).values(product_id=product.id))
    return product


def _insert(product: Product, facts: dict[str, Any]) -> uuid.UUID:
    """Insert a photo's row, unless the product has that picture by now; returns its id."""
    identity = photo_rows.photo_id(product.id, facts["sha256"])
    if all(photo.id != identity for photo in product.photos):
        facts["cover"] = facts["cover"] and not any(photo.cover for photo in product.photos)
        product.photos.append(Photo(id=identity, **facts))
    return identity


@dataclass(frozen=True)
class Deleted:
    """An entry of the bin. `sku`, `name`: of the product, as it is now where it is in the catalog (`there`).

    `whole`: the product was deleted, and not only photos of it. `photos`: SHA-256, the cover first.
    """

    id: uuid.UUID
    at: datetime
    actor: str
    sku: str
    name: str
    whole: bool
    there: bool
    photos: tuple[str, ...]

    @property
    def until(self) -> datetime:
        """When it leaves the bin."""
        return self.at + bin_rows.KEPT


@dataclass(frozen=True)
class DeletedPage:
    """Entries of the bin, the newest first; `total` are all of it."""

    entries: list[Deleted]
    total: int


def list_deleted(database: Database, *, start: int = 0, limit: int = 50) -> DeletedPage:
    """The bin, the newest entries first."""
    with database.read() as session:
        total = session.scalar(select(func.count()).select_from(BinEntry)) or 0
        query = (
            select(BinEntry, Product.sku, Product.name)
            .outerjoin(Product, Product.id == BinEntry.product_id)
            .options(selectinload(BinEntry.photos))
            .order_by(BinEntry.at.desc(), BinEntry.id)
            .offset(start)
            .limit(limit)
        )
        return DeletedPage([_deleted(*row) for row in session.execute(query)], total)


def _deleted(entry: BinEntry, sku: str | None, name: str | None) -> Deleted:
    return Deleted(
        entry.id,
        entry.at,
        entry.actor,
        sku or entry.sku,
        name or entry.name,
        entry.product is not None,
        sku is not None,
        tuple(photo.sha256 for photo in entry.photos),
    )
