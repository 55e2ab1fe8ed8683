"""Barcode lookup: the products whose barcode a photo shows."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image
from sqlalchemy import exists, select

from catalog.storage import Database
from catalog.storage.product_rows import find_owners
from catalog.storage.tables import Barcode, Product
from embedder import barcodes


@dataclass(frozen=True)
class ByBarcode:
    """An active product, and its barcode that a photo shows: of a weighed pack the number with this pack's weight.

    `gtin` has 14 digits; `place` is the barcode's corners, x and y in fractions of the photo's width and height (see
    embedder.barcodes.reader).
    """

    sku: str
    name: str
    gtin: str
    place: barcodes.Place


# Built once: that takes as long as to run it, and every answer needs it.
_ANY = select(exists().where(Barcode.product_id == Product.id, Product.active))


def has_barcodes(database: Database) -> bool:
    """Whether any active product has a barcode: if not, no photo need be read for one."""
    with database.read() as session:
        return bool(session.scalar(_ANY))


def find_product(database: Database, picture: Image.Image, products: frozenset[str] | None = None) -> list[ByBarcode]:
    """An upright query photo -> the active products whose barcode it shows, each once, the largest barcode first.

    `products`: only these ids. The photo must be decoded for at least barcodes.WANT pixels.
    """
    read = barcodes.read(picture)
    if not read:
        return []
    with database.read() as session:
        owners = find_owners(session, [barcode.gtin for barcode in read])
    named: dict[str, ByBarcode] = {}
    for barcode in read:
        owner = owners.get(barcode.gtin)
        if owner is not None and owner.active and (products is None or str(owner.id) in products):
            named.setdefault(owner.sku, ByBarcode(owner.sku, owner.name, barcode.gtin, barcode.place))
    return list(named.values())
