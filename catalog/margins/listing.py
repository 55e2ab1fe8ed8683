"""Which products need more than the bundle's margin, because of which rival, and what is mistaken for what."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from catalog.storage import Database, product_rows
from catalog.storage.tables import Generation, LeftOutAnswer, Product, ProductMargin


@dataclass(frozen=True)
class NeededMargin:
    """The margin that a product needs over the second to be a match, and why.

    Of `matches` of the catalog's own photos that the bundle's margin gives to `sku`, `wrong` show other products, most
    clearly `rival` (its SKU; "" for one that was deleted since).
    """

    sku: str
    margin: float
    rival: str
    rival_name: str
    matches: int
    wrong: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "margin": round(self.margin, 4)}


def needed_margins(database: Database, product_id: uuid.UUID | None = None) -> Iterator[NeededMargin]:
    """The active products (or this one) that need more than the live bundle's margin, by SKU."""
    rival = aliased(Product)
    query = (
        select(Product.sku, ProductMargin, rival.sku, rival.name)
        .join(ProductMargin, ProductMargin.product_id == Product.id)
        .join(Generation, Generation.id == ProductMargin.generation_id)
        .outerjoin(rival, rival.id == ProductMargin.rival_id)
        .where(Generation.live, Product.active)
        .order_by(Product.sku)
    )
    if product_id is not None:
        query = query.where(Product.id == product_id)
    with database.read() as session:
        rows = session.execute(query).all()
    for sku, row, rival_sku, rival_name in rows:
        yield NeededMargin(sku, row.margin, rival_sku or "", rival_name or "", row.matches, row.wrong)


def needed_margin(database: Database, product_id: uuid.UUID) -> NeededMargin | None:
    """The margin that a product needs, if that is more than the live bundle's."""
    return next(needed_margins(database, product_id), None)


@dataclass(frozen=True)
class Rival:
    """A product that another one is mistaken for, or the other way round; `photo`: SHA-256 of its cover, or "".

    With its own visit left out, a photo of the other is nearest to this one: `ours` times; and a photo of this one is
    nearest to the other: `theirs` times.
    """

    sku: str
    name: str
    photo: str
    ours: int
    theirs: int


def rivals(database: Database, product_id: uuid.UUID, limit: int = 4) -> list[Rival]:
    """The active products that a product is mistaken for by the live generation, most often first."""
    mine, first = LeftOutAnswer.product_id, LeftOutAnswer.first_id
    answers = LeftOutAnswer.generation_id == select(Generation.id).where(Generation.live).scalar_subquery()
    with database.read() as session:
        counts = [
            dict(session.execute(select(other, func.count()).where(answers, *wanted).group_by(other)).all())
            for other, wanted in (
                (first, (mine == product_id, first != product_id)),
                (mine, (first == product_id, mine != product_id)),
            )
        ]
        ours, theirs = counts
        columns = select(Product.id, Product.sku, Product.name, product_rows.cover().label("photo"))
        near = sorted(ours.keys() | theirs.keys(), key=lambda i: (-ours.get(i, 0) - theirs.get(i, 0), i))[: 4 * limit]
        rows = session.execute(columns.where(Product.id.in_(near), Product.active)).all()
    known = {row.id: (row.sku, row.name, row.photo or "") for row in rows}
    return [Rival(*known[i], ours.get(i, 0), theirs.get(i, 0)) for i in near if i in known][:limit]
