"""A catalog of the paper's size: some real photos, and products that are vectors alone."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from catalog import products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment import NewPhoto
from catalog.gallery import GalleryPoint
from catalog.products import Facts, Intake
from catalog.storage.tables import ComparedPhoto, Enrollment, LeftOutAnswer, Photo, Product

#: Photos and SKUs of the paper's gallery.
PHOTOS, SKUS = 47_553, 5_000
BLOCK = 5_000
#: Of a photo's vector: how far it is from its SKU's, as in benchmarks/scale.py.
SPREAD = 0.7
SEED = 1


def fill(data: Path, known: Mapping[str, Sequence[bytes]], count: int = PHOTOS) -> None:
    """A catalog in `data` with these photos by SKU, and further products up to `count` photos in all.

    Those have random vectors, no files, and no words: the background has nothing left to do with them.
    """
    catalog = Catalog.open(Settings.from_env({"CATALOG_DATA": str(data)}))
    try:
        for sku, photos in known.items():
            named = [NewPhoto(f"{at}.jpg", photo) for at, photo in enumerate(photos)]
            products.create(catalog, Facts(sku), named, Intake("benchmark"))
        _add_vectors(catalog, count - sum(map(len, known.values())))
    finally:
        catalog.close()


def _add_vectors(catalog: Catalog, count: int) -> None:
    live = catalog.generations.ready()
    rng, dim = np.random.default_rng(SEED), live.embedder.bundle.dim
    skus = max(1, round(count * SKUS / PHOTOS))
    centers = _unit(rng.standard_normal((skus, dim), np.float32))
    ids = [uuid.UUID(int=rng.integers(2**63).item() << 64 | at) for at in range(skus)]
    with catalog.database.write() as session:
        names = [{"id": one, "sku": f"VECTORS-{at}", "name": f"Product {at}"} for at, one in enumerate(ids)]
        session.execute(insert(Product), names)
    for start in range(0, count, BLOCK):
        owners = np.arange(start, min(count, start + BLOCK)) % skus
        vectors = _unit(centers[owners] + SPREAD * _unit(rng.standard_normal((len(owners), dim), np.float32)))
        photos = [uuid.UUID(int=rng.integers(2**63).item() << 64 | start + at) for at in range(len(owners))]
        named = [{"photo_id": one, "product_id": ids[owner]} for one, owner in zip(photos, owners, strict=True)]
        with catalog.database.write() as session:
            session.execute(insert(Photo), [_photo(one["photo_id"], one["product_id"]) for one in named])
            rows = [{"generation_id": live.generation_id, **one} for one in named]
            session.execute(insert(Enrollment), [{**row, "done": True} for row in _without_product(rows)])
            session.execute(insert(ComparedPhoto), rows)
            session.execute(insert(LeftOutAnswer), rows)
        catalog.gallery.upsert(
            live.collection,
            [
                GalleryPoint(str(one), vector, f"VECTORS-{owner}", str(ids[owner]))
                for one, vector, owner in zip(photos, vectors, owners, strict=True)
            ],
        )


def _without_product(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "product_id"} for row in rows]


def _photo(identity: uuid.UUID, product: uuid.UUID) -> dict[str, Any]:
    sha256 = identity.hex * 2
    return {"id": identity, "product_id": product, "sha256": sha256, "bytes": 1, "width": 640, "height": 480}


def _unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
