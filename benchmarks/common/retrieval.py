"""Reference photos in an embedded gallery, and the candidates that it returns for a query."""

from __future__ import annotations

import uuid
from typing import Any

from catalog.gallery import GalleryPoint, collection_name
from catalog.gallery.edge import EdgeGallery
from embedder.matching import reranker

from .photo_features import Side

GENERATION = collection_name("measured")


def enroll(gallery: EdgeGallery, known: Side) -> None:
    """Write reference photos to a gallery; point n is the n-th photo of `known`."""
    gallery.create(GENERATION, known.vectors.shape[1])
    rows = enumerate(zip(known.skus, known.vectors, known.words, strict=True))
    gallery.upsert(
        GENERATION, [GalleryPoint(str(uuid.UUID(int=at)), vector, sku, sku, words) for at, (sku, vector, words) in rows]
    )


def shortlist(gallery: EdgeGallery, vector: Any, words: Any, limit: int = reranker.SHORTLIST) -> list[int]:
    """The candidates for a query, best first, as indexes into `known`."""
    return [uuid.UUID(hit.id).int for hit in gallery.shortlist(GENERATION, vector, words, limit)]
