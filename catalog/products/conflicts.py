"""Two people change the facts of one product: what each of them did, beside what was before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from catalog.normalization import plain
from catalog.products.facts import TEXTS, Facts
from catalog.storage.tables import Product


@dataclass(frozen=True)
class Conflict:
    """A fact that somebody else changed in the meantime: to `theirs`, where one's own text is `yours`.

    `key`: the name of an attribute. "" for what is not there.
    """

    field: str
    was: str
    theirs: str
    yours: str
    key: str = ""

    @property
    def is_yours_too(self) -> bool:
        """Whether both changed it, and differently: only a person can decide."""
        return self.yours not in (self.was, self.theirs)


def facts_of(product: Product) -> Facts:
    """The facts of a product, as a person sees them before changing them; without barcodes."""
    return Facts(
        product.sku,
        product.name,
        product.brand,
        product.category,
        (),
        product.variant_group,
        tuple(label.name for label in product.labels),
        {key: str(value) for key, value in product.attributes.items()},
    )


def merge_facts(was: Facts, theirs: Facts, yours: Facts) -> tuple[Facts, list[Conflict]]:
    """What a person means to save (`yours`, on top of `was`), with what is saved by now (`theirs`).

    Returns the facts to go on with: yours, but theirs where only they changed one; and all that they changed. Labels
    are merged one by one.
    """
    texts = {field: Conflict(field, *_three(field, was, theirs, yours)) for field in TEXTS}
    before, theirs_now, typed = (dict(side.attributes or {}) for side in (was, theirs, yours))
    values = [
        Conflict("attributes", before.get(key, ""), theirs_now.get(key, ""), typed.get(key, ""), key)
        for key in sorted({*before, *theirs_now, *typed})
    ]
    had, has, wants = (set(side.labels or ()) for side in (was, theirs, yours))
    labels = [
        Conflict("labels", *[name if name in side else "" for side in (had, has, wants)]) for name in sorted(had ^ has)
    ]
    merged = Facts(
        yours.sku,
        _merged(texts["name"]),
        _merged(texts["brand"]),
        _merged(texts["category"]),
        yours.barcodes,
        _merged(texts["variant_group"]),
        tuple(sorted(has - (had - wants) | (wants - had))),
        {each.key: value for each in values if (value := _merged(each))},
    )
    return merged, [each for each in (*texts.values(), *values) if each.theirs != each.was] + labels


def _three(field: str, *sides: Facts) -> Iterator[str]:
    return (getattr(side, field) or "" for side in sides)


def _merged(each: Conflict) -> str:
    return each.theirs if each.yours == each.was else each.yours


def as_dict(facts: Facts) -> dict[str, object]:
    """What a form carries of the facts that it showed, for JSON."""
    texts = {field: getattr(facts, field) or "" for field in TEXTS}
    return {**texts, "labels": list(facts.labels or ()), "attributes": dict(facts.attributes or {})}


def from_dict(sku: str, carried: Mapping[str, object]) -> Facts:
    """The facts that a form showed. Whatever it carries is taken as text: it is compared, and never saved."""
    labels, attributes = carried.get("labels"), carried.get("attributes")
    name, brand, category, variant_group = (_text(carried.get(field, "")) for field in TEXTS)
    return Facts(
        sku,
        name,
        brand,
        category,
        (),
        variant_group,
        tuple(map(_text, labels)) if isinstance(labels, list) else (),
        {_text(key): _text(value) for key, value in attributes.items()} if isinstance(attributes, dict) else {},
    )


def _text(carried: object) -> str:
    return "".join(filter(plain, str(carried)))
