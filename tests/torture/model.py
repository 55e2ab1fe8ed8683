"""The catalog as it should be, in plain Python: what each change makes of it, and what is refused.

Photos are numbers here (see photo), so that a state can be printed and compared. To add a use case: a method of Model,
and one of acting.Acting by the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from catalog.products.photo_edits import WHOLE, cut, within
from catalog.storage import content_hash
from tests.support.pictures import jpeg

LABELS = ("store 1", "store 2")
#: What a crop leaves, and what it adds to a photo's number.
BOX, CROPPED = (0.1, 0.05, 0.9, 0.95), 1_000_000
#: EAN-13 that collide.
GTINS = ("04006381333931", "05449000000996", "00000096385074")
_NUMBERS: dict[str, int] = {}


@cache
def photo(number: int) -> bytes:
    """A small drawn photo that no other number has; from CROPPED on the part of one, or the part of a part ..."""
    times, drawn = divmod(number, CROPPED)
    box = WHOLE
    for _ in range(times):
        box = within(box, BOX)
    data = cut(photo(drawn), box) if times else jpeg(drawn, (160, 120))
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
    labels: set[str] = field(default_factory=set)


class Refused(Exception):
    """The change is refused by an error of this code, and nothing has changed."""


class Model:
    """Products by SKU."""

    def __init__(self, products: Mapping[str, Kept] | None = None) -> None:
        self.products = {
            sku: Kept(kept.name, kept.active, set(kept.photos), set(kept.barcodes), set(kept.labels))
            for sku, kept in (products or {}).items()
        }

    def apply(self, op: Op) -> str:
        """Make the change; the code of the error that refuses it, or ""."""
        try:
            getattr(self, op.kind)(op.sku, **op.given)
        except Refused as refused:
            return str(refused)
        for kept in self.products.values():
            for number in kept.photos:
                if isinstance(number, int):
                    photo(number)  # drawn, so that it is known by its content
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

    def _with_photo(self, sku: str, photo: int) -> Kept:
        kept = self._held(sku)
        if photo not in kept.photos:
            raise Refused("not_found")
        return kept

    def _both(self, sku: str, other: str) -> tuple[Kept, Kept]:
        if sku == other:
            raise Refused("invalid_input")
        return self._held(sku), self._held(other)

    def _claim(self, sku: str, gtins: list[str]) -> None:
        if any(self.owner(gtin) not in (None, sku) for gtin in gtins):
            raise Refused("barcode_taken")

    def create(self, sku: str, name: str, photos: list[int], barcodes: list[str]) -> None:
        if sku in self.products:
            raise Refused("sku_exists")
        self._claim(sku, barcodes)
        self.products[sku] = Kept(name, True, set(photos), set(barcodes))

    def put(self, sku: str, name: str, photos: list[int], barcodes: list[str], labels: list[str], active: bool) -> None:
        if sku not in self.products and not photos:
            raise Refused("invalid_input")
        self._claim(sku, barcodes)
        kept = self.products.get(sku, Kept(name))
        self.products[sku] = Kept(name, active, kept.photos | set(photos), set(barcodes), set(labels))

    def add_photos(self, sku: str, photos: list[int]) -> None:
        self._held(sku).photos.update(photos)

    def change(self, sku: str, name: str) -> None:
        self._held(sku).name = name

    def set_active(self, sku: str, active: bool) -> None:
        self._held(sku).active = active

    def delete_photo(self, sku: str, photo: int) -> None:
        self._with_photo(sku, photo).photos.remove(photo)

    def add_barcode(self, sku: str, gtin: str) -> None:
        kept = self._held(sku)
        self._claim(sku, [gtin])
        kept.barcodes.add(gtin)

    def remove_barcode(self, sku: str, gtin: str) -> None:
        kept = self._held(sku)
        if gtin not in kept.barcodes:
            raise Refused("not_found")
        kept.barcodes.remove(gtin)

    def set_labels(self, sku: str, labels: list[str]) -> None:
        self._held(sku).labels = set(labels)

    def change_all(self, sku: str, add: str, remove: str, active: bool) -> None:
        for kept in self.products.values():
            if kept.active is not active:
                kept.labels = (kept.labels | {add}) - {remove}
                kept.active = active

    def rename(self, sku: str, new: str) -> None:
        kept = self._held(sku)
        if new in self.products and new != sku:
            raise Refused("sku_exists")
        del self.products[sku]
        self.products[new] = kept

    def merge(self, sku: str, into: str, named: bool = False) -> None:
        """`named`: the name of the one that is merged is taken over."""
        kept, other = self._both(sku, into)
        other.name = kept.name if named else other.name
        for part in ("photos", "barcodes", "labels"):
            getattr(other, part).update(getattr(kept, part))
        del self.products[sku]

    def purge(self, sku: str) -> None:
        self._held(sku)
        del self.products[sku]

    def move_photo(self, sku: str, photo: int, to: str) -> None:
        self._held(sku)
        kept, other = self._both(sku, to)
        self._with_photo(sku, photo)
        kept.photos.remove(photo)
        other.photos.add(photo)

    def replace_photo(self, sku: str, photo: int, new: int) -> None:
        kept = self._with_photo(sku, photo)
        kept.photos.remove(photo)
        kept.photos.add(new)

    def crop_photo(self, sku: str, photo: int) -> None:
        self.replace_photo(sku, photo, photo + CROPPED)

    def uncrop_photo(self, sku: str, photo: int) -> None:
        self._with_photo(sku, photo)
        if photo < CROPPED:
            raise Refused("conflict")
        self.replace_photo(sku, photo, photo % CROPPED)
