"""Two products side by side, of which a person says that they are one: what differs, which value stays, the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from catalog.catalog import Catalog
from catalog.errors import InvalidInputError
from catalog.products import changing, merging
from catalog.products.facts import ATTRIBUTE, TEXTS, Facts
from catalog.products.merging import Taken
from catalog.storage import Database
from catalog.storage.tables import Product

Side = Literal["one", "other"]


@dataclass(frozen=True)
class Field:
    """A value of both products ("" where one has none), and whose stays. The name of an attribute's is its key.

    `key`: the name of the form's field, ATTRIBUTE before that of an attribute.
    """

    key: str
    name: str
    one: str
    other: str
    kept: Side

    @property
    def differs(self) -> bool:
        """Whether there is something to choose."""
        return self.one != self.other


@dataclass(frozen=True)
class SideBySide:
    """Two products, what of each stays by the choices, and the product that they become.

    `photos` (SHA-256) and `barcodes` (14 digits) are those of both, each once. `facts.sku` is the SKU that stays.
    """

    one: Product
    other: Product
    fields: tuple[Field, ...]
    facts: Facts
    photos: tuple[str, ...]
    barcodes: tuple[str, ...]

    @property
    def kept(self) -> Product:
        """The product that stays, whose SKU was chosen."""
        return self.one if self.facts.sku == self.one.sku else self.other

    @property
    def merged(self) -> Product:
        """The product that is merged into it."""
        return self.other if self.kept is self.one else self.one


def compare(database: Database, sku: str, other: str, chosen: Mapping[str, str] | None = None) -> SideBySide:
    """Two products and what they become by what was `chosen`: "one" or "other" by a field's key.

    What was not chosen is the fuller value. Raises NotFoundError, InvalidInputError when both are one product, or
    ConflictError when they can't be one.
    """
    one, two = changing.get(database, sku), changing.get(database, other)
    if one.id == two.id:
        raise InvalidInputError("sku", f"Both are the product {one.sku!r}.")
    fields = tuple(_fields(one, two, chosen or {}))
    kept, merged = (one, two) if fields[0].kept == "one" else (two, one)
    facts = merging.merged_facts(merged, kept, _taken(fields))
    both = (kept, merged)
    photos = dict.fromkeys(photo.sha256 for product in both for photo in product.photos)
    barcodes = sorted(barcode.gtin for product in both for barcode in product.barcodes)
    return SideBySide(one, two, fields, facts, tuple(photos), tuple(barcodes))


def merge_chosen(
    catalog: Catalog, sku: str, other: str, chosen: Mapping[str, str], versions: tuple[int, int], *, actor: str
) -> str:
    """Merge two products as `compare` shows it, and return the SKU that stays.

    `versions`: those of `sku` and `other` that the person saw. Raises like `compare` and `merging.merge`.
    """
    seen = compare(catalog.database, sku, other, chosen)
    of_merged, of_kept = versions if seen.merged is seen.one else reversed(versions)
    kept = seen.kept.sku
    merging.merge(catalog, seen.merged.sku, kept, taken=_taken(seen.fields), versions=(of_merged, of_kept), actor=actor)
    return kept


def _fields(one: Product, two: Product, chosen: Mapping[str, str]) -> list[Field]:
    """The SKU first, then the facts, then every attribute that one of them has."""
    fuller = _fuller_product(one, two)
    values = [(name, name.replace("_", " ").capitalize(), getattr(one, name), getattr(two, name)) for name in TEXTS]
    values += [
        (ATTRIBUTE + key, key, str(one.attributes.get(key, "")), str(two.attributes.get(key, "")))
        for key in sorted({**one.attributes, **two.attributes})
    ]
    fields = [Field("stays", "SKU", one.sku, two.sku, _side(chosen, "stays", fuller))]
    for key, name, first, second in values:
        # A name that is only the SKU was never given.
        said = [0 if key == "name" and value == of.sku else len(value) for value, of in ((first, one), (second, two))]
        usual: Side = fuller if said[0] == said[1] else "one" if said[0] > said[1] else "other"
        fields.append(Field(key, name, first, second, _side(chosen, key, usual)))
    return fields


def _side(chosen: Mapping[str, str], key: str, usual: Side) -> Side:
    given = chosen.get(key)
    return "one" if given == "one" else "other" if given == "other" else usual


def _fuller_product(one: Product, two: Product) -> Side:
    """The active one, then the one with more photos, then more barcodes, then the one that is there for longer."""

    def fullness(product: Product) -> tuple[bool, int, int, float]:
        return product.active, len(product.photos), len(product.barcodes), -product.created_at.timestamp()

    return "one" if fullness(one) >= fullness(two) else "other"


def _taken(fields: tuple[Field, ...]) -> Taken:
    """What the product that stays (the side of the SKU) takes over of the other one."""
    over = [field for field in fields if field.kept != fields[0].kept and field.differs]
    keys = {field.key.removeprefix(ATTRIBUTE): field for field in over if field.key.startswith(ATTRIBUTE)}
    return Taken(frozenset(field.key for field in over if field.key in TEXTS), frozenset(keys))
