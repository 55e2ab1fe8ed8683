"""Figures of the whole catalog: products, photos; categories, brands and labels with the number of their products."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, func, literal, select, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from catalog.enrollment.outbox import PENDING
from catalog.storage import Database
from catalog.storage.tables import Enrollment, Generation, Label, Photo, Product


@dataclass(frozen=True)
class Counts:
    """Figures of the whole catalog."""

    products: int
    photos: int
    pending: int


def counts(database: Database) -> Counts:
    """Active products, their photos, and how many of these are not searchable yet. One statement."""
    products = select(func.count()).select_from(Product).where(Product.active)
    # All photos minus those of retired products, which are few: at 300,000 photos a join of everything takes 290 ms
    # on SQLite and 90 on PostgreSQL, this 15 and 30 (measured).
    retired = select(func.count()).select_from(Photo).join(Product).where(Product.active.is_(False))
    total = select(func.count()).select_from(Photo)
    pending = (
        select(func.count())
        .select_from(Enrollment)
        .join(Generation, Generation.id == Enrollment.generation_id)
        .where(Generation.live, PENDING)
    )
    photos = total.scalar_subquery() - retired.scalar_subquery()
    with database.read() as session:
        return Counts(*session.execute(select(products.scalar_subquery(), photos, pending.scalar_subquery())).one())


@dataclass(frozen=True)
class Facets:
    """What active products have, sorted, and how many products each: what a list can be filtered by."""

    categories: dict[str, int]
    brands: dict[str, int]
    labels: dict[str, int]


def facets(database: Database) -> Facets:
    """The categories, brands and labels of active products. One statement."""
    # All labels minus those of retired products, as photos are counted above: no join of everything.
    retired = _each("labels", Label.name, sign=-1).join(Product).where(Product.active.is_(False))
    parts = union_all(
        _each("categories", Product.category).where(Product.active, Product.category != ""),
        _each("brands", Product.brand).where(Product.active, Product.brand != ""),
        _each("labels", Label.name),
        retired,
    ).subquery()
    count = func.sum(parts.c.count)
    query = select(parts.c.kind, parts.c.value, count).group_by(parts.c.kind, parts.c.value).having(count > 0)
    found: dict[str, dict[str, int]] = {"categories": {}, "brands": {}, "labels": {}}
    with database.read() as session:
        for kind, value, products in session.execute(query.order_by(parts.c.value)):
            found[kind][value] = int(products)
    return Facets(**found)


def _each(kind: str, column: InstrumentedAttribute[str], *, sign: int = 1) -> Select[str, str, int]:
    parts = literal(kind).label("kind"), column.label("value"), (sign * func.count()).label("count")
    return select(*parts).group_by(column)


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
