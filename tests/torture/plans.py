"""Random changes, drawn by a seed."""

from __future__ import annotations

import random

from model import GTINS, Model, Op


def draw(chance: random.Random, model: Model, skus: list[str], photos: list[int], gtins: tuple[str, ...] = GTINS) -> Op:
    """A change, most often one that is possible now."""
    sku = chance.choice(skus)
    kept = model.products.get(sku)
    some = [chance.choice(photos) for _ in range(chance.choice([1, 1, 2, 3]))]
    if kept is None:
        barcodes = [chance.choice(gtins)] if chance.random() < 0.3 else []
        return Op("create", sku, {"name": f"name {chance.randrange(1000)}", "photos": some, "barcodes": barcodes})
    known = sorted(number for number in kept.photos if isinstance(number, int))
    kind = chance.choices(*zip(*WEIGHTS.items(), strict=True))[0]
    if kind == "add_photos" or (kind == "delete_photo" and not known):
        return Op("add_photos", sku, {"photos": some})
    if kind == "set_active":
        return Op(kind, sku, {"active": not kept.active})
    if kind == "delete_photo":
        return Op(kind, sku, {"photo": chance.choice(known)})
    if kind == "change":
        return Op(kind, sku, {"name": f"name {chance.randrange(1000)}"})
    return Op(kind, sku, {"gtin": chance.choice(sorted(kept.barcodes) if kind == "remove_barcode" and kept.barcodes else gtins)})


WEIGHTS = {"add_photos": 5, "set_active": 4, "delete_photo": 4, "change": 2, "add_barcode": 1, "remove_barcode": 1}


def draw_many(chance: random.Random, model: Model, skus: list[str], photos: list[int], count: int, gtins: tuple[str, ...]) -> list[Op]:
    """Changes, each of them possible in the state that those before it leave; the model stays as it is."""
    model, plan = Model(model.products), []
    while len(plan) < count:
        op = draw(chance, model, skus, photos, gtins)
        if not model.apply(op):
            plan.append(op)
    return plan
