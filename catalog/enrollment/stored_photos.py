"""Feature extraction from stored photos."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping

from catalog.errors import CatalogError
from catalog.generations import LiveModel
from catalog.right_of_way import piece
from catalog.storage import PhotoStore, feature_store
from embedder.errors import EmbedderError
from embedder.inference import PhotoFeatures

log = logging.getLogger(__name__)


def extract_stored(
    store: PhotoStore, live: LiveModel, photos: Mapping[uuid.UUID, str], *, polite: bool = False
) -> tuple[dict[uuid.UUID, PhotoFeatures], dict[uuid.UUID, Exception]]:
    """Stored photos (SHA-256 by id) -> their features, and why the others can't be read, both by id.

    On the embedder's threads, or, if `polite`, on the caller's alone, in small pieces (see right_of_way): those are for
    who waits for an answer. Local features do not depend on the bundle: stored ones are reused, the others are
    extracted and stored.
    """
    features: dict[uuid.UUID, PhotoFeatures] = {}
    failures: dict[uuid.UUID, Exception] = {}

    def extract(sha256: str) -> PhotoFeatures | Exception:
        try:
            known = feature_store.load(store, sha256) if live.embedder.bundle.has_words else None
            extracted = live.embedder.extract_reference(store.get(sha256), known, step=piece if polite else None)
        except (CatalogError, EmbedderError) as error:
            return error
        if known is None and extracted.local is not None:
            feature_store.save(store, sha256, extracted.local)
        return extracted

    extracting = map(extract, photos.values()) if polite else live.embedder.map(extract, photos.values())
    for photo_id, result in zip(photos, extracting, strict=True):
        if isinstance(result, Exception):
            log.error("photo %s can't be embedded: %s", photo_id, result)
            failures[photo_id] = result
        else:
            features[photo_id] = result
    return features, failures
