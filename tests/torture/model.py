"""The catalog as it should be, in plain Python: what each change makes of it, and what is refused.

Photos are numbers here (see photo), so that a state can be printed and compared. To add a use case: a method of Model,
and one of acting.Acting by the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from pictures import jpeg

from catalog.photos import content_hash

#: EAN-13 that collide.
GTINS = ("04006381333931", "05449000000996", "00000096385074")
_NUMBERS: dict[str, int] = {}


@cache
def photo(number: int) -> bytes:
    """A small drawn photo that no other number has."""
    data = jpeg(number, (160, 120))
    _NUMBERS[content_hash(data)] = number
    return data


def number_of(sha256: str) -> int | str:
    """The photo of a content hash; the hash itself when no photo here has it."""
    return _NUMBERS.get(sha256, sha256)


@dataclass(frozen=True)
class Op:
    """A change: the name of a use case, and what it is given."""

    kind: str
    sku: str
    given: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Kept:
    """A product."""

    name: str
    active: bool = True
    photos: set[int | str] = field(default_factory=set)
    barcodes: set[str] = field(default_factory=set)


class Refused(Exception):
    """The change is refused by an error of this code, and nothing has changed."""


class Model:
    """Products by SKU."""

    def __init__(self, products: Mapping[str, Kept] | None = None) -> None:
        self.products = {
            sku: Kept(kept.name, kept.active, set(kept.photos), set(kept.barcodes))
            for sku, kept in (products or {}).items()
        }

    def apply(self, op: Op) -> str:
        """Make the change; the code of the error that refuses it, or ""."""
        try:
            getattr(self, op.kind)(op.sku, **op.given)
        except Refused as refused:
            return str(refused)
        return ""

    def after(self, op: Op) -> Model:
        copy = Model(self.products)
        copy.apply(op)
        return copy

    def owner(self, gtin: str) -> str | None:
        return next((sku for sku, kept in self.products.items() if gtin in kept.barcodes), None)

    def answering(self, number: int | str) -> set[str]:
        """SKUs of the active products that have a photo."""
        return {sku for sku, kept in self.products.items() if kept.active and number in kept.photos}

    def _held(self, sku: str) -> Kept:
        if sku not in self.products:
            raise Refused("not_found")
        return self.products[sku]

    def _claim(self, sku: str, gtins: list[str]) -> None:
        if any(self.owner(gtin) not in (None, sku) for gtin in gtins):
            raise Refused("barcode_taken")

    def create(self, sku: str, name: str, photos: list[int], barcodes: list[str]) -> None:
        if sku in self.products:
            raise Refused("sku_exists")
        self._claim(sku, barcodes)
        self.products[sku] = Kept(name, True, set(photos), set(barcodes))

    def add_photos(self, sku: str, photos: list[int]) -> None:
        self._held(sku).photos.update(photos)

    def change(self, sku: str, name: str) -> None:
        self._held(sku).name = name

    def set_active(self, sku: str, active: bool) -> None:
        self._held(sku).active = active

    def delete_photo(self, sku: str, photo: int) -> None:
        kept = self._held(sku)
        if photo not in kept.photos:
            raise Refused("not_found")
        kept.photos.remove(photo)

    def add_barcode(self, sku: str, gtin: str) -> None:
        kept = self._held(sku)
        self._claim(sku, [gtin])
        kept.barcodes.add(gtin)

    def remove_barcode(self, sku: str, gtin: str) -> None:
        kept = self._held(sku)
        if gtin not in kept.barcodes:
            raise Refused("not_found")
        kept.barcodes.remove(gtin)
