"""Amend a product by what a list says of it: what the list does not give stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from catalog import enrollment
from catalog.catalog import Catalog
from catalog.products import barcode_owners
from catalog.products.changing import action_of, switch_active
from catalog.products.facts import ATTRIBUTE, TEXTS, Facts, check_facts, describe, given_facts
from catalog.storage import audit_log
from catalog.storage.product_rows import lock_product
from embedder.barcodes import gtin

_YES = {True: "yes", False: "no"}


@dataclass(frozen=True)
class FactChange:
    """A fact of a product that a list gives otherwise, in the words of the list. `field` is the list's column."""

    field: str
    old: str
    new: str

    def __str__(self) -> str:
        if self.field == "barcode":
            return f"barcode: +{self.new}"
        return f"{self.field.replace('_', ' ')}: {self.old or '(empty)'} -> {self.new}"


def differences(before: Mapping[str, Any], given: Facts, active: bool | None) -> tuple[FactChange, ...]:
    """How a product (its snapshot, see audit_log) differs from what a list gives, in stored form (`given_facts`).

    Empty facts, and None, are not given. Labels are replaced; attributes and barcodes that the list does not name stay.
    """
    found = [
        FactChange(name, before[name], value)
        for name in TEXTS
        if (value := getattr(given, name) or "") and value != before[name]
    ]
    if given.labels is not None and list(given.labels) != before["labels"]:
        found.append(FactChange("labels", "|".join(before["labels"]), "|".join(given.labels)))
    for name, value in (given.attributes or {}).items():
        if (old := str(before["attributes"].get(name, ""))) != value:
            found.append(FactChange(ATTRIBUTE + name, old, value))
    if new := [gtin.printed_gtin(number) for number in given.barcodes if number not in before["barcodes"]]:
        found.append(FactChange("barcode", "", " ".join(new)))
    if active is not None and active != before["active"]:
        found.append(FactChange("active", _YES[not active], _YES[active]))
    return tuple(found)


def amend(catalog: Catalog, facts: Facts, *, active: bool | None, actor: str) -> tuple[FactChange, ...]:
    """Change a product to what a list gives, in one transaction with one audit entry; returns what has changed.

    `active`: retire or restore it; None: leave it. Raises InvalidInputError, NotFoundError or BarcodeTakenError.
    """
    given = given_facts(facts)
    with catalog.database.write() as session:
        product = lock_product(session, given.sku)
        before = audit_log.product_snapshot(product)
        changes = differences(before, given, active)
        if not changes:
            return ()
        texts = {name: getattr(given, name) or before[name] for name in TEXTS}
        attributes = None if given.attributes is None else {**before["attributes"], **given.attributes}
        describe(product, check_facts(replace(given, **texts, attributes=attributes)))
        barcode_owners.claim(session, product, given.barcodes)
        photos = []
        if active is not None and active != before["active"]:
            photos = switch_active(session, product, active)
        session.flush()
        after = audit_log.product_snapshot(product)
        audit_log.record(session, actor, action_of(before, after), product.sku, before, after)
    if active is not None and active != before["active"]:
        enrollment.catch_up(catalog, photos if active else [])
    return changes
