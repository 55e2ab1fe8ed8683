"""Photo -> vector -> gallery, with proof."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from catalog import outbox
from catalog.errors import CatalogError, DatabaseUnavailableError, GalleryError, GalleryLockedError, PhotoRejectedError
from catalog.photos import content_hash
from catalog.service import Catalog, Live
from embedder import images
from embedder.errors import ImageError
from embedder.serve import Embedder, Look, Vectors

log = logging.getLogger(__name__)
#: Cosines of the same vector differ by float rounding only; another SKU's identical picture may share rank 1.
SAME = 1e-4


class Upload(Protocol):
    """A file name and bytes."""

    @property
    def filename(self) -> str:
        """For messages and people."""

    @property
    def data(self) -> bytes:
        """The file's bytes."""


@dataclass(frozen=True)
class ReadPhoto:
    """A photo that was decoded and looked at by the bundle of this id; width and height as a person sees it, in pixels.

    It is an Upload, too: one that need not be looked at again.
    """

    filename: str
    data: bytes
    sha256: str
    width: int
    height: int
    look: Look
    bundle: str


def read_photo(embedder: Embedder, upload: Upload) -> ReadPhoto:
    """Decode and look at an upload. Raises PhotoRejectedError."""
    sha256 = content_hash(upload.data)
    try:
        look = embedder.look(upload.data)
    except ImageError as error:
        raise PhotoRejectedError(error.code, upload.filename, str(error), sha256=sha256) from error
    size = images.dimensions(upload.data)
    return ReadPhoto(upload.filename, upload.data, sha256, *size, look, embedder.bundle.id)


def read_photos(embedder: Embedder, uploads: Sequence[Upload]) -> list[ReadPhoto]:
    """Decode and look at uploads side by side; one that came twice counts once.

    Raises PhotoRejectedError for the first that can't be used; its `rejected` has all of them.
    """
    unique: dict[str, Upload] = {}
    for upload in uploads:
        unique.setdefault(content_hash(upload.data), upload)

    def one(upload: Upload) -> ReadPhoto | PhotoRejectedError:
        if isinstance(upload, ReadPhoto) and upload.bundle == embedder.bundle.id:
            return upload
        try:
            return read_photo(embedder, upload)
        except PhotoRejectedError as error:
            return error

    results = list(embedder.map(one, unique.values()))
    rejected = [result for result in results if isinstance(result, PhotoRejectedError)]
    if rejected:
        rejected[0].rejected = rejected
        raise rejected[0]
    return [result for result in results if isinstance(result, ReadPhoto)]


def enroll(catalog: Catalog, live: Live, looks: Mapping[uuid.UUID, Look]) -> dict[uuid.UUID, str]:
    """Put committed photos into the live generation and prove it: photo ids that are still pending, and why.

    Never raises because gallery or database went away: the photos are safe, and the outbox goes on.
    """
    try:
        catalog.make_ready(live)
        outbox.apply_enrollments(catalog, live, looks)
        return {
            identity: "its own vector does not find it yet"
            for identity, look in looks.items()
            if not finds_itself(catalog, live, identity, look.vector)
        }
    except (GalleryError, DatabaseUnavailableError) as error:
        with suppress(DatabaseUnavailableError):
            outbox.note_failure(catalog, live.generation_id, looks, error)
        return dict.fromkeys(looks, str(error))


def finds_itself(catalog: Catalog, live: Live, identity: uuid.UUID, vector: Vectors) -> bool:
    """Whether a search by a photo's own vector (float32 [dim]) has that photo at rank 1. Raises GalleryError."""
    asked = 10
    while True:
        hits = catalog.gallery.search(live.collection, vector, asked)
        first = [hit.id for hit in hits if hit.score >= hits[0].score - SAME]
        if str(identity) in first:
            return True
        if len(first) < asked:
            return False
        asked *= 8  # many products show the same picture, and so share rank 1


def catch_up(catalog: Catalog, photo_ids: Sequence[uuid.UUID] = ()) -> None:
    """Try at once what a committed change owes the gallery: removals, and these photos.

    What fails stays pending for the outbox.
    """
    try:
        outbox.apply_removals(catalog, catalog.live())
        for start in range(0, len(photo_ids), outbox.CHUNK):
            outbox.run_pending(catalog, only=photo_ids[start : start + outbox.CHUNK])
    except GalleryLockedError:
        log.info("left to the process that has the gallery open")
    except CatalogError as error:
        log.warning("left to the outbox: %s", error)
