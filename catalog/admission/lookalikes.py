"""Look-alikes: is a new photo's pack in the catalog under another SKU? A warning; nothing is refused for it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from catalog.catalog import Catalog
from catalog.errors import CatalogError
from catalog.gallery import Hit
from catalog.recognition.candidates import facts_of
from catalog.storage import Database, PhotoStore, feature_store
from catalog.storage.tables import Photo, Product
from embedder.errors import ImageError
from embedder.inference import PhotoFeatures
from embedder.matching import LocalFeatures, verify

#: Photos of other products whose local features are matched with a new photo's, at most.
COMPARED = 8
#: Points requested from the gallery: the product's own photos are among them.
LISTED = 4 * COMPARED
#: This many inliers, over this share of the other photo, mean the same picture, or the same pack from another side.
POINTS, AREA = 30, 0.5


@dataclass(frozen=True)
class LookAlike:
    """Another product's photo (SHA-256) of the same pack. `points`: local features that match; None: the same file."""

    sku: str
    name: str
    photo: str
    points: int | None


def same_file(database: Database, product: uuid.UUID | None, sha256: str) -> LookAlike | None:
    """Another active product that has this very file; `product` is the photo's own, None before it exists."""
    mine = (Photo.sha256 == sha256) & Product.active
    if product is not None:
        mine &= Product.id != product
    with database.read() as session:
        row = session.execute(select(Product.sku, Product.name).join(Photo).where(mine)).first()
    return LookAlike(row.sku, row.name, sha256, None) if row else None


def same_pack(
    catalog: Catalog, product: uuid.UUID | None, extracted: PhotoFeatures, listed: Sequence[Hit]
) -> LookAlike | None:
    """The photo of another active product that best matches a new photo of this one, if any shows the same pack.

    `listed`: the LISTED points that the gallery shortlists for the photo.
    """
    if not extracted.local:
        return None
    hits = [hit for hit in listed if hit.product != str(product)][:COMPARED]
    facts = facts_of(catalog.database, hits)
    return _best(catalog.photos, extracted.local, [row for hit in hits if (row := facts.get(hit.id))])


def _best(photos: PhotoStore, new: LocalFeatures, rows: Sequence[Row[Any]]) -> LookAlike | None:
    found = []
    for row in rows:
        try:
            match = verify(new, feature_store.load_or_extract(photos, row.sha256))
        except (CatalogError, ImageError):  # a lost photo is for `catalog doctor` to report
            continue
        if match.inliers >= POINTS and match.area >= AREA:
            found.append(LookAlike(row.sku, row.name, row.sha256, match.inliers))
    return max(found, key=lambda like: like.points or 0, default=None)
