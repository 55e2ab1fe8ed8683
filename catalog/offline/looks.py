"""What the second look reads of a reference photo: its local features, and its small picture."""

from __future__ import annotations

import hashlib
import logging

from PIL import Image

from catalog.errors import NotFoundError, PhotoDamagedError
from catalog.storage import PhotoStore, feature_store
from embedder import matching
from embedder.errors import DetailsError, ImageError
from embedder.matching import reranker

log = logging.getLogger(__name__)


def read(photos: PhotoStore, sha256: str, *, thumbnails: bool) -> dict[str, bytes]:
    """kind -> bytes of the files of a photo, made where they are missing; none of a photo that is lost or damaged.

    The small picture only of a photo with so many features that it can be compared by it, unless `thumbnails`. Raises
    StorageError while the store can't be read.
    """
    try:
        features = feature_store.load_or_extract(photos, sha256)
        found = {feature_store.KIND: matching.to_bytes(features)}
        if thumbnails or len(features) >= reranker.COMPARABLE:
            kept = photos.get_derived(sha256, feature_store.PICTURE)
            if not kept:
                small = feature_store.load_picture(photos, sha256)  # makes and keeps it, if it can
                kept = photos.get_derived(sha256, feature_store.PICTURE) or matching.to_jpeg(Image.fromarray(small))
            found[feature_store.PICTURE] = kept
        return found
    except (NotFoundError, PhotoDamagedError, ImageError, DetailsError) as error:
        log.warning("photo %s is not in the archive for tills: %s", sha256[:12], error)
        return {}


def digest(files: dict[str, bytes]) -> str:
    """What tells two such sets of files apart; "" of none."""
    return " ".join(f"{kind}:{hashlib.sha256(data).hexdigest()[:32]}" for kind, data in sorted(files.items()))
