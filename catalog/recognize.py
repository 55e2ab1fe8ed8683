"""Photo -> SKU: the gallery's nearest photos, grouped by product, and a decision."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import exists, func, select

from catalog.errors import GalleryMismatchError, PhotoRejectedError
from catalog.models import Photo, Product
from catalog.service import Catalog, Live
from embedder.bundle import Thresholds
from embedder.errors import ImageError
from embedder.serve import Vectors

MAX_MATCHES = 5
#: Photos asked for at first: enough for five SKUs of ten photos each. More are asked for when they are of too few SKUs.
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
        with catalog.db.read() as session:
            if asked > FIRST_LOOK:
                limit = min(limit, session.scalar(select(func.count()).select_from(Product).where(HAS_PHOTOS)) or 0)
            rows = session.execute(
                select(Photo.id, Photo.sha256, Product.sku, Product.name)
                .join(Product, Product.id == Photo.product_id)
                .where(Photo.id.in_([uuid.UUID(hit.id) for hit in hits]), Product.active)
            ).all()
        facts = {str(row.id): row for row in rows}
        best: dict[str, Match] = {}
        for hit in hits:  # best first, so a product's first photo is its best
            row = facts.get(hit.id)
            if row is not None and row.sku not in best:
                best[row.sku] = Match(row.sku, row.name, hit.score, row.sha256)
        if len(best) >= limit or len(hits) < asked or asked >= LAST_LOOK:
            return list(best.values())[:limit]
        asked *= 4


def decide(matches: list[Match], thresholds: Thresholds) -> Decision:
    """`unknown` below the score; `ambiguous` when the second SKU is within the margin; else `match`."""
    if not matches or matches[0].score < thresholds.score:
        return "unknown"
    if len(matches) > 1 and matches[0].score - matches[1].score < thresholds.margin:
        return "ambiguous"
    return "match"
