"""What a person says of two products that look like one: they differ, for good."""

from __future__ import annotations

import uuid

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.orm import Session

from catalog.errors import ConflictError
from catalog.products.comparing import pair_of
from catalog.storage import Database, audit_log
from catalog.storage.product_rows import lock_products
from catalog.storage.tables import DifferentProducts


def set_different(database: Database, sku: str, other: str, *, actor: str) -> None:
    """Two products differ, however alike they are: they are not listed as duplicates again.

    Raises NotFoundError, InvalidInputError when both are one product, or ConflictError when it was said before.
    """
    with database.write() as session:
        first, second = lock_products(session, sku, other)
        if not _add(session, first.id, second.id, actor):
            raise ConflictError(f"It was said already that {first.sku!r} and {second.sku!r} differ.")
        audit_log.record(session, actor, "product.differ", first.sku, None, {"differs_from": second.sku})


def carry_over(session: Session, product_id: uuid.UUID, into_id: uuid.UUID) -> None:
    """What differs from a product that is merged differs from the one that it is merged into."""
    for row in session.scalars(select(DifferentProducts).where(_of(product_id))).all():
        third = row.other_id if row.one_id == product_id else row.one_id
        if third != into_id:
            _add(session, into_id, third, row.actor)
    forget(session, product_id)


def forget(session: Session, product_id: uuid.UUID) -> None:
    """Forget what was said of a product that is deleted."""
    session.execute(delete(DifferentProducts).where(_of(product_id)))


def _add(session: Session, first: uuid.UUID, second: uuid.UUID, actor: str) -> bool:
    """Note that two products differ; returns False when that was known."""
    one_id, other_id = pair_of(first, second)
    if session.get(DifferentProducts, (one_id, other_id)) is not None:
        return False
    session.add(DifferentProducts(one_id=one_id, other_id=other_id, actor=actor[:100]))
    session.flush()
    return True


def _of(product_id: uuid.UUID) -> ColumnElement[bool]:
    return or_(DifferentProducts.one_id == product_id, DifferentProducts.other_id == product_id)
