"""Facts of a product as a person enters them, validated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from catalog.errors import Faults, InvalidInputError
from catalog.normalization import check_sku, checked_text, name_key, search_text
from catalog.products import barcode_owners
from catalog.storage.tables import Label, Product, now

#: Maximum lengths in characters, in the order of the form.
LIMITS = {"name": 200, "brand": 100, "category": 100, "variant_group": 100}
#: Facts that have one value each, in the order of the form.
TEXTS = tuple(LIMITS)
#: What stands before the name of an attribute where it is a column among other facts.
ATTRIBUTE = "attribute:"
MAX_LABELS, LABEL_LENGTH = 50, 64
MAX_ATTRIBUTES, KEY_LENGTH, VALUE_LENGTH = 50, 50, 500


@dataclass(frozen=True)
class Facts:
    """Facts of a product as a person enters them. `barcodes`: GTINs of 8, 12, 13 or 14 digits.

    `variant_group` joins products that differ in size or flavor alone; `labels` are the sets that it belongs to ("store
    12"), to which recognition can be limited; `attributes` is any other data. None: not given; an existing product
    then keeps what it has.
    """

    sku: str
    name: str = ""
    brand: str = ""
    category: str = ""
    barcodes: tuple[str, ...] = ()
    variant_group: str | None = None
    labels: tuple[str, ...] | None = None
    attributes: Mapping[str, str] | None = None


def check_facts(facts: Facts) -> Facts:
    """The facts in their stored form: NFC, stripped, the name defaulting to the SKU. Raises InvalidInputError."""
    given = given_facts(facts)
    return replace(given, name=given.name or given.sku)


def given_facts(facts: Facts) -> Facts:
    """The facts in their stored form, and a name that is not given stays empty.

    Raises InvalidFieldsError, which names all facts at fault.
    """
    faults = Faults()
    given: dict[str, Any] = {}
    with faults.collected():
        given["sku"] = check_sku(facts.sku)
    for key, limit in LIMITS.items():
        with faults.collected():
            given[key] = checked_text(key, getattr(facts, key) or "", limit)
    with faults.collected():
        given["barcodes"] = barcode_owners.checked(facts.barcodes)
    if facts.labels is not None:
        with faults.collected():
            given["labels"] = check_labels(facts.labels)
    if facts.attributes is not None:
        with faults.collected():
            given["attributes"] = _check_attributes(facts.attributes)
    faults.raise_any()
    return Facts(**{**given, "variant_group": None if facts.variant_group is None else given["variant_group"]})


def check_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Validated labels, sorted, without duplicates or empty ones. Raises InvalidInputError, of all at fault."""
    faults, found = Faults(), set()
    for index, label in enumerate(labels):
        with faults.collected(index):
            name = checked_text("label", label, LABEL_LENGTH)
            if "|" in name or ";" in name:
                raise InvalidInputError("label", "A label holds neither | nor ;, which stand between labels in a list.")
            found.add(name)
    faults.raise_any()
    names = tuple(sorted(found - {""}))
    if len(names) > MAX_LABELS:
        raise InvalidInputError("label", f"{len(names)} labels at once; at most {MAX_LABELS} are possible.")
    return names


def _check_attributes(attributes: Mapping[str, Any]) -> dict[str, str]:
    if len(attributes) > MAX_ATTRIBUTES:
        raise InvalidInputError("attributes", f"{len(attributes)} attributes; at most {MAX_ATTRIBUTES} are possible.")
    faults, checked = Faults(), {}
    for index, (key, value) in enumerate(attributes.items()):
        with faults.collected(index):
            name = checked_text("attributes", str(key), KEY_LENGTH)
            if not name:
                raise InvalidInputError("attributes", "An attribute has no name.")
            checked[name] = checked_text("attributes", str(value), VALUE_LENGTH)
    faults.raise_any()
    return {key: value for key, value in sorted(checked.items()) if value}


def describe(product: Product, facts: Facts) -> None:
    """Write validated facts to a product, except barcodes, in the caller's transaction."""
    product.name, product.brand, product.category = facts.name, facts.brand, facts.category
    describe_anew(product)
    if facts.variant_group is not None:
        product.variant_group = facts.variant_group
    if facts.attributes is not None:
        product.attributes = dict(facts.attributes)
    if facts.labels is not None:
        replace_labels(product, facts.labels)


def describe_anew(product: Product) -> None:
    """Write what follows from a product's facts: what the list searches and sorts by."""
    product.search = search_text(product.sku, product.name, product.brand, product.category)
    product.name_key = name_key(product.name)


def replace_labels(product: Product, names: Iterable[str]) -> None:
    """Replace the labels of a product by exactly these, in the caller's transaction."""
    wanted, had = set(names), {label.name for label in product.labels}
    if wanted != had:
        product.labels = [label for label in product.labels if label.name in wanted]
        product.labels += [Label(name=name) for name in sorted(wanted - had)]
        product.updated_at = now()  # so that the version counts labels, too
