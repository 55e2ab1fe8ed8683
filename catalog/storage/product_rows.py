"""Product rows by SKU, locked (SELECT ... FOR UPDATE)."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.errors import InvalidInputError
from catalog.normalization import no_product, normalized_sku
from catalog.storage.tables import Product


def lock_product(session: Session, sku: str) -> Product:
    """The product, its row locked until the transaction ends. Raises NotFoundError."""
    product = session.scalar(select(Product).where(Product.sku == normalized_sku(sku)).with_for_update())
    if product is None:
        raise no_product(sku)
    return product


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
