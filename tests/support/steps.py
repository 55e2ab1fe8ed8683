"""Steps that tests of the catalog share."""

from __future__ import annotations

from sqlalchemy import func, select

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import AddResult, Facts, Intake
from catalog.recognition import recognize
from catalog.storage.tables import Enrollment, Photo, Product, Removal
from tests.support.pictures import jpeg


def shots(*seeds: int) -> list[NewPhoto]:
    return [NewPhoto(f"{seed}.jpg", jpeg(seed)) for seed in seeds]


def create(catalog: Catalog, sku: str, *seeds: int, **facts: str) -> AddResult:
    return products.create(catalog, Facts(sku, **facts), shots(*seeds), Intake("anna"))


def first(catalog: Catalog, seed: int) -> str:
    """SKU of the best match of a photo; "" when there is none."""
    matches = recognize(catalog, jpeg(seed)).matches
    return matches[0].sku if matches else ""


def rows(catalog: Catalog) -> dict[str, int]:
    with catalog.database.read() as session:
        tables = (Product, Photo, Enrollment, Removal)
        return {table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def points(catalog: Catalog) -> int:
    return catalog.gallery.count(catalog.generations.ready().collection)


def create_each(catalog: Catalog, *seeds: int) -> None:
    """A product S<seed> for each, with the photo of that seed."""
    for seed in seeds:
        create(catalog, f"S{seed}", seed)


def all_found(catalog: Catalog, *seeds: int) -> bool:
    """Whether each photo finds its own product by the very same picture."""
    best = [recognize(catalog, jpeg(seed)).matches[:1] for seed in seeds]
    return all(b and b[0].sku == f"S{seed}" and b[0].score > 0.999 for seed, b in zip(seeds, best, strict=True))
