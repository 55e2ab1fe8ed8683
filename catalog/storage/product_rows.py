"""Product rows: by SKU, locked (SELECT ... FOR UPDATE) and as they were seen; by barcode; their covers."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import ScalarSelect, func, select
from sqlalchemy.orm import Session

from catalog.errors import ConflictError, InvalidInputError, PreconditionFailedError, SkuAlikeError
from catalog.normalization import no_product, normalized_sku, sku_key
from catalog.storage.tables import Barcode, Photo, Product
from embedder.barcodes import gtin

#: The tags (see `tag`), one of which a product must have to be changed; None: any.
Seen = Collection[str] | None


def lock_product(session: Session, sku: str, seen: Seen = None) -> Product:
    """The product, its row locked until the transaction ends.

    Raises NotFoundError, or PreconditionFailedError when it is not as it was `seen`.
    """
    product = session.scalar(select(Product).where(Product.sku == normalized_sku(sku)).with_for_update())
    if product is None:
        raise no_product(sku)
    if seen is not None and tag(product) not in seen:
        raise PreconditionFailedError(f"The product {product.sku!r} was changed in the meantime: get it again.")
    return product


def tag(product: Product) -> str:
    """16 characters that change with whatever a person or a program changes of a product, its photos and barcodes.

    The version alone does not say it: it counts facts, labels and the state. Nor does it go on after a restore from the
    bin, so the time is in it, too.
    """
    parts = [product.id, product.version, product.updated_at.isoformat()]
    parts += sorted(barcode.gtin for barcode in product.barcodes)
    parts += sorted(f"{photo.id} {photo.cover}" for photo in product.photos)
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def lock_products(session: Session, sku: str, other: str) -> tuple[Product, Product]:
    """Two products, their rows locked. Raises NotFoundError, or InvalidInputError when they are the same."""
    first, second = normalized_sku(sku), normalized_sku(other)
    if first == second:
        raise InvalidInputError("sku", f"Both are the product {first!r}.")
    # Locked in one order, so that two transactions on the same products never deadlock.
    query = select(Product).where(Product.sku.in_([first, second])).order_by(Product.id).with_for_update()
    found = {product.sku: product for product in session.scalars(query)}
    for wanted in (first, second):
        if wanted not in found:
            raise no_product(wanted)
    return found[first], found[second]


def check_version(product: Product, version: int | None) -> None:
    """Raises ConflictError when a locked product has another version than the one that a person saw (None: any)."""
    if version is not None and product.version != version:
        raise ConflictError(f"The product {product.sku!r} was changed by somebody else in the meantime: look again.")


def cover() -> ScalarSelect[str]:
    """In a query of products: the SHA-256 of the photo that is shown first, NULL without one."""
    in_order = (Photo.cover.desc(), Photo.created_at, Photo.id)
    photo = select(Photo.sha256).where(Photo.product_id == Product.id).order_by(*in_order).limit(1)
    return photo.correlate(Product).scalar_subquery()


def refuse_alike(session: Session, sku: str, *, but: uuid.UUID | None = None) -> None:
    """Raises SkuAlikeError when a product other than `but` has a SKU that differs in capitals, width or blanks only.

    In a write transaction no other one can add such a SKU until this one ends.
    """
    key = sku_key(sku)
    if session.get_bind().dialect.name == "postgresql":  # on SQLite there is one writer at a time
        session.execute(select(func.pg_advisory_xact_lock(func.hashtext(key))))
    query = select(Product.sku).where(Product.sku_key == key, Product.sku != sku)
    query = query if but is None else query.where(Product.id != but)
    other = session.scalar(query.order_by(Product.sku).limit(1))
    if other is not None:
        raise SkuAlikeError(sku, other)


class Owner(NamedTuple):
    """The product that has a barcode."""

    id: uuid.UUID
    sku: str
    name: str
    active: bool


def find_owners(session: Session, gtins: Sequence[str]) -> dict[str, Owner]:
    """Barcodes that were read or typed (14 digits) -> the product that each names; unknown ones are omitted.

    A number that a shop's scales printed names the product whose barcode has the same item number, whatever the weight
    (see gtin.item_number), when exactly one product has: where several do, the shop uses these numbers in another way,
    and only the whole number counts.
    """
    columns = select(Barcode.gtin, Product.id, Product.sku, Product.name, Product.active)
    query = columns.join(Product, Product.id == Barcode.product_id)
    found = {row.gtin: Owner(*row[1:]) for row in session.execute(query.where(Barcode.gtin.in_(gtins)))}
    for number in gtins:
        if number not in found and (item := gtin.item_number(number)):
            rest = gtin.LENGTH - len(item)
            weighed = Barcode.gtin.between(item + rest * "0", item + rest * "9")
            owners = {Owner(*row[1:]) for row in session.execute(query.where(weighed))}
            if len(owners) == 1:
                found[number] = owners.pop()
    return found
