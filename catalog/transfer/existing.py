"""What the catalog has already of the products to import, queried in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from catalog.enrollment.outbox import PENDING
from catalog.errors import InvalidInputError
from catalog.normalization import check_sku, sku_key
from catalog.products import barcode_owners
from catalog.storage import Database, audit_log
from catalog.storage.tables import Enrollment, Generation, Photo, Product
from catalog.transfer.sources import Item
from embedder.barcodes import gtin
from embedder.errors import GtinError

#: Products per batch.
BATCH = 200
_FACTS = (selectinload(Product.barcodes), selectinload(Product.labels))


@dataclass
class Existing:
    """`photos`: for each SKU that exists, the SHA-256 of its photos, and whether each is still pending.

    `products`: their facts, as a snapshot (see storage/audit_log.py).
    `alike`: for each SKU that does not, one of the catalog that differs in capitals, width or blanks only.
    `owners`: barcode (14 digits) -> the SKU that has it.
    """

    photos: dict[str, dict[str, bool]] = field(default_factory=dict)
    products: dict[str, dict[str, Any]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    alike: dict[str, str] = field(default_factory=dict)


def with_existing(database: Database, items: Iterable[Item]) -> Iterator[tuple[Item, Existing]]:
    """Items, each with what the catalog has of its batch."""
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            known = look_up(database, batch)
            yield from ((queued, known) for queued in batch)
            batch = []
    known = look_up(database, batch)
    yield from ((queued, known) for queued in batch)


def look_up(database: Database, items: Sequence[Item]) -> Existing:
    """What the catalog has of these items."""
    skus = {sku for item in items if (sku := _form(item.facts.sku))}
    numbers = {number for item in items for text in item.facts.barcodes if (number := _gtin(text))}
    known = Existing()
    with database.read() as session:
        mine = Product.sku.in_(skus)
        for product in session.scalars(select(Product).options(*_FACTS).where(mine)):
            known.photos[product.sku] = {}
            known.products[product.sku] = audit_log.product_snapshot(product)
        new = {sku_key(sku) for sku in skus - known.photos.keys()}
        near = select(Product.sku_key, Product.sku).where(Product.sku_key.in_(new)).order_by(Product.sku.desc())
        taken = dict(session.execute(near).all())
        known.alike = {sku: taken[key] for sku in skus - known.photos.keys() if (key := sku_key(sku)) in taken}
        pending = (
            select(Enrollment.photo_id)
            .join(Generation, Generation.id == Enrollment.generation_id)
            .where(Generation.live, PENDING)
        )
        query = select(Product.sku, Photo.sha256, Photo.id.in_(pending)).join(Photo, Photo.product_id == Product.id)
        for sku, sha256, waits in session.execute(query.where(mine)):
            known.photos.setdefault(sku, {})[sha256] = bool(waits)
        for part in range(0, len(listed := sorted(numbers)), 1000):
            known.owners |= barcode_owners.owners(session, listed[part : part + 1000])
    return known


def _form(sku: str) -> str:
    try:
        return check_sku(sku)
    except InvalidInputError:
        return ""


def _gtin(text: str) -> str:
    try:
        return gtin.parse_gtin(text)
    except GtinError:
        return ""
