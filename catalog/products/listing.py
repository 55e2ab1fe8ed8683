"""Product lists: search, filters, keyset pagination."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, selectinload

from catalog.enrollment.outbox import PENDING
from catalog.normalization import MOST, plain
from catalog.products import barcode_owners
from catalog.storage import Database
from catalog.storage.tables import Enrollment, Generation, Label, Photo, Product, RecognitionEntry

#: Products of a search that are counted, at most.
COUNTED = 1000


@dataclass(frozen=True)
class Page:
    """A page of the product list, and the key that the next page starts after (None at the end).

    `total` counts all pages; if it is `capped`, there are more.
    """

    products: list[Product]
    next_key: str | None
    total: int
    capped: bool = False


@dataclass(frozen=True)
class Filter:
    """Which products a list shows: those that meet all given conditions.

    `search` finds text in SKU, name, brand and category, or a whole barcode. `few_photos`: those with fewer photos than
    this. `never_recognized`: those that no answer in the log matched (see storage/answer_log.py).
    """

    search: str = ""
    category: str = ""
    label: str = ""
    variant_group: str = ""
    few_photos: int | None = None
    never_recognized: bool = False
    retired: bool = False

    def condition(self, session: Session) -> ColumnElement[bool]:
        """The filter as a SQL condition on the table `product`."""
        parts: list[ColumnElement[bool]] = [Product.active.is_(not self.retired)]
        if search := _known(self.search):
            named: ColumnElement[bool] = Product.search.contains(search.casefold(), autoescape=True)
            # By SKU, from a query of its own: so ix_product_active_sku_search still covers the search.
            owner = barcode_owners.owner_of(session, search)
            parts.append(named if owner is None else named | (Product.sku == owner))
        if self.category:
            parts.append(Product.category == _known(self.category))
        if self.variant_group:
            parts.append(Product.variant_group == _known(self.variant_group))
        if self.label:
            parts.append(exists().where(Label.product_id == Product.id, Label.name == _known(self.label)))
        if self.few_photos is not None:
            enough = (
                select(Photo.product_id).group_by(Photo.product_id).having(func.count() >= min(self.few_photos, MOST))
            )
            parts.append(Product.id.not_in(enough))
        if self.never_recognized:
            parts.append(~exists().where(RecognitionEntry.product_id == Product.id))
        return and_(*parts)


def list_page(database: Database, only: Filter = Filter(), *, after: str = "", limit: int = 50) -> Page:
    """At most `limit` products with their photos, sorted by SKU, after the SKU `after`."""
    with database.read() as session:
        condition, after = only.condition(session), _known(after)
        if replace(only, retired=False) == Filter():  # no filter: an index alone gives the count
            total, capped = session.scalar(select(func.count()).select_from(Product).where(condition)) or 0, False
            skus = None
        else:
            query = select(Product.sku).where(condition).order_by(Product.sku).limit(COUNTED + 1)
            skus = list(session.scalars(query))
            total, capped = min(len(skus), COUNTED), len(skus) > COUNTED
        # Unless capped, all matching SKUs are known, and the search need not run twice.
        wanted = condition if skus is None or capped else Product.sku.in_(skus)
        page = select(Product).options(selectinload(Product.photos)).where(wanted, Product.sku > after)
        found = list(session.scalars(page.order_by(Product.sku).limit(limit + 1)))
    more = len(found) > limit
    return Page(found[:limit], found[limit - 1].sku if more else None, total, capped)


def categories(database: Database) -> dict[str, int]:
    """The categories of active products, sorted, and how many products each has."""
    query = select(Product.category, func.count()).where(Product.active, Product.category != "")
    with database.read() as session:
        return dict(session.execute(query.group_by(Product.category).order_by(Product.category)).all())


def labels(database: Database) -> dict[str, int]:
    """The labels of active products, sorted, and how many products each has."""
    query = select(Label.name, func.count()).join(Product).where(Product.active)
    with database.read() as session:
        return dict(session.execute(query.group_by(Label.name).order_by(Label.name)).all())


@dataclass(frozen=True)
class Suggestions:
    """What products have by now, the most frequent first: to choose from where a person types."""

    brands: list[str]
    categories: list[str]
    variant_groups: list[str]
    labels: list[str]


def suggestions(database: Database, limit: int = 200) -> Suggestions:
    """At most so many of each: labels of all products, the rest of active ones."""
    with database.read() as session:
        return Suggestions(
            _most_frequent(session, Product.brand, Product.active, limit=limit),
            _most_frequent(session, Product.category, Product.active, limit=limit),
            _most_frequent(session, Product.variant_group, Product.active, limit=limit),
            _most_frequent(session, Label.name, limit=limit),
        )


def _most_frequent(
    session: Session, column: InstrumentedAttribute[str], *wanted: InstrumentedAttribute[bool], limit: int
) -> list[str]:
    query = select(column).where(column != "", *wanted).group_by(column)
    return list(session.scalars(query.order_by(func.count().desc(), column).limit(limit)))


def _known(text: str) -> str:
    """A search text, normalized as stored texts are."""
    blanks = re.sub(r"[^\S ]", " ", unicodedata.normalize("NFC", text))
    return "".join(filter(plain, blanks)).strip()


@dataclass(frozen=True)
class Counts:
    """Figures of the whole catalog."""

    products: int
    photos: int
    pending: int


def counts(database: Database) -> Counts:
    """Active products, their photos, and how many of these are not searchable yet."""
    with database.read() as session:
        products = session.scalar(select(func.count()).select_from(Product).where(Product.active))
        # All photos minus those of retired products, which are few: at 300,000 photos a join of everything takes 290 ms
        # on SQLite and 90 on PostgreSQL, this 15 and 30 (measured).
        retired = select(func.count()).select_from(Photo).join(Product).where(Product.active.is_(False))
        total = select(func.count()).select_from(Photo)
        photos = session.scalar(select(total.scalar_subquery() - retired.scalar_subquery()))
        pending = session.scalar(
            select(func.count())
            .select_from(Enrollment)
            .join(Generation, Generation.id == Enrollment.generation_id)
            .where(Generation.live, PENDING)
        )
    return Counts(products or 0, photos or 0, pending or 0)
