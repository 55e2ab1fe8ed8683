"""Vectors of drawn products, and maps of a catalog that has them."""

from __future__ import annotations

import uuid

import numpy as np

from catalog.catalog import Catalog
from catalog.gallery import Vector
from catalog.gallery_map.neighbors import Numbers
from tests.support import pictures
from tests.support.margins import put

DIM = 256


def unit(vectors: Vector) -> Vector:
    """Vectors [n, dim] of unit length."""
    found: Vector = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found.astype(np.float32)


def families(products: int, photos: int, *, seed: int = 0, families: int = 12) -> tuple[Vector, Numbers]:
    """Unit vectors of products in families that look somewhat alike, and the product of each photo.

    Cosines are about 0.9 within a product, 0.5 within a family, and 0 between families.
    """
    drawn = np.random.default_rng(seed)
    middles = unit(drawn.normal(size=(families, DIM)).astype(np.float32))
    of_products = unit(middles[np.arange(products) % families] + unit(drawn.normal(size=(products, DIM))))
    number = np.repeat(np.arange(products, dtype=np.int32), photos)
    return unit(of_products[number] + 0.33 * unit(drawn.normal(size=(len(number), DIM)))), number


def fill(
    catalog: Catalog, count: int = 12, photos: int = 3, *, seed: int = 0, shown: bool = False
) -> dict[str, list[uuid.UUID]]:
    """Products of drawn vectors in three categories: the ids of their photos by SKU. `shown`: with pictures, too."""
    vectors, numbers = families(count, photos, seed=seed)
    found = {}
    for number in range(count):
        sku, mine = f"S{seed}-{number:02}", np.flatnonzero(numbers == number)
        files = [pictures.jpeg(1000 * seed + int(photo)) for photo in mine] if shown else []
        found[sku] = put(catalog, sku, list(vectors[mine]), pictures=files, category=f"Category {number % 3}")
    return found
