"""What an entry of the audit log tells other systems: which product or photo changed, and which of its facts.

They are told no values and no names of people: who may know more asks for the product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Type = Literal[
    "product.created",
    "product.changed",
    "product.retired",
    "product.restored",
    "product.deleted",
    "product.renamed",
    "product.merged",
    "photo.added",
    "photo.removed",
    "photo.replaced",
    "generation.switched",
    "generation.held",
    "inbox.group_added",
    "night.ended",
]
#: Facts of a product whose changes are told, as snapshots name them.
FACTS = ("name", "brand", "category", "variant_group", "attributes", "barcodes", "labels")
#: Actions on the facts and the state of one product, whose before and after are snapshots (see audit_log.py).
_OF_FACTS = (
    *("product.change", "product.label", "product.retire", "product.restore", "product.revert"),
    *("barcode.add", "barcode.remove"),
)
#: Actions about many products: before and after are {"products": {SKU: facts that differ}}.
_OF_MANY = ("products.change", "products.undo")
#: Actions about products and models that change nothing that is told.
SILENT = ("product.differ", "model.add", "model.remove")
_EXCHANGES = ("photo.replace", "photo.crop", "photo.uncrop", "photo.rotate")
Side = Mapping[str, Any]
#: Who asks for what is done at night, as the pages name it.
EVERY_NIGHT = "every night"


@dataclass(frozen=True)
class ChangeEvent:
    """A change. `told`, by type: `fields` (names) of product.changed; `was`, the SKU before a renaming, or of the
    product that was merged; `photo`, and `was` for the one that it replaces (SHA-256); `bundle` and `was` (ids);
    `group` (id); `well` of night.ended: whether nobody need look at it.
    """

    type: Type
    sku: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)


def events_of(action: str, subject: str, before: Side | None, after: Side | None) -> Iterator[ChangeEvent]:
    """What an entry of the audit log tells; nothing for one that is about no product, photo, generation or night."""
    before, after = before or {}, after or {}
    if action in _OF_FACTS:
        yield from _compared(subject, before, after)
    elif action in _OF_MANY:
        for sku, facts in after.get("products", {}).items():
            yield from _compared(sku, before.get("products", {}).get(sku, {}), facts)
    elif action in ("product.create", "product.undelete"):
        yield ChangeEvent("product.created", subject)
    elif action in ("product.delete", "product.purge"):
        yield ChangeEvent("product.deleted", subject)
    elif action == "product.rename":
        yield ChangeEvent("product.renamed", subject, {"was": before["sku"]})
    elif action == "product.merge":
        yield ChangeEvent("product.merged", subject, {"was": before["merged"]["sku"]})
    elif action in ("model.switch", "model.rollback"):
        yield ChangeEvent("generation.switched", told={"bundle": subject, "was": before["live"]})
    elif action == "model.hold":
        yield ChangeEvent("generation.held", told={"bundle": subject})
    elif action == "night.end":
        yield ChangeEvent("night.ended", told={"well": after["well"]})
    else:
        yield from _of_photos(action, subject, before, after)


def _of_photos(action: str, sku: str, before: Side, after: Side) -> Iterator[ChangeEvent]:
    if action in ("photos.add", "photo.undelete"):
        photos = after.get("added" if action == "photos.add" else "restored", ())
        yield from (ChangeEvent("photo.added", sku, {"photo": photo}) for photo in photos)
        yield from _compared(sku, before, {**before, **after})  # barcodes may have come with them
    elif action == "photo.delete":
        yield ChangeEvent("photo.removed", sku, {"photo": before["photo"]})
    elif action == "photo.move":
        yield ChangeEvent("photo.removed", sku, {"photo": before["photo"]})
        yield ChangeEvent("photo.added", after["sku"], {"photo": before["photo"]})
    elif action == "photo.cover":
        yield ChangeEvent("product.changed", sku, {"fields": ["cover"]})
    elif action in _EXCHANGES:
        yield ChangeEvent("photo.replaced", sku, {"photo": after["photo"], "was": before["photo"]})


def _compared(sku: str, before: Side, after: Side) -> Iterator[ChangeEvent]:
    fields = [name for name in FACTS if before.get(name) != after.get(name)]
    if fields:
        yield ChangeEvent("product.changed", sku, {"fields": fields})
    if before.get("active") != after.get("active"):
        yield ChangeEvent("product.restored" if after.get("active") else "product.retired", sku)


def kind_of(actor: str) -> str:
    """What kind of actor the audit log names: a program with a key, an operator's command, or one of the staff."""
    if actor.startswith("key "):
        return "key"
    return "command" if actor in ("cli", EVERY_NIGHT) else "staff"
