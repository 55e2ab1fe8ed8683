"""Enroll photos: features -> gallery, with proof that each photo finds itself."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress

from catalog.catalog import Catalog
from catalog.enrollment import outbox
from catalog.errors import CatalogError, DatabaseUnavailableError, GalleryError, GalleryLockedError
from catalog.generations import LiveModel
from catalog.right_of_way import piece
from embedder.inference import PhotoFeatures, Vectors

log = logging.getLogger(__name__)
#: Cosine tolerance at rank 1. Equal vectors differ by float rounding only; another SKU's identical picture may tie.
SAME = 1e-4


def enroll(catalog: Catalog, live: LiveModel, features: Mapping[uuid.UUID, PhotoFeatures]) -> dict[uuid.UUID, str]:
    """Enroll committed photos in the live generation and verify it -> ids of photos that are still pending, and why.

    Never raises when gallery or database is unavailable: the photos are safe, and the outbox retries.
    """
    try:
        catalog.generations.ensure_collection(live)
        with piece():
            outbox.apply_enrollments(catalog, live, features)
        missing = {}
        for identity, extracted in features.items():
            with piece():
                found = finds_itself(catalog, live, identity, extracted.vector)
            if not found:
                missing[identity] = "its own vector does not find it yet"
        return missing
    except (GalleryError, DatabaseUnavailableError) as error:
        with suppress(DatabaseUnavailableError):
            outbox.note_failure(catalog.database, live.generation_id, features, error)
        return dict.fromkeys(features, str(error))


def finds_itself(catalog: Catalog, live: LiveModel, identity: uuid.UUID, vector: Vectors) -> bool:
    """Whether a search by a photo's own vector (float32 [dim]) has that photo at rank 1. Raises GalleryError."""
    asked = 10
    while True:
        hits = catalog.gallery.search(live.collection, vector, asked)
        first = [hit.id for hit in hits if hit.score >= hits[0].score - SAME]
        if str(identity) in first:
            return True
        if len(first) < asked:
            return False
        asked *= 8  # many products have the identical picture, and tie at rank 1


def catch_up(catalog: Catalog, photo_ids: Sequence[uuid.UUID] = ()) -> None:
    """Apply at once what a committed change left pending: removals, and the enrollment of these photos.

    What fails stays pending for the outbox.
    """
    try:
        outbox.apply_removals(catalog, catalog.generations.ready())
        for start in range(0, len(photo_ids), outbox.CHUNK):
            outbox.run_pending(catalog, only=photo_ids[start : start + outbox.CHUNK])
    except GalleryLockedError:
        log.info("left to the process that has the gallery open")
    except CatalogError as error:
        log.warning("left to the outbox: %s", error)
