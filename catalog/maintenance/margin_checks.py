"""Consistency check of the products' margins: whether they are what the stored answers say."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from sqlalchemy import select

from catalog import margins
from catalog.catalog import Catalog
from catalog.maintenance.findings import Finding
from catalog.storage import Database
from catalog.storage.tables import Product


def check_margins(catalog: Catalog, *, repair: bool) -> Iterator[Finding]:
    """A finding for each product whose margin in the live generation is wrong; `repair` fits all margins anew.

    Photos that were not asked yet are no defect: the bundle's margin holds until they are.
    """
    aim = margins.aim_of(catalog, catalog.generations.live())
    wrong = margins.wrong_margins(catalog.database, aim)
    if wrong and repair:
        with catalog.database.alone(wait=True):
            margins.fit_all(catalog.database, aim)
    names = _names(catalog.database, wrong)
    for product_id in wrong:
        message = "The margin that this product needs is not the one that its answers say."
        yield Finding("margin_wrong", message, sku=names.get(product_id, ""), mended=repair)


def _names(database: Database, ids: list[uuid.UUID]) -> dict[uuid.UUID, str]:
    with database.read() as session:
        pages = (ids[start : start + margins.PAGE] for start in range(0, len(ids), margins.PAGE))
        query = select(Product.id, Product.sku)
        return {row.id: row.sku for page in pages for row in session.execute(query.where(Product.id.in_(page)))}
