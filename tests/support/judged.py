"""Products whose photos are of two visits, to be asked for by a judgement."""

from __future__ import annotations

from sqlalchemy import select

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from catalog.storage.tables import JudgedQuery
from tests.support.drawn import DRAWN, front, small_and_turned


def put(catalog: Catalog, sku: str, *photos: bytes) -> None:
    uploads = [NewPhoto(f"{sku}-{place}.jpg", data) for place, data in enumerate(photos)]
    products.create(catalog, Facts(sku), uploads, Intake("anna", check="off", read_barcodes=False))


def put_packs(catalog: Catalog, count: int) -> None:
    """Products PACK-0, ...: a supplier's picture of each, and two photos as a customer takes them."""
    for place, pack in enumerate(DRAWN[:count]):
        put(catalog, f"PACK-{place}", front(pack), small_and_turned(pack), front(pack, 60, "tan"))


def queries(catalog: Catalog) -> list[JudgedQuery]:
    with catalog.database.read() as session:
        return list(session.scalars(select(JudgedQuery).order_by(JudgedQuery.number)))
