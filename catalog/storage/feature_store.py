"""Local features ("details") of stored photos: a file beside each, rebuilt if missing, damaged or outdated."""

from __future__ import annotations

import logging

from PIL import Image

from catalog.errors import StorageError
from catalog.storage.photo_store import PhotoStore
from embedder import matching
from embedder.errors import DetailsError, ImageError
from embedder.images import Pixels
from embedder.matching import LocalFeatures

log = logging.getLogger(__name__)

#: The name has the version: a file of another version is never read, and left for the program that wrote it.
KIND = f"details-{matching.VERSION}"
#: A small picture, as the second look compares it.
PICTURE = "picture-1"


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


def load_picture(photos: PhotoStore, sha256: str) -> Pixels:
    """The pixels of a stored photo, small, uint8 [h, w, 3]; the first time it is made of the photo, and kept.

    Raises NotFoundError or StorageError when the photo can't be read either, and embedder.errors.ImageError.
    """
    if raw := photos.get_derived(sha256, PICTURE):
        try:
            return matching.picture(raw, matching.REFERENCE.side)
        except ImageError as error:
            log.warning("the small picture of photo %s is made again: %s", sha256[:12], error)
    small = matching.picture(photos.get(sha256), matching.REFERENCE.side)
    try:
        photos.put_derived(sha256, PICTURE, matching.to_jpeg(Image.fromarray(small)))
    except StorageError as error:
        log.warning("the small picture of photo %s is not kept: %s", sha256[:12], error)
    return small
