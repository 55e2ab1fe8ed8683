"""Figures of the whole catalog: products, photos; categories, brands and labels with the number of their products."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
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


def categories(database: Database) -> dict[str, int]:
    """The categories of active products, sorted, and how many products each has."""
    return _grouped(database, Product.category)


def brands(database: Database) -> dict[str, int]:
    """The brands of active products, sorted, and how many products each has."""
    return _grouped(database, Product.brand)


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


def _grouped(database: Database, column: InstrumentedAttribute[str]) -> dict[str, int]:
    query = select(column, func.count()).where(Product.active, column != "")
    with database.read() as session:
        return dict(session.execute(query.group_by(column).order_by(column)).all())
