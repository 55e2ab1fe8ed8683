"""Lists of products: searched, filtered, paged by key."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select, text
from sqlalchemy.orm import selectinload

from catalog import barcodes
from catalog.models import Enrollment, Generation, Photo, Product
from catalog.products import plain
from catalog.service import Catalog


@dataclass(frozen=True)
class Page:
    """A page of the product list, and the key that the next one starts after (None at the end)."""

    products: list[Product]
    next_key: str | None
    total: int


def list_page(catalog: Catalog, *, search: str = "", after: str = "", limit: int = 50, retired: bool = False) -> Page:
    """Products in the order of their SKUs, after the SKU `after`.

    `search` looks into SKU, name, brand and category, and for a whole barcode.
    """
    condition: ColumnElement[bool] = Product.active.is_(not retired)
    search, after = ("".join(filter(plain, unicodedata.normalize("NFC", one))).strip() for one in (search, after))
    if search:
        like = "%" + re.sub(r"([%_\\])", r"\\\1", search) + "%"
        columns = (Product.sku, Product.name, Product.brand, Product.category)
        named = or_(*(column.ilike(like, escape="\\") for column in columns))
        condition = condition & (named | Product.id.in_(barcodes.owner_of(search)))
    with catalog.db.read() as session:
        total = session.scalar(select(func.count()).select_from(Product).where(condition)) or 0
        query = (
            select(Product)
            .options(selectinload(Product.photos))
            .where(condition, Product.sku > after)
            .order_by(Product.sku)
            .limit(limit + 1)
        )
        found = list(session.scalars(query))
    more = len(found) > limit
    return Page(found[:limit], found[limit - 1].sku if more else None, total)


@dataclass(frozen=True)
class Counts:
    """Figures of the whole catalog."""

    products: int
    photos: int
    pending: int


def counts(catalog: Catalog) -> Counts:
    """Active products, their photos, and how many of these are not searchable yet."""
    with catalog.db.read() as session:
        products = session.scalar(select(func.count()).select_from(Product).where(Product.active))
        # All photos without those of the retired products, which are few: at 300,000 photos a join of everything takes
        # 290 ms on SQLite and 90 on PostgreSQL, this 15 and 30 (measured).
        retired = select(func.count()).select_from(Photo).join(Product).where(Product.active.is_(False))
        every = select(func.count()).select_from(Photo)
        photos = session.scalar(select(every.scalar_subquery() - retired.scalar_subquery()))
        pending = session.scalar(
            select(func.count())
            .select_from(Enrollment)
            .join(Generation, Generation.id == Enrollment.generation_id)
            # In the words of ix_enrollment_pending: SQLite sees no use for it in "done = 0".
            .where(Generation.live, text("NOT enrollment.done"))
        )
    return Counts(products or 0, photos or 0, pending or 0)
