"""Catalogs for offline tills, the archives of them, and tills."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.offline import Built, OfflineBundles, Till, TillFolder, TillOptions, install, signing
from catalog.offline.packing import pack
from catalog.products import Facts, Intake
from catalog.recognition import recognize
from tests.support.drawn import DRAWN, front, small_and_turned
from tests.support.pictures import jpeg

KEY = "pc_a key of the tests"
GTIN = "04006381333931"


def unhurried(catalog: Catalog) -> Catalog:
    """A machine that is busy must not change what is answered."""
    return dataclasses.replace(catalog, settings=dataclasses.replace(catalog.settings, second_look_ms=60_000))


def add(catalog: Catalog, sku: str, *photos: bytes, **facts: Any) -> None:
    shots = [NewPhoto(f"{place}.jpg", data) for place, data in enumerate(photos)]
    products.create(catalog, Facts(sku, **facts), shots, Intake("anna"))


def fill(catalog: Catalog) -> None:
    """Packs of which the second look decides, plain pictures, a retired product, one with a barcode, and a label."""
    for product in DRAWN[:5]:
        add(catalog, product.sku, front(product), name=f"Pack {product.sku}")
    for seed in range(4):
        add(catalog, f"S{seed}", jpeg(seed), jpeg(seed + 100))
    add(catalog, "GONE", jpeg(50))
    products.set_active(catalog, "GONE", False, actor="anna")
    add(catalog, "CODED", jpeg(60), barcodes=(GTIN,))
    products.set_labels(catalog.database, "S1", ["bakery"], actor="anna")


def queries() -> list[bytes]:
    """Photos of each kind of answer."""
    packs = [small_and_turned(product) for product in DRAWN[:7]]
    return [*packs, *map(jpeg, range(6)), jpeg(50), jpeg(60), jpeg(61)]


def said(catalog: Catalog, photo: bytes) -> dict[str, Any]:
    """What is answered to a photo, but for what differs from one answer to the next."""
    answer = recognize(catalog, photo).as_dict()
    return {name: value for name, value in answer.items() if name not in ("id", "milliseconds", "timings")}


def public_key(catalog: Catalog) -> str:
    return signing.public_text(signing.signing_key(catalog.settings))


def built(catalog: Catalog, **wanted: Any) -> Built:
    """Built here: a process of its own takes seconds to start."""
    return OfflineBundles(catalog, pack).get(wait=120, **wanted)


@contextmanager
def till_of(catalog: Catalog, archive: Path, root: Path) -> Iterator[Till]:
    """A till on the folder `root`, which has this archive."""
    folder = TillFolder(root)
    install(folder, archive, folder.trusted([public_key(catalog)]))
    till = Till(folder, TillOptions(KEY))
    try:
        yield till
    finally:
        till.close()
