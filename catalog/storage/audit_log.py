"""The audit log: who changed what. One entry per change, in the same transaction as the change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from catalog.normalization import MOST, plain
from catalog.storage import change_events, change_rows, named_requests
from catalog.storage.database import Database
from catalog.storage.tables import AuditEntry, Product


@dataclass(frozen=True)
class LogPage:
    """Entries, newest first, and the id that older ones are below (None at the end)."""

    entries: list[AuditEntry]
    older: int | None


def record(
    session: Session,
    actor: str,
    action: str,
    subject: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditEntry:
    """Add an entry to the audit log, and what it tells other systems to the feed of changes.

    The change is noted as done for the request that it was made for: raises RequestBusyError when that was done
    meanwhile (see named_requests.py).
    """
    named_requests.note(session)
    entry = AuditEntry(actor=actor[:100], action=action, subject=subject, before=before, after=after)
    session.add(entry)
    for event in change_events.events_of(action, subject, before, after):
        change_rows.note(session, event, change_events.kind_of(actor))
    return entry


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


@contextmanager
def recorded(session: Session, actor: str, action: str, product: Product) -> Iterator[None]:
    """Record what the block changes of a locked product: facts, labels, barcodes, state. Nothing if it changes none."""
    before = product_snapshot(product)
    yield
    if (after := product_snapshot(product)) != before:
        record(session, actor, action, product.sku, before, after)


def whole_snapshot(product: Product) -> dict[str, Any]:
    """A product as the audit log records it where it comes or goes: with the hashes of its photos."""
    return {**product_snapshot(product), "photos": [photo.sha256 for photo in product.photos]}


def latest(session: Session, actions: Sequence[str], subject: str | None = None) -> AuditEntry | None:
    """The last entry of one of these actions, about this subject if one is given."""
    query = select(AuditEntry).where(AuditEntry.action.in_(actions)).order_by(AuditEntry.id.desc()).limit(1)
    return session.scalar(query if subject is None else query.where(AuditEntry.subject == subject))


def entries(
    database: Database, search: str = "", *, actions: Sequence[str] = (), before: int | None = None, limit: int = 50
) -> LogPage:
    """At most `limit` entries below the id `before`; `search` finds text in actor, action and subject, and also those
    of `actions`.
    """
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit + 1)
    if text := "".join(filter(plain, search)).strip():
        columns = (AuditEntry.actor, AuditEntry.action, AuditEntry.subject)
        found_in = (column.icontains(text, autoescape=True) for column in columns)
        query = query.where(or_(*found_in, AuditEntry.action.in_(actions)))
    if before is not None:
        query = query.where(AuditEntry.id < max(min(before, MOST), 0))
    with database.read() as session:
        found = list(session.scalars(query))
    return LogPage(found[:limit], found[limit - 1].id if len(found) > limit else None)
