"""Typed errors of the catalog. `code` is stable and machine-readable; the message is for a person.

web/errors.py maps each class to one HTTP status, in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


class CatalogError(Exception):
    """Base of all errors that this package raises on purpose."""

    code = "catalog_error"


class ConfigError(CatalogError):
    """A setting that is missing or can't be understood; nothing was started."""

    code = "bad_configuration"


class InvalidInputError(CatalogError):
    """A value that a person or a program sent and that can't be accepted; `field` names it."""

    code = "invalid_input"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class PhotoRejectedError(InvalidInputError):
    """A photo that can't be used; `code` says why (see embedder.errors.ImageError).

    `rejected` has every such photo of the request, this one first.
    """

    def __init__(self, code: str, filename: str, message: str, *, sha256: str = "") -> None:
        super().__init__("photo", f"{filename}: {message}" if filename else message)
        self.code = code
        self.filename = filename
        self.sha256 = sha256
        self.rejected: list[PhotoRejectedError] = [self]


@dataclass(frozen=True)
class PhotoWarning:
    """What speaks against a photo: `code` is stable, `message` is a sentence for people.

    Where it is about another photo: `photo` (SHA-256) of the product `sku`, called `name`; `closeness` is the cosine of
    the two, `points` the details that agree, where one of them was asked for.
    """

    code: str
    message: str
    sku: str = ""
    name: str = ""
    photo: str = ""
    closeness: float | None = None
    points: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class PhotoQuestionableError(PhotoRejectedError):
    """A photo that something speaks against (`warnings`, see admission.py), where that was to be refused."""

    code = "photo_questionable"

    def __init__(self, filename: str, warnings: Sequence[PhotoWarning], *, sha256: str) -> None:
        said = " ".join(warning.message for warning in warnings)
        super().__init__("photo_questionable", filename, said, sha256=sha256)
        self.warnings = tuple(warnings)


class SkuExistsError(CatalogError):
    """The SKU is taken."""

    code = "sku_exists"


class NotFoundError(CatalogError):
    """There is no such product, photo, user or key."""

    code = "not_found"


class ConflictError(CatalogError):
    """The product was changed by somebody else in the meantime."""

    code = "conflict"


class BarcodeTakenError(ConflictError):
    """Another product has the barcode: `gtin` (14 digits) is that of the product `sku`."""

    code = "barcode_taken"

    def __init__(self, gtin: str, sku: str, message: str) -> None:
        super().__init__(message)
        self.gtin = gtin
        self.sku = sku


class StorageError(CatalogError):
    """The photo store can't take or give the bytes (full disk, no right, broken content)."""

    code = "storage_error"


class PhotoDamagedError(StorageError):
    """The store answers, but the bytes of this one photo are not those that were put."""


class DatabaseUnavailableError(CatalogError):
    """The SQL database does not answer."""

    code = "database_unavailable"


class GalleryError(CatalogError):
    """The gallery can't do what it was asked."""

    code = "gallery_error"


class GalleryLockedError(GalleryError):
    """Another process has the embedded gallery open."""

    code = "gallery_locked"


class GalleryUnavailableError(GalleryError):
    """The gallery's server does not answer."""

    code = "gallery_unavailable"


class GalleryFullError(GalleryUnavailableError):
    """There is too little room left on the embedded gallery's disk to open it or write to it."""

    code = "gallery_full"


class GalleryMismatchError(GalleryError):
    """A collection that is missing, holds vectors of another length, or has no room for visual words."""

    code = "gallery_mismatch"
