"""Make a product what a program says it is: what is not said stays. One transaction with one entry in the audit log."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from catalog import enrollment
from catalog.catalog import Catalog
from catalog.products import barcode_owners
from catalog.products.changing import action_of, switch_active
from catalog.products.facts import TEXTS, Facts, check_facts, describe
from catalog.storage import audit_log
from catalog.storage.product_rows import Seen, lock_product
from catalog.storage.tables import Product


@dataclass(frozen=True)
class Update:
    """What a product is to be; None: stays as it is.

    An empty `name` is the SKU. Labels, attributes and barcodes (see Facts) are to be exactly these; `change_attributes`
    names some attributes, the others stay (None: it is to have none of this name). `active`: retired (False) or not.
    """

    name: str | None = None
    brand: str | None = None
    category: str | None = None
    variant_group: str | None = None
    labels: tuple[str, ...] | None = None
    attributes: Mapping[str, str] | None = None
    change_attributes: Mapping[str, str | None] | None = None
    barcodes: tuple[str, ...] | None = None
    active: bool | None = None

    def facts(self, sku: str) -> Facts:
        """The facts of a new product."""
        named = {**(self.attributes or {}), **(self.change_attributes or {})}
        return Facts(
            sku,
            self.name or "",
            self.brand or "",
            self.category or "",
            self.barcodes or (),
            self.variant_group,
            self.labels,
            {key: value for key, value in named.items() if value is not None},
        )


def update(catalog: Catalog, sku: str, wanted: Update, *, seen: Seen = None, actor: str) -> None:
    """Make a product so; nothing is written, and nothing recorded, if it is so already.

    Raises InvalidInputError, NotFoundError, BarcodeTakenError, or PreconditionFailedError when it is not as it was
    `seen`.
    """
    with catalog.database.write() as session:
        product = lock_product(session, sku, seen)
        back = apply(session, product, wanted, actor=actor)
    if back is not None:
        enrollment.catch_up(catalog, back)


def apply(session: Session, product: Product, wanted: Update, *, actor: str) -> list[uuid.UUID] | None:
    """The same for a locked product in the caller's transaction.

    Returns the photos that are to be in the gallery again, or none where they leave it, for `enrollment.catch_up`; None
    if neither.
    """
    before = audit_log.product_snapshot(product)
    facts = check_facts(_facts(before, wanted))
    describe(product, facts)
    if wanted.barcodes is not None:
        barcode_owners.replace(session, product, facts.barcodes)
    back: list[uuid.UUID] | None = None
    if wanted.active is not None and wanted.active != product.active:
        photos = switch_active(session, product, wanted.active)
        back = photos if wanted.active else []
    session.flush()
    after = audit_log.product_snapshot(product)
    if after != before:
        audit_log.record(session, actor, action_of(before, after), product.sku, before, after)
    return back


def _facts(before: Mapping[str, Any], wanted: Update) -> Facts:
    """The facts that a product is to have; `before` is its snapshot (see audit_log)."""
    texts = {name: before[name] if (given := getattr(wanted, name)) is None else given for name in TEXTS}
    attributes = wanted.attributes
    if wanted.change_attributes is not None:
        named = {**(before["attributes"] if attributes is None else attributes), **wanted.change_attributes}
        attributes = {key: value for key, value in named.items() if value is not None}
    return Facts(before["sku"], **texts, barcodes=wanted.barcodes or (), labels=wanted.labels, attributes=attributes)
