"""The products whose barcode a photo shows."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import exists, select

from catalog.storage import Database
from catalog.storage.tables import Barcode, Product
from embedder import barcodes


@dataclass(frozen=True)
class ByBarcode:
    """An active product, and the barcode of it that a photo shows.

    `gtin` has 14 digits; `place` are its corners, x and y in shares of the photo's width and height (see
    embedder.barcodes.reader).
    """

    sku: str
    name: str
    gtin: str
    place: barcodes.Place


def find_product(database: Database, data: bytes, products: frozenset[str] | None = None) -> list[ByBarcode]:
    """The bytes of a query photo -> the active products that have a barcode on it, the largest barcode first.

    `products`: of these alone, by their ids.
    Each product is named once; the list is empty when there is none. A catalog without barcodes looks at no photo.
    Raises ImageError for what is no usable photo.
    """
    with database.read() as session:
        if not session.scalar(select(exists().where(Barcode.product_id == Product.id, Product.active))):
            return []
    read = barcodes.read_barcodes(data)
    query = select(Barcode.gtin, Product.id, Product.sku, Product.name).join(Product, Product.id == Barcode.product_id)
    with database.read() as session:
        rows = session.execute(query.where(Barcode.gtin.in_([each.gtin for each in read]), Product.active))
        known = {row.gtin: row for row in rows if products is None or str(row.id) in products}
    named: dict[str, ByBarcode] = {}
    for each in read:
        row = known.get(each.gtin)
        if row is not None:
            named.setdefault(row.sku, ByBarcode(row.sku, row.name, each.gtin, each.place))
    return list(named.values())
