"""Steps that tests of the catalog share."""

from __future__ import annotations

from pictures import jpeg
from sqlalchemy import func, select

from catalog import products
from catalog.models import Enrollment, Photo, Product, Removal
from catalog.products import Added, Facts, NewPhoto
from catalog.recognize import recognize
from catalog.service import Catalog


def shots(*seeds: int) -> list[NewPhoto]:
    return [NewPhoto(f"{seed}.jpg", jpeg(seed)) for seed in seeds]


def create(catalog: Catalog, sku: str, *seeds: int, **facts: str) -> Added:
    return products.create(catalog, Facts(sku, **facts), shots(*seeds), actor="anna")


def first(catalog: Catalog, seed: int) -> str:
    """SKU of the best match of a photo; "" when there is none."""
    matches = recognize(catalog, jpeg(seed)).matches
    return matches[0].sku if matches else ""


def rows(catalog: Catalog) -> dict[str, int]:
    with catalog.db.read() as session:
        tables = (Product, Photo, Enrollment, Removal)
        return {table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def points(catalog: Catalog) -> int:
    return catalog.gallery.count(catalog.live().collection)
