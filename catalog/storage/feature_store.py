"""Local features ("details") of stored photos: a file beside each, rebuilt if missing, damaged or outdated."""

from __future__ import annotations

import logging

from catalog.errors import StorageError
from catalog.storage.photo_store import PhotoStore
from embedder import matching
from embedder.errors import DetailsError
from embedder.matching import LocalFeatures

log = logging.getLogger(__name__)

#: The name has the version: a file of another version is never read, and left for the program that wrote it.
KIND = f"details-{matching.VERSION}"


def save(photos: PhotoStore, sha256: str, found: LocalFeatures) -> None:
    """Store a photo's local features. A failure is only logged: they are extracted again when needed."""
    try:
        photos.put_derived(sha256, KIND, matching.to_bytes(found))
    except (StorageError, DetailsError) as error:
        log.warning("the details of photo %s are not kept: %s", sha256[:12], error)


def load(photos: PhotoStore, sha256: str) -> LocalFeatures | None:
    """The stored local features of a photo; None if missing or damaged. Raises StorageError."""
    raw = photos.get_derived(sha256, KIND)
    if raw is None:
        return None
    try:
        return matching.from_bytes(raw)
    except DetailsError as error:
        log.warning("the details of photo %s are made again: %s", sha256[:12], error)
        return None


def load_or_extract(photos: PhotoStore, sha256: str) -> LocalFeatures:
    """The local features of a stored photo, extracted and stored if missing.

    Raises NotFoundError or StorageError when the photo can't be read either, and embedder.errors.ImageError.
    """
    found = load(photos, sha256)
    if found is None:
        found = matching.extract(photos.get(sha256), matching.REFERENCE)
        save(photos, sha256, found)
    return found
