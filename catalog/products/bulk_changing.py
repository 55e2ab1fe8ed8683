"""Change many products at once: one transaction, one entry in the audit log, and undone as one."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from catalog import enrollment
from catalog.catalog import Catalog
from catalog.enrollment import photo_rows
from catalog.errors import ConflictError, InvalidInputError, NotFoundError
from catalog.normalization import MOST, check_sku, checked_text, search_text
from catalog.products.facts import LIMITS, MAX_LABELS, check_labels
from catalog.products.filtering import Filter, matching
from catalog.storage import Database, audit_log
from catalog.storage.tables import AuditEntry, Label, Photo, Product, now

#: Rows of one statement.
BLOCK = 500
#: Photos of restored products that are searchable when the change returns; the outbox enrolls the others.
AT_ONCE = 64
CHANGE, UNDO = "products.change", "products.undo"
#: Actions in the audit log that can be undone here. Their subject is no SKU.
ACTIONS = (CHANGE, UNDO)
#: Which products: those of a filter, or these SKUs.
Chosen = Filter | Sequence[str]


@dataclass(frozen=True)
class BulkChange:
    """What many products are given; None: stays as it is. `active`: retired (False) or restored."""

    add_labels: tuple[str, ...] = ()
    remove_labels: tuple[str, ...] = ()
    category: str | None = None
    brand: str | None = None
    active: bool | None = None


@dataclass(frozen=True)
class BulkResult:
    """How many products were changed, and the entry of the audit log that says so (None: none was).

    `left`: SKUs that an undo left as they are, since somebody has changed them since.
    """

    changed: int
    entry: int | None
    left: list[str] = field(default_factory=list)


class _State(NamedTuple):
    """A product as it is; `values`: what can be changed here."""

    id: uuid.UUID
    name: str
    values: dict[str, Any]


def change_many(catalog: Catalog, chosen: Chosen, change: BulkChange, *, actor: str) -> BulkResult:
    """Change all these products in one transaction, or none. What is retired is missing from the next answer.

    SKUs that no product has are passed over. Raises InvalidInputError, or ConflictError when a product would have too
    many labels.
    """
    change = _checked(change)
    with catalog.database.write() as session:
        states = _lock(session, _skus(session, chosen))
        wanted = {sku: _changed(state.values, change) for sku, state in states.items()}
        result, restored = _apply(session, states, wanted, CHANGE, actor)
    enrollment.catch_up(catalog, restored[:AT_ONCE])
    return result


def undo(catalog: Catalog, entry_id: int, *, actor: str) -> BulkResult:
    """Undo a change of many products; products that somebody has changed since are left as they are, and named.

    An undo can be undone, too. Raises NotFoundError for another entry, or ConflictError if it was undone already.
    """
    with catalog.database.write() as session:
        entry = _bulk_entry(session, entry_id, lock=True)  # so that of two undos at once the second one finds the first
        if entry is None:
            raise NotFoundError("There is no such change of several products.")
        mark = f", undoing {entry_id}"
        done = select(AuditEntry.id).where(AuditEntry.action == UNDO, AuditEntry.subject.endswith(mark))
        if session.scalar(done.limit(1)) is not None:
            raise ConflictError("This was undone already.")
        before, after = ((part or {}).get("products", {}) for part in (entry.before, entry.after))
        states = _lock(session, list(after))
        wanted, left = {}, []
        for sku, given in after.items():
            state = states.get(sku)
            if state is None or any(state.values[name] != value for name, value in given.items()):
                left.append(sku)
            else:
                wanted[sku] = state.values | before[sku]
        result, restored = _apply(session, states, wanted, UNDO, actor, mark=mark, left=sorted(left))
    enrollment.catch_up(catalog, restored[:AT_ONCE])
    return result


def bulk_entry(database: Database, entry_id: int) -> AuditEntry | None:
    """The entry of the audit log of a change of many products; None if it is none."""
    with database.read() as session:
        return _bulk_entry(session, entry_id)


def chosen_skus(database: Database, chosen: Chosen) -> list[str]:
    """The SKUs of the products of a filter, or those given that products have; sorted."""
    with database.read() as session:
        return sorted(sku for _, sku in _ids(session, _skus(session, chosen)))


def _bulk_entry(session: Session, entry_id: int, *, lock: bool = False) -> AuditEntry | None:
    entry = session.get(AuditEntry, entry_id, with_for_update=lock) if 0 < entry_id <= MOST else None
    return entry if entry is not None and entry.action in ACTIONS else None


def _checked(change: BulkChange) -> BulkChange:
    """The change in its stored form. Raises InvalidInputError, also when it is none."""
    texts = {
        name: None if given is None else checked_text(name, given, LIMITS[name])
        for name, given in (("category", change.category), ("brand", change.brand))
    }
    add, remove = check_labels(change.add_labels), check_labels(change.remove_labels)
    if both := set(add) & set(remove):
        raise InvalidInputError("label", f"The label {min(both)!r} can't be added and removed at once.")
    checked = BulkChange(add, remove, **texts, active=change.active)
    if checked == BulkChange():
        raise InvalidInputError("change", "Say what to change.")
    return checked


def _changed(values: Mapping[str, Any], change: BulkChange) -> dict[str, Any]:
    labels = (set(values["labels"]) | set(change.add_labels)) - set(change.remove_labels)
    given = {"category": change.category, "brand": change.brand, "active": change.active}
    return {**values, "labels": sorted(labels), **{name: one for name, one in given.items() if one is not None}}


def _skus(session: Session, chosen: Chosen) -> list[str]:
    if not isinstance(chosen, Filter):
        return _stored(chosen)
    found = matching(session, chosen)
    return found.skus if found.skus is not None else list(session.scalars(select(Product.sku).where(found.condition)))


def _stored(given: Iterable[str]) -> list[str]:
    """SKUs in their stored form, each once; what can be none is passed over."""
    skus: dict[str, None] = {}
    for sku in given:
        with suppress(InvalidInputError):
            skus[check_sku(sku)] = None
    return list(skus)


def _ids(session: Session, skus: Sequence[str]) -> list[tuple[uuid.UUID, str]]:
    found: list[tuple[uuid.UUID, str]] = []
    for block in _blocks(skus):
        found += session.execute(select(Product.id, Product.sku).where(Product.sku.in_(block)))
    return found


def _lock(session: Session, skus: Sequence[str]) -> dict[str, _State]:
    """The products by SKU, their rows locked in one order, so that no two changes deadlock."""
    states: dict[str, _State] = {}
    for block in _blocks(sorted(identity for identity, _ in _ids(session, skus))):
        labels: dict[uuid.UUID, list[str]] = {}
        query = select(Product.id, Product.sku, Product.name, Product.brand, Product.category, Product.active)
        rows = session.execute(query.where(Product.id.in_(block)).order_by(Product.id).with_for_update()).all()
        for identity, name in session.execute(
            select(Label.product_id, Label.name).where(Label.product_id.in_(block)).order_by(Label.name)
        ):
            labels.setdefault(identity, []).append(name)
        for row in rows:
            values = {"brand": row.brand, "category": row.category, "active": row.active}
            states[row.sku] = _State(row.id, row.name, {**values, "labels": sorted(labels.get(row.id, []))})
    return states


def _apply(
    session: Session,
    states: Mapping[str, _State],
    wanted: Mapping[str, Mapping[str, Any]],
    action: str,
    actor: str,
    *,
    mark: str = "",
    left: Sequence[str] = (),
) -> tuple[BulkResult, list[uuid.UUID]]:
    """Write what is wanted of each SKU -> the result, and the photos of products that are active again."""
    before: dict[str, dict[str, Any]] = {}
    after: dict[str, dict[str, Any]] = {}
    for sku, values in wanted.items():
        had = states[sku].values
        if differing := [name for name in had if had[name] != values[name]]:
            if len(values["labels"]) > MAX_LABELS:
                raise ConflictError(
                    f"{sku} would have {len(values['labels'])} labels; at most {MAX_LABELS} are possible."
                )
            before[sku] = {name: had[name] for name in differing}
            after[sku] = {name: values[name] for name in differing}
    if not after:
        return BulkResult(0, None, list(left)), []
    _write_rows(session, states, wanted, list(after))
    _write_labels(session, states, before, after)
    moved = {
        active: [states[sku].id for sku, values in after.items() if values.get("active") is active]
        for active in (True, False)
    }
    photo_rows.enqueue_removals_of(session, moved[False], _photos(session, moved[False]))
    restored = _photos(session, moved[True])
    photo_rows.enqueue_enrollments_of(session, moved[True], restored)
    subject = f"{len(after)} product{'' if len(after) == 1 else 's'}{mark}"
    told = {"products": after} | ({"left": list(left)} if left else {})
    entry = audit_log.record(session, actor, action, subject, {"products": before}, told)
    session.flush()
    return BulkResult(len(after), entry.id, list(left)), restored


def _write_rows(
    session: Session, states: Mapping[str, _State], wanted: Mapping[str, Mapping[str, Any]], skus: Sequence[str]
) -> None:
    columns = ("brand", "category", "active", "search")
    rows = [
        {
            "of": states[sku].id,
            **{f"new_{name}": wanted[sku][name] for name in columns[:3]},
            "new_search": search_text(sku, states[sku].name, wanted[sku]["brand"], wanted[sku]["category"]),
        }
        for sku in skus
    ]
    filled: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    filled |= {"version": Product.version + 1, "updated_at": now()}
    mine = Product.id == bindparam("of")
    for block in _blocks(rows):
        session.connection().execute(update(Product).where(mine).values(filled), block)


def _write_labels(
    session: Session,
    states: Mapping[str, _State],
    before: Mapping[str, Mapping[str, Any]],
    after: Mapping[str, Mapping[str, Any]],
) -> None:
    gone, added = (
        [
            {"of": states[sku].id, "called": name}
            for sku, values in first.items()
            if "labels" in values
            for name in sorted(set(values["labels"]) - set(second[sku]["labels"]))
        ]
        for first, second in ((before, after), (after, before))
    )
    connection = session.connection()
    for block in _blocks(gone):
        mine = (Label.product_id == bindparam("of")) & (Label.name == bindparam("called"))
        connection.execute(delete(Label).where(mine), block)
    for block in _blocks(added):
        connection.execute(insert(Label), [{"product_id": one["of"], "name": one["called"]} for one in block])


def _photos(session: Session, product_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    found: list[uuid.UUID] = []
    for block in _blocks(product_ids):
        found += session.scalars(select(Photo.id).where(Photo.product_id.in_(block)))
    return found


def _blocks(rows: Sequence[Any]) -> list[Sequence[Any]]:
    return [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
