"""Uploaded files: decoded, and their features extracted by the live bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from catalog.errors import ConfigError, PhotoRejectedError
from catalog.storage import content_hash
from embedder import images
from embedder.errors import BundleError, ImageError
from embedder.inference import Embedder, PhotoFeatures


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
    """A decoded photo with its features by the bundle of this id; width and height in pixels, as displayed.

    It is an Upload, too: one whose features need not be extracted again.
    """

    filename: str
    data: bytes
    sha256: str
    width: int
    height: int
    features: PhotoFeatures
    bundle: str


def read_photo(embedder: Embedder, upload: Upload) -> ReadPhoto:
    """Decode an upload and extract its features. Raises PhotoRejectedError, or ConfigError when the model fails."""
    sha256 = content_hash(upload.data)
    try:
        extracted = embedder.extract_reference(upload.data)
    except ImageError as error:
        raise PhotoRejectedError(error.code, upload.filename, str(error), sha256=sha256) from error
    except BundleError as error:  # no vector of this photo
        raise ConfigError(str(error)) from error
    size = images.dimensions(upload.data)
    return ReadPhoto(upload.filename, upload.data, sha256, *size, extracted, embedder.bundle.id)


def read_photos(embedder: Embedder, uploads: Sequence[Upload]) -> list[ReadPhoto]:
    """Decode uploads and extract their features in parallel; an upload that came twice counts once.

    Raises PhotoRejectedError for the first that can't be used; its `rejected` has all of them.
    """
    unique: dict[str, Upload] = {}
    for upload in uploads:
        unique.setdefault(content_hash(upload.data), upload)

    def read(upload: Upload) -> ReadPhoto | PhotoRejectedError:
        if isinstance(upload, ReadPhoto) and upload.bundle == embedder.bundle.id:
            return upload
        try:
            return read_photo(embedder, upload)
        except PhotoRejectedError as error:
            return error

    results = list(embedder.map(read, unique.values()))
    rejected = [result for result in results if isinstance(result, PhotoRejectedError)]
    if rejected:
        rejected[0].rejected = rejected
        raise rejected[0]
    return [result for result in results if isinstance(result, ReadPhoto)]


@dataclass(frozen=True)
class NewPhoto:
    """An uploaded file: its name (for messages only) and bytes."""

    filename: str
    data: bytes
