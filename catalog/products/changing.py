"""Products: change, label, retire, restore. One transaction per use case."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from catalog import enrollment
from catalog.catalog import Catalog
from catalog.enrollment import photo_rows
from catalog.normalization import no_product, normalized_sku
from catalog.products import barcode_owners
from catalog.products.facts import Facts, check_facts, check_labels, describe
from catalog.products.facts import replace_labels as put_labels
from catalog.storage import Database, audit_log
from catalog.storage.product_rows import check_version, lock_product
from catalog.storage.tables import Enrollment, Generation, Product


def change(database: Database, facts: Facts, *, version: int | None = None, actor: str) -> None:
    """Change the facts of a product; barcodes are added to those that it has.

    `version` is the one that the person saw (optimistic locking). Raises InvalidInputError, NotFoundError,
    BarcodeTakenError, or ConflictError when that is no longer the newest.
    """
    normalized_sku(facts.sku)
    facts = check_facts(facts)
    with database.write() as session:
        product = lock_product(session, facts.sku)
        check_version(product, version)
        with audit_log.recorded(session, actor, "product.change", product):
            describe(product, facts)
            barcode_owners.claim(session, product, facts.barcodes)


def set_labels(database: Database, sku: str, names: Sequence[str], *, actor: str) -> None:
    """Replace the labels of a product by exactly these. Raises InvalidInputError or NotFoundError."""
    names = check_labels(names)
    with database.write() as session:
        product = lock_product(session, sku)
        with audit_log.recorded(session, actor, "product.label", product):
            put_labels(product, names)


def set_active(catalog: Catalog, sku: str, active: bool, *, actor: str) -> None:
    """Retire a product, effective from the next answer, or restore it. Raises NotFoundError."""
    with catalog.database.write() as session:
        product = lock_product(session, sku)
        if product.active == active:
            return
        with audit_log.recorded(session, actor, "product.restore" if active else "product.retire", product):
            ids = switch_active(session, product, active)
    enrollment.catch_up(catalog, ids if active else [])


def switch_active(session: Session, product: Product, active: bool) -> list[uuid.UUID]:
    """Retire or restore a product in the caller's transaction; returns its photos, for `enrollment.catch_up`."""
    product.active = active
    session.flush()
    ids = [photo.id for photo in product.photos]
    if active:
        photo_rows.enqueue_enrollments(session, product, ids)
    else:
        photo_rows.enqueue_removals(session, product, ids)
    return ids


def action_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What the audit log calls a change from one snapshot of a product to another."""
    if [name for name in after if before[name] != after[name]] == ["active"]:
        return "product.restore" if after["active"] else "product.retire"
    return "product.change"


def get(database: Database, sku: str) -> Product:
    """A product with its photos, barcodes and labels. Raises NotFoundError."""
    with database.read() as session:
        whole = [selectinload(part) for part in (Product.photos, Product.barcodes, Product.labels)]
        product = session.scalar(select(Product).options(*whole).where(Product.sku == normalized_sku(sku)))
        if product is None:
            raise no_product(sku)
        return product


def pending_photos(database: Database, *products: Product) -> dict[uuid.UUID, str]:
    """Photos of products that are not searchable yet (ids), with the last error."""
    ids = [photo.id for product in products for photo in product.photos]
    with database.read() as session:
        rows = session.execute(
            select(Enrollment.photo_id, Enrollment.error)
            .join(Generation, Generation.id == Enrollment.generation_id)
            .where(Generation.live, ~Enrollment.done, Enrollment.photo_id.in_(ids))
        )
        return dict(rows.all())
