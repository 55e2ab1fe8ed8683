"""The history of one product, from the audit log; and changes of it that are reverted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, and_, cast, or_, select
from sqlalchemy.orm import Session

from catalog import enrollment
from catalog.catalog import Catalog
from catalog.errors import ConflictError, NotFoundError
from catalog.normalization import no_product, normalized_sku
from catalog.products import barcode_owners, bulk_changing, merging
from catalog.products.changing import switch_active
from catalog.products.facts import TEXTS, Facts, check_facts, describe
from catalog.storage import Database, audit_log
from catalog.storage.product_rows import lock_product
from catalog.storage.tables import AuditEntry, Product

#: Facts that are sets: a change of one is what it added and what it removed.
SETS = ("barcodes", "labels")
#: What these did can be reverted; a revert is a change like any other.
REVERTIBLE = ("product.change", "product.label", "product.revert", "product.rename", "barcode.add", "barcode.remove")
#: Actions about products. Others have subjects that may read like a SKU.
KINDS = (*bulk_changing.ACTIONS, "product.", "photo.", "photos.", "barcode.")
#: Entries of the log that are read at once.
PAGE = 200


@dataclass(frozen=True)
class Difference:
    """One fact before and after a change; "" for one that was not there. `key`: the name of an attribute."""

    field: str
    before: str
    after: str
    key: str = ""


@dataclass(frozen=True)
class Change:
    """An entry of the audit log about a product. `photos`: SHA-256 of those that it is about, the old one first.

    `other`: SKU of another product that has to do with it. `revertible`: `revert` may undo it.
    """

    id: int
    at: datetime
    actor: str
    action: str
    differences: tuple[Difference, ...]
    photos: tuple[str, ...] = ()
    other: str = ""
    revertible: bool = False


@dataclass(frozen=True)
class History:
    """Changes of the product `sku`, called `name`, the newest first.

    `older`: the id to go on `before` (None at the end).
    """

    sku: str
    name: str
    changes: list[Change]
    older: int | None


def list_changes(database: Database, sku: str, *, before: int | None = None, limit: int = 30) -> History:
    """The history of a product, through its renames. Raises NotFoundError."""
    changes: list[Change] = []
    with database.read() as session:
        product = _product(session, sku)
        for entry in _entries(session, product.sku):
            if before is not None and entry.id >= before:
                continue
            if len(changes) == limit:
                return History(product.sku, product.name, changes, changes[-1].id)
            changes.append(_change(entry))
    return History(product.sku, product.name, changes, None)


def _product(session: Session, sku: str) -> Row[str, str]:
    """SKU and name of a product. Raises NotFoundError."""
    found = session.execute(select(Product.sku, Product.name).where(Product.sku == normalized_sku(sku))).one_or_none()
    if found is None:
        raise no_product(sku)
    return found


def revert(catalog: Catalog, sku: str, change: int, *, actor: str) -> str:
    """Revert a change of facts, labels, barcodes or SKU; returns the SKU that the product has then.

    Of labels, barcodes and attributes, those that the change added go, and those that it removed come back; later ones
    stay. A change that retired or restored the product besides is reverted whole. Raises NotFoundError, ConflictError
    for a change that can't be reverted, or that was itself changed since; SkuExistsError, SkuAlikeError or
    BarcodeTakenError when another product has got what this one had.
    """
    with catalog.database.read() as session:
        now_is = _product(session, sku).sku
        entry = _entry_of(session, now_is, change)
    if entry.action == "product.rename":
        was, became = (entry.before or {})["sku"], (entry.after or {})["sku"]
        if became != now_is:
            raise _changed("SKU")
        merging.rename(catalog, sku, was, actor=actor)
        return str(was)
    with catalog.database.write() as session:
        product = lock_product(session, sku)
        before = audit_log.product_snapshot(product)
        differences = _differences(entry)
        _set_back(session, product, differences)
        active = next((told.before == _shown(True) for told in differences if told.field == "active"), product.active)
        switched = switch_active(session, product, active) if active != product.active else None
        after = audit_log.product_snapshot(product)
        if after == before:
            raise ConflictError("Nothing to revert: the product is as it was before that change.")
        audit_log.record(session, actor, "product.revert", product.sku, before, after)
        sku = product.sku
    if switched is not None:
        enrollment.catch_up(catalog, switched if active else [])
    return sku


def _set_back(session: Session, product: Product, differences: tuple[Difference, ...]) -> None:
    attributes = dict(product.attributes)
    sets = {name: set(audit_log.product_snapshot(product)[name]) for name in SETS}
    texts = {name: getattr(product, name) for name in TEXTS}
    for changed in differences:
        if changed.field in TEXTS:
            if texts[changed.field] != changed.after:
                raise _changed(changed.field.replace("_", " "))
            texts[changed.field] = changed.before
        elif changed.field == "attributes":
            if str(attributes.get(changed.key, "")) != changed.after:
                raise _changed(changed.key)
            attributes[changed.key] = changed.before  # an empty one goes
        elif changed.field in SETS:
            sets[changed.field] -= {changed.after}
            sets[changed.field] |= {changed.before} - {""}
    facts = Facts(product.sku, **texts, labels=tuple(sets["labels"]), attributes=attributes)
    describe(product, check_facts(facts))
    product.barcodes = [barcode for barcode in product.barcodes if barcode.gtin in sets["barcodes"]]
    session.flush()
    barcode_owners.claim(session, product, sorted(sets["barcodes"]))


def _changed(what: str) -> ConflictError:
    return ConflictError(f"The {what} was changed again since then: revert that change first.")


def _entry_of(session: Session, sku: str, change: int) -> AuditEntry:
    """The entry of this id, if it is of the product's history and can be reverted."""
    for entry in _entries(session, sku):
        if entry.id == change:
            if entry.action not in REVERTIBLE:
                raise ConflictError("Such a change can't be reverted here.")
            return entry
    raise NotFoundError("This change is not in the history of the product.")


