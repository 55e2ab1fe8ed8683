"""Photo -> SKU: the gallery's nearest photos, grouped by product, and a decision."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import exists, func, select

from catalog.errors import GalleryMismatchError, PhotoRejectedError
from catalog.gallery import Hit
from catalog.models import Photo, Product
from catalog.service import Catalog, Live
from embedder.bundle import Thresholds
from embedder.errors import ImageError
from embedder.serve import Vectors

MAX_MATCHES = 5
#: Photos asked for at first; four times as many, again and again, when they are of too few SKUs.
FIRST_LOOK, LAST_LOOK = 50, 12_800
#: Products that an answer can name.
HAS_PHOTOS = Product.active & exists().where(Photo.product_id == Product.id)

Decision = Literal["match", "ambiguous", "unknown"]


@dataclass(frozen=True)
class Match:
    """A candidate. `score` is the cosine to its best photo, `photo` (SHA-256) is that photo."""

    sku: str
    name: str
    score: float
    photo: str


@dataclass(frozen=True)
class Recognition:
    """The answer to one photo: up to five matches, best first, also when the decision is not `match`."""

    decision: Decision
    matches: list[Match]
    bundle: str
    milliseconds: float

    def as_dict(self) -> dict[str, Any]:
        """The contract's form, for JSON."""
        return {
            "decision": self.decision,
            "matches": [{"sku": m.sku, "name": m.name, "score": round(m.score, 4)} for m in self.matches],
            "bundle": self.bundle,
            "milliseconds": round(self.milliseconds, 2),
        }


def recognize(catalog: Catalog, data: bytes, *, filename: str = "") -> Recognition:
    """Bytes of an image file -> which product it shows. Raises PhotoRejectedError or a GalleryError."""
    began = time.perf_counter()
    live = catalog.live()
    try:
        vector = live.embedder.embed_bytes(data)
    except ImageError as error:
        raise PhotoRejectedError(error.code, filename, str(error)) from error
    matches = find(catalog, live, vector)
    bundle = live.embedder.bundle
    return Recognition(decide(matches, bundle.thresholds), matches, bundle.id, (time.perf_counter() - began) * 1000)


def find(catalog: Catalog, live: Live, vector: Vectors, limit: int = MAX_MATCHES) -> list[Match]:
    """Best `limit` products for a vector, float32 [dim]; a product's score is its best photo's.

    SQL has the last word: what was retired or deleted a moment ago is not answered, whatever the gallery still holds.
    """
    asked = FIRST_LOOK
    while True:
        try:
            hits = catalog.gallery.search(live.collection, vector, asked)
        except GalleryMismatchError:
            catalog.release(live.collection)  # it was lost: the next request makes it anew, and the outbox fills it
            raise
        last = len(hits) < asked or asked >= LAST_LOOK
        # The payload tells how many products these are, so that SQL is not asked before there are enough.
        if last or len({hit.product for hit in hits}) >= limit:
            matches = _known(catalog, hits, limit)
            if last or len(matches) >= limit:
                return matches
        with catalog.db.read() as session:
            limit = min(limit, session.scalar(select(func.count()).select_from(Product).where(HAS_PHOTOS)) or 0)
        asked *= 4


def _known(catalog: Catalog, hits: list[Hit], limit: int) -> list[Match]:
    """Hits, best first -> the best photo that SQL knows of each active product, at most `limit`."""
    best: dict[str, Hit] = {}
    for hit in hits:
        best.setdefault(hit.product, hit)
    few = list(best.values())[: 2 * limit]
    facts = _facts(catalog, few)
    if len(facts) < len(few):  # some are gone and their points not yet: a product may have another photo that is there
        facts, few = _facts(catalog, hits), hits
    matches: dict[str, Match] = {}
    for hit in few:
        row = facts.get(hit.id)
        if row is not None:
            matches.setdefault(row.sku, Match(row.sku, row.name, hit.score, row.sha256))
    return list(matches.values())[:limit]


def _facts(catalog: Catalog, hits: list[Hit]) -> dict[str, Any]:
    """SKU, name and content hash of those hits whose photo is in SQL and whose product is active, by point id."""
    with catalog.db.read() as session:
        rows = session.execute(
            select(Photo.id, Photo.sha256, Product.sku, Product.name)
            .join(Product, Product.id == Photo.product_id)
            .where(Photo.id.in_([uuid.UUID(hit.id) for hit in hits]), Product.active)
        ).all()
    return {str(row.id): row for row in rows}


def decide(matches: list[Match], thresholds: Thresholds) -> Decision:
    """`unknown` below the score; `ambiguous` when the second SKU is within the margin; else `match`."""
    if not matches or matches[0].score < thresholds.score:
        return "unknown"
    if len(matches) > 1 and matches[0].score - matches[1].score < thresholds.margin:
        return "ambiguous"
    return "match"
