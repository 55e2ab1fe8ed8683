"""Random changes, drawn by a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tests.torture.model import GTINS, LABELS, Model, Op

#: How often, of a product that is there. The staff's pages and the API have the first ones.
ON_PAGES = {"add_photos": 5, "set_active": 4, "delete_photo": 4, "change": 2, "add_barcode": 1, "remove_barcode": 1}
ALL = {
    **ON_PAGES,
    "set_labels": 1,
    "rename": 2,
    "merge": 2,
    "purge": 2,
    "move_photo": 3,
    "replace_photo": 3,
    "crop_photo": 1,
    "uncrop_photo": 1,
}


def draw(
    chance: random.Random,
    model: Model,
    skus: list[str],
    photos: list[int],
    gtins: tuple[str, ...] = GTINS,
    weights: Mapping[str, int] = ALL,
) -> Op:
    """A change, most often one that is possible now."""
    sku = chance.choice(skus)
    kept = model.products.get(sku)
    some = [chance.choice(photos) for _ in range(chance.choice([1, 1, 2, 3]))]
    if kept is None:
        barcodes = [chance.choice(gtins)] if chance.random() < 0.3 else []
        return Op("create", sku, {"name": f"name {chance.randrange(1000)}", "photos": some, "barcodes": barcodes})
    known = sorted(number for number in kept.photos if isinstance(number, int)) or some
    other = chance.choice(skus)
    given: dict[str, dict[str, Any]] = {
        "add_photos": {"photos": some},
        "set_active": {"active": not kept.active},
        "delete_photo": {"photo": chance.choice(known)},
        "change": {"name": f"name {chance.randrange(1000)}"},
        "add_barcode": {"gtin": chance.choice(gtins)},
        "remove_barcode": {"gtin": chance.choice(sorted(kept.barcodes) or gtins)},
        "set_labels": {"labels": [label for label in LABELS if chance.random() < 0.5]},
        "rename": {"new": other},
        "merge": {"into": other},
        "purge": {},
        "move_photo": {"photo": chance.choice(known), "to": other},
        "replace_photo": {"photo": chance.choice(known), "new": some[0]},
        "crop_photo": {"photo": chance.choice(known)},
        "uncrop_photo": {"photo": chance.choice(known)},
    }
    kind = chance.choices(list(weights), list(weights.values()))[0]
    return Op(kind, sku, given[kind])


def draw_many(
    chance: random.Random,
    model: Model,
    skus: list[str],
    photos: list[int],
    gtins: tuple[str, ...],
    weights: Mapping[str, int],
    count: int,
) -> list[Op]:
    """Changes, each of them possible in the state that those before it leave; the model stays as it is."""
    model, plan = Model(model.products), []
    while len(plan) < count:
        op = draw(chance, model, skus, photos, gtins, weights)
        if not model.apply(op):
            plan.append(op)
    return plan