def _entries(session: Session, sku: str) -> Iterator[AuditEntry]:
    """The log's entries about a product, the newest first, under all SKUs that it had.

    An earlier product of the same SKU has a history of its own.
    """
    before: int | None = None
    # As it came out of the bin: until it went there, another product may have had the SKU.
    deleted: Mapping[str, Any] | None = None
    while True:
        named = cast(AuditEntry.after, Text).contains(json.dumps(sku), autoescape=True)
        query = select(AuditEntry).where(
            or_(AuditEntry.subject == sku, and_(AuditEntry.action.in_(bulk_changing.ACTIONS), named))
        )
        query = query if before is None else query.where(AuditEntry.id < before)
        page = session.scalars(query.order_by(AuditEntry.id.desc()).limit(PAGE)).all()
        for entry in page:
            before = entry.id
            if not entry.action.startswith(KINDS):
                continue  # about a person, a key or a model of this name
            if entry.action in bulk_changing.ACTIONS:
                if deleted is None and (own := _of_one(entry, sku)) is not None:
                    yield own
                continue
            if deleted is not None:
                if entry.action != "product.delete" or entry.before != deleted:
                    continue
                deleted = None
            elif entry.action == "product.undelete":
                deleted = entry.after
            elif entry.action == "product.purge":
                return
            yield entry
            if entry.action == "product.create":
                return
            if entry.action == "product.rename" and entry.before:
                sku = entry.before["sku"]
                break
        else:
            if len(page) < PAGE:
                return


def _of_one(entry: AuditEntry, sku: str) -> AuditEntry | None:
    """What a change of many products did to this one, as an entry of its own; None if it did nothing."""
    before, after = ((side or {}).get("products", {}).get(sku) for side in (entry.before, entry.after))
    if before is None or after is None:
        return None
    told = {"id": entry.id, "at": entry.at, "actor": entry.actor, "action": entry.action}
    return AuditEntry(**told, subject=sku, before=before, after=after)


def change_of(entry: AuditEntry) -> Change | None:
    """What an entry of the log says of one product; None for one of another kind, or of many products."""
    told = entry.action.startswith(KINDS) and entry.action not in bulk_changing.ACTIONS
    return _change(entry) if told else None


def _change(entry: AuditEntry) -> Change:
    before, after = entry.before or {}, entry.after or {}
    change = Change(entry.id, entry.at, entry.actor, entry.action, _differences(entry))
    if entry.action == "product.merge":
        change = replace(change, other=str(before.get("merged", {}).get("sku", "")))
    if entry.action == "product.differ":
        change = replace(change, other=str(after.get("differs_from", "")))
    if entry.action.startswith("photo."):
        named = [str(side["photo"]) for side in (before, after) if "photo" in side]
        other = str(after.get("sku", "")) if entry.action == "photo.move" else ""
        change = replace(change, photos=(*named, *after.get("restored", ())), other=other)
    return replace(change, revertible=entry.action in REVERTIBLE and bool(change.differences))


def _differences(entry: AuditEntry) -> tuple[Difference, ...]:
    """The facts that an entry changed. Of one that has no before or no after, none: all came or went."""
    before, after = entry.before, entry.after
    if not before or not after or entry.action.startswith("photo."):
        return ()
    return tuple(compared(before, after))


def compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    """The facts that differ in two snapshots of a product, or in parts of them."""
    for field in ("sku", *TEXTS):
        if before.get(field, "") != after.get(field, ""):
            yield Difference(field, str(before.get(field, "")), str(after.get(field, "")))
    had, has = before.get("attributes") or {}, after.get("attributes") or {}
    for key in sorted({*had, *has}):
        if had.get(key, "") != has.get(key, ""):
            yield Difference("attributes", str(had.get(key, "")), str(has.get(key, "")), key)
    for field in SETS:
        was, now_is = set(before.get(field) or ()), set(after.get(field) or ())
        yield from (Difference(field, name, "") for name in sorted(was - now_is))
        yield from (Difference(field, "", name) for name in sorted(now_is - was))
    if before.get("active") != after.get("active"):
        yield Difference("active", _shown(before.get("active")), _shown(after.get("active")))
    if _count(before) != _count(after):
        yield Difference("photos", _count(before), _count(after))


def _shown(active: object) -> str:
    return "in the catalog" if active else "retired"


def _count(side: Mapping[str, Any]) -> str:
    """How many photos a snapshot tells; "" where it tells nothing of them."""
    photos = side.get("photos", "")
    return str(len(photos) if isinstance(photos, list) else photos)
