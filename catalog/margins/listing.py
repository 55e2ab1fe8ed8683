"""Which products need more than the bundle's margin, and because of which rival: for people."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import aliased

from catalog.storage import Database
from catalog.storage.tables import Generation, Product, ProductMargin


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
