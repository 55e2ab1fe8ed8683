"""Products whose photos have chosen vectors, in the real database and gallery: look-alikes, visit by visit."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np
from sqlalchemy import select

from catalog import margins
from catalog.catalog import Catalog
from catalog.enrollment import outbox, photo_rows
from catalog.gallery import Vector
from catalog.storage.tables import LeftOutAnswer, Photo, Product, ProductMargin
from embedder.inference import PhotoFeatures

DIM = 256
#: Two products: a photo of another visit to PEAR looks like APPLE, by a cosine of 0.85.
APPLE, PEAR = "APPLE", "PEAR"


def toward(**shares: float) -> Vector:
    """float32 [DIM] of unit length, with these coordinates ("x3": the fourth); what is missing goes to the last one."""
    vector = np.zeros(DIM, np.float32)
    for name, share in shares.items():
        vector[int(name[1:])] = share
    vector[DIM - 1] = np.sqrt(1 - float(vector @ vector))
    return vector


APPLE_1, APPLE_2 = toward(x1=1.0), toward(x1=0.88, x3=0.4749)
PEAR_1, PEAR_2 = toward(x0=1.0), toward(x0=0.5, x1=0.85)


def put(
    catalog: Catalog, sku: str, vectors: Sequence[Vector], *, pictures: Sequence[bytes] = (), category: str = ""
) -> list[uuid.UUID]:
    """Photos of these vectors, and of these bytes, if any, for a product, made if it is not there; their ids."""
    live = catalog.generations.ready()
    with catalog.database.write() as session:
        product = session.scalar(select(Product).where(Product.sku == sku))
        if product is None:
            product = Product(id=uuid.uuid4(), sku=sku, name=f"Name of {sku}", category=category, photos=[])
            session.add(product)
        hashes = [catalog.photos.put(data) for data in pictures] or [uuid.uuid4().hex * 2 for _ in vectors]
        ids = [photo_rows.photo_id(product.id, sha256) for sha256 in hashes]
        for identity, sha256 in zip(ids, hashes, strict=True):
            session.add(Photo(id=identity, product_id=product.id, sha256=sha256, bytes=1, width=9, height=9))
        session.flush()
        photo_rows.enqueue_enrollments(session, product, ids)
    features = {identity: PhotoFeatures(vector) for identity, vector in zip(ids, vectors, strict=True)}
    # Again where a worker was between: it finds no such photos in the store, and says so in their rows.
    assert any(outbox.apply_enrollments(catalog, live, features) == len(ids) for _ in range(5))
    return ids


def put_look_alikes(catalog: Catalog) -> dict[str, list[uuid.UUID]]:
    return {sku: put(catalog, sku, vectors) for sku, vectors in ((APPLE, (APPLE_1, APPLE_2)), (PEAR, (PEAR_1, PEAR_2)))}


def keep_up(catalog: Catalog, upkeep: margins.Upkeep | None = None) -> int:
    """Let the upkeep do all there is; how many pieces of work that was."""
    upkeep = upkeep or margins.Upkeep(catalog)
    pieces = 0
    while upkeep.run():
        pieces += 1
        assert pieces < 1000, "it never ends"
    return pieces


def needed(catalog: Catalog) -> dict[str, tuple[float, str, int, int]]:
    """SKU -> margin, rival, matches and wrong ones, of each product that needs more than the bundle's margin."""
    found = margins.needed_margins(catalog.database)
    return {one.sku: (round(one.margin, 4), one.rival, one.matches, one.wrong) for one in found}


def stored(catalog: Catalog) -> tuple[dict[uuid.UUID, tuple[object, ...]], dict[uuid.UUID, float]]:
    """Of the live generation: the matches among the answers (first, margin, stale) by photo, and margins by product."""
    generation = catalog.generations.live().generation_id
    with catalog.database.read() as session:
        answers = session.scalars(select(LeftOutAnswer).where(LeftOutAnswer.generation_id == generation))
        matches = {
            row.photo_id: (row.first_id, round(row.margin, 5), row.stale) for row in answers if row.margin is not None
        }
        kept = session.scalars(select(ProductMargin).where(ProductMargin.generation_id == generation))
        return matches, {row.product_id: round(row.margin, 5) for row in kept}
