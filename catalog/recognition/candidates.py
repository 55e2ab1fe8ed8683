"""Candidates: the products nearest to a photo in the gallery, checked against SQL."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, exists, func, select

from catalog.catalog import Catalog
from catalog.errors import GalleryMismatchError
from catalog.gallery import Hit
from catalog.generations import LiveModel
from catalog.recognition.facts import NO_FACTS, Differs, KnownProduct
from catalog.storage import Database
from catalog.storage.tables import Photo, Product, ProductMargin
from embedder.inference import Vectors
from embedder.matching import Agreement, LocalFeatures, reranker

#: Products that an answer names, unless it is asked for more or fewer; what is decided rests on so many in any case.
MATCHES = reranker.MATCHES
#: Products that an answer names, at most.
MOST_MATCHES = 20
#: Photos requested at first, and at most; four times as many each time that they are of too few SKUs.
FIRST_LOOK, LAST_LOOK = 50, 12_800
#: Products that an answer can name.
HAS_PHOTOS = Product.active & exists().where(Photo.product_id == Product.id)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What re-ranking found in a reference photo (SHA-256): `agreement` of its local features with the query's.

    `mirrored`: with those of the mirrored query, as a front camera gives it.
    """

    photo: str
    agreement: Agreement
    details: LocalFeatures
    mirrored: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the photo, the number of inliers, and the product's corners in the query photo.

        Corners are x and y in fractions of its width and height, clockwise from the reference's top left; in a mirrored
        photo counterclockwise.
        """
        corners: list[list[float]] = []
        if self.agreement.outline is not None:
            places = self.agreement.outline.tolist()
            corners = [[round(1 - x if self.mirrored else x, 4), round(y, 4)] for x, y in places]
        return {"photo": self.photo, "points": self.agreement.inliers, "outline": corners}


@dataclass(frozen=True)
class Match:
    """A candidate. `score` is the cosine to its best photo, `photo` (SHA-256) is that photo, `photo_id` its id.

    `margin`: what it needs over the second to be a match by vector, where that is more than the bundle's; else 0.
    `product` and `differs` are for people, see describing.py.
    """

    sku: str
    name: str
    score: float
    photo: str
    photo_id: uuid.UUID | None = None
    evidence: Evidence | None = None
    margin: float = 0.0
    product: KnownProduct = NO_FACTS
    differs: Differs | None = None


def nearest_products(
    catalog: Catalog,
    live: LiveModel,
    vector: Vectors,
    limit: int = MATCHES,
    *,
    products: frozenset[str] | None = None,
    without: frozenset[str] = frozenset(),
) -> list[Match]:
    """The `limit` nearest products to a vector, float32 [dim]; a product's score is its best photo's.

    `products`: only these ids; `without`: as if these photos (ids) were not there. SQL is the source of truth: what was
    retired or deleted a moment ago is not answered, whatever the gallery still holds. Raises a GalleryError.
    """
    asked = FIRST_LOOK + len(without)
    if products is not None:
        limit = min(limit, len(products))
    while True:
        try:
            hits = catalog.gallery.search(live.collection, vector, asked, products=products)
        except GalleryMismatchError:
            # The collection was lost: the next request creates it again, and the outbox fills it.
            catalog.generations.release(live.collection)
            raise
        last = len(hits) < asked or asked >= LAST_LOOK
        hits = [hit for hit in hits if hit.id not in without]
        # The payload names the products, so that SQL is queried only when there are enough.
        if last or len({hit.product for hit in hits}) >= limit:
            matches = _known(catalog.database, live.generation_id, hits, limit)
            if last or len(matches) >= limit:
                return matches
        with catalog.database.read() as session:
            limit = min(limit, session.scalar(select(func.count()).select_from(Product).where(HAS_PHOTOS)) or 0)
        asked *= 4


def _known(database: Database, generation_id: int, hits: list[Hit], limit: int) -> list[Match]:
    """Hits, best first -> the best photo that SQL knows of each active product, at most `limit`."""
    best: dict[str, Hit] = {}
    for hit in hits:
        best.setdefault(hit.product, hit)
    few = list(best.values())[: 2 * limit]
    facts = facts_of(database, few, generation_id)
    if len(facts) < len(few):  # photos were deleted, their points not yet: a product may have other photos
        facts, few = facts_of(database, hits, generation_id), hits
    matches: dict[str, Match] = {}
    for hit in few:
        row = facts.get(hit.id)
        if row is not None:
            match = Match(row.sku, row.name, hit.score, row.sha256, row.id, margin=row.margin or 0.0)
            matches.setdefault(row.sku, match)
    return list(matches.values())[:limit]


# Built once: that takes as long as to run it, and every answer needs it.
_FACTS = (
    select(Photo.id, Photo.sha256, Product.sku, Product.name, ProductMargin.margin)
    .join(Product, Product.id == Photo.product_id)
    .outerjoin(
        ProductMargin,
        (ProductMargin.product_id == Product.id) & (ProductMargin.generation_id == bindparam("generation")),
    )
    .where(Photo.id.in_(bindparam("ids", expanding=True)), Product.active)
)


def facts_of(database: Database, hits: Sequence[Hit], generation_id: int | None = None) -> dict[str, Any]:
    """SKU, name and content hash of those hits whose photo is in SQL and whose product is active, by point id.

    `margin`: what the product needs in this generation, None where the bundle's is enough. One statement for all.
    """
    ids = []
    for hit in hits:
        with suppress(ValueError):  # a number: another program's point, on a server that it shares with us
            ids.append(uuid.UUID(hit.id))
    with database.read() as session:
        rows = session.execute(_FACTS, {"ids": ids, "generation": generation_id}).all()
    return {str(row.id): row for row in rows}
