"""The audit log: who changed what. One entry per change, in the same transaction as the change."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from catalog.storage.tables import AuditEntry, Product


def record(
    session: Session,
    actor: str,
    action: str,
    subject: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add an entry to the audit log."""
    session.add(AuditEntry(actor=actor[:100], action=action, subject=subject, before=before, after=after))


def product_snapshot(product: Product) -> dict[str, Any]:
    """A product as the audit log records it."""
    return {
        "sku": product.sku,
        "name": product.name,
        "brand": product.brand,
        "category": product.category,
        "variant_group": product.variant_group,
        "attributes": product.attributes,
        "barcodes": sorted(barcode.gtin for barcode in product.barcodes),
        "labels": sorted(label.name for label in product.labels),
        "active": product.active,
    }
