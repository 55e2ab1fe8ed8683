"""Typed errors of the catalog. `code` is stable and machine-readable; the message is for a person.

web/errors.py maps each class to one HTTP status, in one place.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any


class CatalogError(Exception):
    """Base of all errors that this package raises on purpose; `field`: the input at fault, if it is one."""

    code = "catalog_error"
    field = ""


class ConfigError(CatalogError):
    """A setting that is missing or can't be understood; nothing was started."""

    code = "bad_configuration"


class InvalidInputError(CatalogError):
    """An invalid value from a person or a program; `field` names it."""

    code = "invalid_input"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class FieldError:
    """A field of a request at fault, `photos.2.filename` for one in the third of several, and why."""

    field: str
    message: str


class InvalidFieldsError(InvalidInputError):
    """Several fields at fault, or one: `errors` names each, with its index; `field` is the first one, without.

    Its message says all of them.
    """

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(errors[0].field.partition(".")[0], " ".join(error.message for error in errors))
        self.errors = tuple(errors)


class Faults:
    """Collects the fields at fault of one request, so that all are named and not only the first."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    @contextmanager
    def collected(self, index: int | None = None) -> Iterator[None]:
        """Note an InvalidInputError of the block, and go on after it; `index`: of the value, where a field has several.

        A photo that is rejected isn't noted but raised: it has more to say than a field.
        """
        try:
            yield
        except PhotoRejectedError:
            raise
        except InvalidFieldsError as error:
            self.errors.extend(error.errors)
        except InvalidInputError as error:
            self.add(error.field if index is None else f"{error.field}.{index}", str(error))

    def add(self, field: str, message: str) -> None:
        """Note a field at fault."""
        self.errors.append(FieldError(field, message))

    def raise_any(self) -> None:
        """Raises InvalidFieldsError if there was one."""
        if self.errors:
            raise InvalidFieldsError(self.errors)


class PhotoRejectedError(InvalidInputError):
    """A photo that can't be used; `code` says why (see embedder.errors.ImageError).

    `rejected`: every such photo of the request, this one first. `index`: which of the request's photos it is, from 0
    on; None where there is one only.
    """

    def __init__(self, code: str, filename: str, message: str, *, sha256: str = "") -> None:
        super().__init__("photo", f"{filename}: {message}" if filename else message)
        self.code = code
        self.filename = filename
        self.sha256 = sha256
        self.index: int | None = None
        self.rejected: list[PhotoRejectedError] = [self]


@dataclass(frozen=True)
class PhotoWarning:
    """A warning about a photo: `code` is stable, `message` is a sentence for people.

    If it concerns another photo: `photo` (SHA-256) of the product `sku`, called `name`; `closeness` is the cosine
    similarity of the two, `points` the number of local features that match, each only where it was computed.
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
    """A photo with `warnings` (see admission/photo_warnings.py), refused because the caller asked for that."""

    code = "photo_questionable"

    def __init__(self, filename: str, warnings: Sequence[PhotoWarning], *, sha256: str) -> None:
        said = " ".join(warning.message for warning in warnings)
        super().__init__("photo_questionable", filename, said, sha256=sha256)
        self.warnings = tuple(warnings)


class SkuExistsError(CatalogError):
    """The SKU is taken."""

    code = "sku_exists"
    field = "sku"


class NotFoundError(CatalogError):
    """There is no such product, photo, user or key."""

    code = "not_found"


class CursorGoneError(CatalogError):
    """A cursor of the feed of changes whose next changes are kept no more."""

    code = "cursor_gone"
    field = "after"


class ConflictError(CatalogError):
    """The product was changed by somebody else in the meantime."""

    code = "conflict"


class PreconditionFailedError(ConflictError):
    """What is to be changed is no longer as the program saw it (RFC 9110, If-Match)."""

    code = "precondition_failed"


class RequestBusyError(ConflictError):
    """A request of this name (Idempotency-Key) is under way."""

    code = "idempotency_busy"


class RequestMismatchError(InvalidInputError):
    """Another request had this name (Idempotency-Key)."""

    code = "idempotency_mismatch"

    def __init__(self, message: str) -> None:
        super().__init__("Idempotency-Key", message)


class LastAdminError(ConflictError):
    """Without this admin nobody could manage people any more."""

    code = "last_admin"


class FormSentError(ConflictError):
    """What this form makes was made already: it was sent twice."""

    code = "form_sent"


class FeedbackGivenError(ConflictError):
    """Something else was said of the answer before: that it was `correct`, or that the photo shows `sku`."""

    code = "feedback_given"

    def __init__(self, answer: uuid.UUID, correct: bool, sku: str, note: str) -> None:
        what = "right" if correct else f"wrong, and {sku!r} right" if sku else "wrong, and no product of the catalog"
        super().__init__(f"Of the answer {answer} it was said before that it was {what}. A person can correct that.")
        self.correct, self.sku, self.note = correct, sku, note


class LinkGoneError(NotFoundError):
    """A link to set a password that was used, replaced or taken back, or is too old."""

    code = "link_gone"


class KeyExpiredError(CatalogError):
    """An API key that is past its end."""

    code = "key_expired"


class NotAllowedError(CatalogError):
    """The role of a member of the staff does not include this."""

    code = "not_allowed"


class BarcodeTakenError(ConflictError):
    """Another product has the barcode: `gtin` (14 digits) is that of the product `sku`."""

    code = "barcode_taken"
    field = "barcode"

    def __init__(self, gtin: str, sku: str, message: str) -> None:
        super().__init__(message)
        self.gtin = gtin
        self.sku = sku


class SkuAlikeError(ConflictError):
    """The SKU differs from `other`, which is in the catalog, in capitals, width or blanks only."""

    code = "sku_alike"
    field = "sku"

    def __init__(self, sku: str, other: str) -> None:
        super().__init__(
            f"The SKU {sku!r} differs from {other!r} only in capitals, width, blanks or characters that nobody sees; "
            f"use {other!r}, which is in the catalog already, or another SKU."
        )
        self.other = other


class StorageError(CatalogError):
    """The photo store can't write or read the bytes (full disk, no permission, damaged content)."""

    code = "storage_error"


class PhotoDamagedError(StorageError):
    """The store works, but the bytes of this one photo are damaged: not those that were stored."""


class DatabaseUnavailableError(CatalogError):
    """The SQL database does not answer."""

    code = "database_unavailable"


class GalleryError(CatalogError):
    """A gallery operation failed."""

    code = "gallery_error"


class GalleryLockedError(GalleryError):
    """Another process has the embedded gallery open."""

    code = "gallery_locked"


class GalleryUnavailableError(GalleryError):
    """The gallery's server does not answer."""

    code = "gallery_unavailable"


class GalleryFullError(GalleryUnavailableError):
    """Too little free disk space to open the embedded gallery or to write to it."""

    code = "gallery_full"


class GalleryRefillingError(GalleryUnavailableError):
    """The gallery was lost and is being filled again: what is not in it yet would be answered as unknown."""

    code = "gallery_refilling"


class GalleryMismatchError(GalleryError):
    """A collection that is missing, has another vector dimension, or has no sparse vector for visual words."""

    code = "gallery_mismatch"


class BundleBuildingError(CatalogError):
    """The archive for offline tills is being built: ask again a little later."""

    code = "offline_bundle_building"
