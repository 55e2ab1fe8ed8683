"""What coverage found, kept in SQL: of each product the last time, of the whole catalog day by day."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from catalog.maintenance.coverage import Coverage
from catalog.storage import Database
from catalog.storage.tables import CoverageDay, Product, ProductCoverage, now

#: A day stays for so many days.
KEPT = 90


def keep(database: Database, run_id: uuid.UUID, found: Sequence[Coverage]) -> None:
    """Keep what was found of these products, in place of what was found before."""
    if not found:
        return
    named = {product.sku for product in found} | {product.mistaken[0].sku for product in found if product.mistaken}
    with database.write() as session:
        ids = dict(session.execute(select(Product.sku, Product.id).where(Product.sku.in_(named))).all())
        for product in found:
            if product.sku not in ids:  # renamed or deleted meanwhile
                continue
            rival = product.mistaken[0] if product.mistaken else None
            session.merge(
                ProductCoverage(
                    product_id=ids[product.sku],
                    run_id=run_id,
                    generation_id=product.generation_id,
                    at=product.at,
                    photos=product.photos,
                    asked=product.asked,
                    found=product.found,
                    rival_id=ids.get(rival.sku) if rival else None,
                    rival_times=rival.times if rival else 0,
                    advice=[[advice.code, advice.message] for advice in product.advice],
                )
            )


def examined(database: Database, run_id: uuid.UUID, generation_id: int) -> set[uuid.UUID]:
    """Products that a run has examined already by this model, before its process was killed."""
    mine = (ProductCoverage.run_id == run_id) & (ProductCoverage.generation_id == generation_id)
    with database.read() as session:
        return set(session.scalars(select(ProductCoverage.product_id).where(mine)))


def complete(database: Database, run_id: uuid.UUID) -> CoverageDay:
    """All products were examined: forget those that are gone, and keep the day's figures in place of an earlier run's.

    Days older than KEPT are removed.
    """
    today = datetime.now().astimezone().date()
    with database.write() as session:
        session.execute(delete(ProductCoverage).where(ProductCoverage.run_id != run_id))
        day = CoverageDay(day=today.isoformat(), at=now(), **_sum(session))
        session.merge(day)
        oldest = (today - timedelta(days=KEPT)).isoformat()
        session.execute(delete(CoverageDay).where(CoverageDay.day < oldest))
    return day


def _sum(session: Session) -> dict[str, int]:
    columns = select(ProductCoverage.asked, ProductCoverage.found, ProductCoverage.advice)
    rows = session.execute(columns.join(Product, Product.id == ProductCoverage.product_id).where(Product.active)).all()
    return {
        "products": len(rows),
        "asked": sum(asked for asked, _, _ in rows),
        "found": sum(found for _, found, _ in rows),
        "needy": sum(bool(advice) for _, _, advice in rows),
    }


def trend(database: Database) -> list[CoverageDay]:
    """The days that are kept, the oldest first."""
    with database.read() as session:
        return list(session.scalars(select(CoverageDay).order_by(CoverageDay.day)))
