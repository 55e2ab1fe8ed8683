"""Uploaded files: decoded once, for all that is read from them: features by the live bundle, quality, barcodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from catalog.errors import ConfigError, PhotoRejectedError
from catalog.right_of_way import in_background, piece
from catalog.storage import content_hash
from embedder import barcodes, images, matching
from embedder.barcodes import Barcode
from embedder.errors import BundleError, ImageError
from embedder.images.quality import Quality
from embedder.inference import Embedder, PhotoFeatures
from embedder.matching import ColorGrid


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

    `cells`: its colors, for near-duplicates. `barcodes`: None where they were not asked for. It is an Upload, too: one
    that need not be read again.
    """

    filename: str
    data: bytes
    sha256: str
    width: int
    height: int
    features: PhotoFeatures
    bundle: str
    quality: Quality
    cells: ColorGrid
    barcodes: tuple[Barcode, ...] | None = None

    def serves(self, embedder: Embedder, *, read_barcodes: bool) -> bool:
        """Whether all that is asked for was read, by this embedder's bundle."""
        return self.bundle == embedder.bundle.id and (self.barcodes is not None or not read_barcodes)


def read_photo(embedder: Embedder, upload: Upload, *, read_barcodes: bool = False) -> ReadPhoto:
    """Decode an upload and read all from it. Raises PhotoRejectedError, or ConfigError when the model fails."""
    sha256 = content_hash(upload.data)
    sides = (images.quality.SIDE, *embedder.reference_sides, *([barcodes.WANT] if read_barcodes else []))
    try:
        with piece():
            small, *pictures = images.decode_each(upload.data, sides)
        large = pictures.pop() if read_barcodes else None
        step = piece if in_background() else None
        extracted = embedder.extract_reference(upload.data, pictures=pictures, step=step)
    except ImageError as error:
        raise PhotoRejectedError(error.code, upload.filename, str(error), sha256=sha256) from error
    except BundleError as error:  # no vector of this photo
        raise ConfigError(str(error)) from error
    width, height = images.dimensions(upload.data)
    return ReadPhoto(
        upload.filename,
        upload.data,
        sha256,
        width,
        height,
        extracted,
        embedder.bundle.id,
        images.measure(small, min(width, height)),
        matching.color_grid(small),
        None if large is None else tuple(barcodes.read(large)),
    )


def read_photos(embedder: Embedder, uploads: Sequence[Upload], *, read_barcodes: bool = False) -> list[ReadPhoto]:
    """Decode uploads and read all from them in parallel; an upload that came twice counts once.

    Raises PhotoRejectedError for the first that can't be used; its `rejected` has all of them.
    """
    unique: dict[str, Upload] = {}
    for upload in uploads:
        unique.setdefault(content_hash(upload.data), upload)

    def read(upload: Upload) -> ReadPhoto | PhotoRejectedError:
        if isinstance(upload, ReadPhoto) and upload.serves(embedder, read_barcodes=read_barcodes):
            return upload
        try:
            return read_photo(embedder, upload, read_barcodes=read_barcodes)
        except PhotoRejectedError as error:
            return error

    results = list((map if in_background() else embedder.map)(read, unique.values()))
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
