"""Intake of photos: into a new product, into an existing one, or in place of another photo."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from sqlalchemy import and_, select

from catalog import admission, enrollment
from catalog.admission import LookAlike, PhotoCheck
from catalog.catalog import Catalog
from catalog.enrollment import ReadPhoto, Upload
from catalog.errors import PhotoRejectedError, PhotoWarning
from catalog.generations import LiveModel
from catalog.products import barcode_owners
from catalog.right_of_way import piece
from catalog.storage import content_hash, feature_store
from catalog.storage.tables import Enrollment, Generation, Photo, Product
from embedder.inference import PhotoFeatures

Check = Literal["off", "report", "refuse"]
#: Why a photo of a retired product is pending.
RETIRED = "the product is retired"


@dataclass(frozen=True)
class Intake:
    """Who adds photos, and how they are checked before they are accepted.

    `source` is stored with the photos: how they came. `check`: "report" warns when a photo is in the catalog already or
    near another product, "refuse" raises PhotoQuestionableError for a photo with a warning, and "off" compares it with
    no other photo: only warnings about the photo itself (too dark, blurred) are stored. `read_barcodes`: report the
    barcodes on the photos.
    """

    actor: str
    source: str = ""
    check: Check = "report"
    read_barcodes: bool = True


@dataclass(frozen=True)
class PhotoResult:
    """Result for one photo.

    `searchable`: its own vector finds it at rank 1, verified in the gallery after the write. `pending`: stored safely,
    `reason` says why it is not searchable yet, and it is retried until it is. `duplicate`: the product had it already.
    `like`: another product's photo that shows the same pack. `details`: number of local features, None where the model
    has no visual words. `warnings`: about the photo, which was accepted nonetheless.
    """

    id: uuid.UUID
    filename: str
    sha256: str
    state: Literal["searchable", "pending"]
    duplicate: bool = False
    reason: str = ""
    like: LookAlike | None = None
    details: int | None = None
    warnings: tuple[PhotoWarning, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "id": str(self.id)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> PhotoResult:
        """The same from `as_dict`."""
        like = told["like"] and LookAlike(**told["like"])
        warnings = tuple(PhotoWarning(**warning) for warning in told["warnings"])
        return cls(**{**told, "id": uuid.UUID(told["id"]), "like": like, "warnings": warnings})


@dataclass(frozen=True, eq=False)
class Batch:
    """Photos that were read by the live model, checked and stored; `barcodes`: read from them."""

    live: LiveModel
    photos: list[ReadPhoto]
    checks: list[PhotoCheck]
    barcodes: list[str]


def read_batch(catalog: Catalog, sku: str, uploads: Sequence[Upload], intake: Intake) -> Batch:
    """Read and check photos that are to be added to a product, then store them.

    Raises PhotoRejectedError before anything is stored, and StorageError.
    """
    live = catalog.generations.live()
    try:
        photos = enrollment.read_photos(live.embedder, uploads, read_barcodes=intake.read_barcodes)
        checks = admission.check_photos(catalog, live, sku, photos, compare=intake.check != "off")
        if intake.check == "refuse":
            admission.refuse(photos, checks)
    except PhotoRejectedError as error:
        sent = [content_hash(upload.data) for upload in uploads]
        for named in error.rejected:
            named.index = sent.index(named.sha256) if named.sha256 in sent else None
        raise
    for photo in photos:
        with piece():
            catalog.photos.put(photo.data)
            if photo.features.local is not None:
                feature_store.save(catalog.photos, photo.sha256, photo.features.local)
    return Batch(live, photos, checks, barcode_owners.numbers_on(photo.barcodes or () for photo in photos))


def enroll_photos(
    catalog: Catalog, live: LiveModel, features: Mapping[uuid.UUID, PhotoFeatures], *, active: bool
) -> dict[uuid.UUID, str]:
    """Enroll committed photos of a product -> ids of those still pending, and why. See `enrollment.enroll`."""
    if not active:
        return dict.fromkeys(features, RETIRED)
    return enrollment.enroll(catalog, live, features)


def photo_result(identity: uuid.UUID, photo: ReadPhoto, reasons: Mapping[uuid.UUID, str], **more: Any) -> PhotoResult:
    """The result of a photo that was committed; `reasons` are those of `enroll_photos`, `more` its other fields."""
    state: Literal["searchable", "pending"] = "pending" if identity in reasons else "searchable"
    return PhotoResult(identity, photo.filename, photo.sha256, state, reason=reasons.get(identity, ""), **more)


def settled(catalog: Catalog, photos: Sequence[PhotoResult]) -> list[PhotoResult]:
    """Results of an earlier change with the state that the photos have by now; what is pending is tried at once."""
    ids = [photo.id for photo in photos]
    enrollment.catch_up(catalog, ids)
    with catalog.database.read() as session:
        live = select(Generation.id).where(Generation.live).scalar_subquery()
        owed = and_(Enrollment.photo_id == Photo.id, Enrollment.generation_id == live)
        query = select(Photo.id, Product.active, Enrollment.done, Enrollment.error).join(Product)
        rows = session.execute(query.outerjoin(Enrollment, owed).where(Photo.id.in_(ids)))
        found = {row.id: row for row in rows}
    results = []
    for photo in photos:
        row = found.get(photo.id)
        if row is not None and row.done:
            results.append(replace(photo, state="searchable", reason=""))
            continue
        reason = "it was deleted since" if row is None else "" if row.active else RETIRED
        results.append(replace(photo, state="pending", reason=reason or (row.error if row else "") or "not tried yet"))
    return results
