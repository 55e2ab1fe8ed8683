"""SKUs: what one may be, and the product that has it."""

from __future__ import annotations

import re
import unicodedata

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.errors import InvalidInputError, NotFoundError
from catalog.models import Product

#: Letters and digits of any script, and the marks that SKUs use; no slash, so that none can be taken for a path.
SKU_PATTERN = re.compile(r"\w(?:[\w .+\-]{0,62}[\w+\-])?")


def check_sku(sku: str) -> str:
    """The SKU in its one form: composed characters (a Mac's folders have others), no blanks around it.

    Raises InvalidInputError for what can't be one.
    """
    sku = unicodedata.normalize("NFC", sku.strip())
    if not sku:
        raise InvalidInputError("sku", "The SKU is missing.")
    if len(sku) > 64:
        raise InvalidInputError("sku", f"The SKU has {len(sku)} characters; at most 64 are possible.")
    if not SKU_PATTERN.fullmatch(sku) or ".." in sku:
        raise InvalidInputError(
            "sku",
            "A SKU is made of letters, digits, blanks and . _ + - and starts with a letter or digit; slashes are not "
            "possible.",
        )
    return sku


def known_form(sku: str) -> str:
    """The SKU as it would be stored. Raises NotFoundError for what can't be one: no database is asked for that."""
    try:
        return check_sku(sku)
    except InvalidInputError:
        raise no_product(sku) from None


def no_product(sku: str) -> NotFoundError:
    """The error that says so."""
    return NotFoundError(f"There is no product {sku[:100]!r}.")


def held(session: Session, sku: str) -> Product:
    """The product, held for change until the transaction ends. Raises NotFoundError."""
    product = session.scalar(select(Product).where(Product.sku == known_form(sku)).with_for_update())
    if product is None:
        raise no_product(sku)
    return product


def held_both(session: Session, sku: str, other: str) -> tuple[Product, Product]:
    """Two products, held for change. Raises NotFoundError, or InvalidInputError when they are one."""
    first, second = known_form(sku), known_form(other)
    if first == second:
        raise InvalidInputError("sku", f"Both are the product {first!r}.")
    # In one order, so that two who hold the same ones never wait for each other.
    query = select(Product).where(Product.sku.in_([first, second])).order_by(Product.id).with_for_update()
    found = {product.sku: product for product in session.scalars(query)}
    for wanted in (first, second):
        if wanted not in found:
            raise no_product(wanted)
    return found[first], found[second]
