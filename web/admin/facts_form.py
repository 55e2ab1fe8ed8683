"""The form of a product's facts: what it shows, what was typed into it, and what somebody else saved meanwhile."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from flask import request

from catalog import products
from catalog.errors import CatalogError, ConflictError, InvalidInputError
from catalog.storage.tables import Product

#: Empty rows for more attributes.
MORE = 2


@dataclass(frozen=True)
class FactsForm:
    """`labels` are ticked, `new_labels` is the field for more; `rows`: name and value of attributes, as typed.

    `was`: the product as the form first showed it, in `version`. `error` says why nothing was saved, and `conflicts`
    what was changed by others since then.
    """

    name: str
    brand: str
    category: str
    variant_group: str
    labels: tuple[str, ...]
    new_labels: str
    rows: tuple[tuple[str, str], ...]
    was: products.Facts
    version: int
    error: CatalogError | None = None
    conflicts: tuple[products.conflicts.Conflict, ...] = ()

    @property
    def offered(self) -> list[str]:
        """The labels to tick: those that are ticked, and those that the product had."""
        return sorted({*self.labels, *(self.was.labels or ())})

    @property
    def carried(self) -> str:
        """What the form carries of `was`."""
        return json.dumps(products.conflicts.as_dict(self.was))

    @property
    def wrong(self) -> str:
        """The field that the error is about, "" for none."""
        return self.error.field if isinstance(self.error, InvalidInputError) else ""

    def facts(self) -> products.Facts:
        """What was typed. Raises InvalidInputError for two attributes of one name."""
        attributes: dict[str, str] = {}
        for key, value in self.rows:
            if key in attributes:
                raise InvalidInputError("attributes", f"There are two attributes {key!r}.")
            attributes[key] = value
        more = (name for text in re.split(r"[,\r\n]", self.new_labels) if (name := text.strip()))
        labels = tuple(dict.fromkeys((*self.labels, *more)))
        texts = (self.name, self.brand, self.category)
        return products.Facts(self.was.sku, *texts, (), self.variant_group, labels, attributes)


def of_product(product: Product) -> FactsForm:
    """The form, as it first shows a product."""
    return _showing(products.conflicts.facts_of(product), products.conflicts.facts_of(product), product.version)


def typed(sku: str) -> FactsForm:
    """The form as it was sent. One that does not say what it showed is of no version: it is shown again, to compare."""
    form = request.form
    try:
        carried = json.loads(form.get("was", ""))
    except (ValueError, RecursionError):
        carried = None
    pairs = zip(form.getlist("attribute"), form.getlist("value"), strict=False)
    return FactsForm(
        form.get("name", ""),
        form.get("brand", ""),
        form.get("category", ""),
        form.get("variant_group", ""),
        tuple(form.getlist("label")),
        form.get("new_labels", ""),
        tuple((key.strip(), value) for key, value in pairs if key.strip() or value.strip()),
        products.conflicts.from_dict(sku, carried if isinstance(carried, dict) else {}),
        form.get("version", 0, type=int) if carried is not None else 0,
    )


def refused(form: FactsForm, product: Product, error: CatalogError) -> FactsForm:
    """The form to show again, nothing typed lost: beside what was typed, what others saved meanwhile."""
    if not isinstance(error, ConflictError):
        return replace(form, error=error)
    theirs = products.conflicts.facts_of(product)
    merged, changed = products.conflicts.merge_facts(form.was, theirs, form.facts())
    return replace(_showing(merged, theirs, product.version), error=error, conflicts=tuple(changed))


def _showing(facts: products.Facts, was: products.Facts, version: int) -> FactsForm:
    rows = tuple((facts.attributes or {}).items())
    texts = (facts.name, facts.brand, facts.category, facts.variant_group or "")
    return FactsForm(*texts, facts.labels or (), "", rows, was, version)
