"""Lists of products: searched, filtered, paged by key."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, text
from sqlalchemy.orm import selectinload

from catalog import barcodes
from catalog.models import Enrollment, Generation, Label, Photo, Product, RecognitionEntry
from catalog.service import Catalog
from catalog.texts import plain


@dataclass(frozen=True)
class Page:
    """A page of the product list, and the key that the next one starts after (None at the end)."""

    products: list[Product]
    next_key: str | None
    total: int


@dataclass(frozen=True)
class Filter:
    """Which products a list shows; each that is given narrows it.

    `search` looks into SKU, name, brand and category, and for a whole barcode. `few_photos`: those with fewer photos
    than this. `never_recognized`: those that no answer in the log was sure of (see catalog.answers).
    """

    search: str = ""
    category: str = ""
    label: str = ""
    variant_group: str = ""
    few_photos: int | None = None
    never_recognized: bool = False
    retired: bool = False

    def condition(self) -> ColumnElement[bool]:
        """The same in SQL, on table `product`."""
        parts: list[ColumnElement[bool]] = [Product.active.is_(not self.retired)]
        if search := _known(self.search):
            like = "%" + re.sub(r"([%_\\])", r"\\\1", search) + "%"
            columns = (Product.sku, Product.name, Product.brand, Product.category)
            named = or_(*(column.ilike(like, escape="\\") for column in columns))
            parts.append(named | Product.id.in_(barcodes.owner_of(search)))
        if self.category:
            parts.append(Product.category == _known(self.category))
        if self.variant_group:
            parts.append(Product.variant_group == _known(self.variant_group))
        if self.label:
            parts.append(exists().where(Label.product_id == Product.id, Label.name == _known(self.label)))
        if self.few_photos is not None:
            photos = select(func.count()).where(Photo.product_id == Product.id).scalar_subquery()
            parts.append(photos < self.few_photos)
        if self.never_recognized:
            parts.append(~exists().where(RecognitionEntry.product_id == Product.id))
        return and_(*parts)


def list_page(catalog: Catalog, only: Filter = Filter(), *, after: str = "", limit: int = 50) -> Page:
    """Products in the order of their SKUs, after the SKU `after`, with their photos."""
    condition = only.condition()
    with catalog.db.read() as session:
        total = session.scalar(select(func.count()).select_from(Product).where(condition)) or 0
        query = select(Product).options(selectinload(Product.photos)).where(condition, Product.sku > _known(after))
        found = list(session.scalars(query.order_by(Product.sku).limit(limit + 1)))
    more = len(found) > limit
    return Page(found[:limit], found[limit - 1].sku if more else None, total)


def categories(catalog: Catalog) -> dict[str, int]:
    """The categories of active products, and how many products each has, in order."""
    query = select(Product.category, func.count()).where(Product.active, Product.category != "")
    with catalog.db.read() as session:
        return dict(session.execute(query.group_by(Product.category).order_by(Product.category)).all())


def labels(catalog: Catalog) -> dict[str, int]:
    """The labels of active products, and how many products each has, in order."""
    query = select(Label.name, func.count()).join(Product).where(Product.active)
    with catalog.db.read() as session:
        return dict(session.execute(query.group_by(Label.name).order_by(Label.name)).all())


def _known(text: str) -> str:
    """A text that somebody asks for, in the form that is stored."""
    return "".join(filter(plain, unicodedata.normalize("NFC", text))).strip()


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
