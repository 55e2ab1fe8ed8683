"""Changes to reference photos: move, cover, replace, crop, rotate. One transaction each; searchable when it returns."""

from __future__ import annotations

import io
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from catalog import enrollment
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto, Upload, photo_rows
from catalog.errors import ConflictError, InvalidInputError, PhotoRejectedError
from catalog.normalization import normalized_sku
from catalog.products import changing
from catalog.products.intake import Check, Intake, PhotoResult, enroll_photos, photo_result, read_batch, settled
from catalog.storage import Database, audit_log, bin_rows, named_requests
from catalog.storage.product_rows import Seen, lock_product, lock_products
from catalog.storage.tables import Photo
from embedder import images
from embedder.errors import ImageError

#: Left, top, right and bottom of a part of a photo, in fractions of its width and height.
Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
#: Minimum width and height of a part, in fractions of the photo's.
LEAST = 0.02
#: Clockwise quarters -> how Pillow rotates by them; Pillow counts counter-clockwise.
QUARTERS = {1: Image.Transpose.ROTATE_270, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_90}


def move_photos(catalog: Catalog, sku: str, identities: Sequence[uuid.UUID], to: str, *, actor: str) -> None:
    """Move photos from the wrong product to another, atomically: none is ever in both nor in neither.

    If that product has the same picture already, it stays one photo. Raises NotFoundError, or InvalidInputError when
    both are one product or no photo is chosen; nothing is changed then.
    """
    if not identities:
        raise InvalidInputError("photo", "Choose a photo first.")
    with catalog.database.write() as session:
        product, other = lock_products(session, sku, to)
        photos = [photo_rows.photo_of(product, identity) for identity in dict.fromkeys(identities)]
        moved = [photo_rows.copy(session, other, photo) for photo in photos]
        for photo in photos:
            named = {"photo": photo.sha256, "filename": photo.filename, "original": photo.original}
            facts = {**named, "sku": product.sku}
            audit_log.record(session, actor, "photo.move", product.sku, facts, {"sku": other.sku})
        photo_rows.drop(session, product, identities)
        session.flush()
        photo_rows.enqueue_enrollments(session, other, moved)
    enrollment.catch_up(catalog, moved)


def set_cover(database: Database, sku: str, identity: uuid.UUID, *, actor: str) -> None:
    """Make a photo the first of its product, wherever a picture of that is shown. Raises NotFoundError."""
    with database.write() as session:
        product = lock_product(session, sku)
        chosen = photo_rows.photo_of(product, identity)
        before = product.photos[0]
        for photo in product.photos:
            photo.cover = photo is chosen
        if before is not chosen:
            audit_log.record(
                session, actor, "photo.cover", product.sku, {"photo": before.sha256}, {"photo": chosen.sha256}
            )


def replace_photo(
    catalog: Catalog,
    sku: str,
    identity: uuid.UUID,
    new: Upload,
    *,
    check: Check = "off",
    seen: Seen = None,
    actor: str,
) -> PhotoResult:
    """Replace a photo by another; the old one is in the bin then.

    `check`: see Intake. Raises NotFoundError, PhotoRejectedError (PhotoQuestionableError), StorageError, or
    PreconditionFailedError when the product is not as it was `seen`; nothing is changed then.
    """
    _known(catalog.database, sku, identity)
    return _exchange(catalog, sku, identity, new, _Edit("photo.replace", check=check, seen=seen), actor=actor)


def replaced_again(catalog: Catalog, told: Mapping[str, Any]) -> PhotoResult:
    """The result of an exchange that a repeated request finds done (see named_requests.py), as it is by now."""
    (photo,) = settled(catalog, [PhotoResult.from_dict(told)])
    return photo


def crop_photo(catalog: Catalog, sku: str, identity: uuid.UUID, box: Box, *, actor: str) -> PhotoResult:
    """Crop a photo to `box`, in fractions of the photo as it is displayed.

    The crop takes the photo's place; the whole photo is kept, and `uncrop_photo` restores it. A crop of a crop is cut
    from the whole photo. Raises NotFoundError, StorageError, InvalidInputError for an invalid box, PhotoRejectedError
    when too little would be left; nothing is changed then.
    """
    photo = _known(catalog.database, sku, identity)
    box = within(tuple(photo.crop or WHOLE), _checked(box))
    whole = photo.original or photo.sha256
    try:
        part = cut(catalog.photos.get(whole), box)
    except ImageError as error:
        raise PhotoRejectedError(error.code, photo.filename, str(error)) from error
    upload = NewPhoto(photo.filename, part)
    return _exchange(catalog, sku, identity, upload, _Edit("photo.crop", whole, box), actor=actor)


def uncrop_photo(catalog: Catalog, sku: str, identity: uuid.UUID, *, actor: str) -> PhotoResult:
    """Restore the whole photo in place of its crop.

    Raises NotFoundError, StorageError, or ConflictError for a photo that is not cropped.
    """
    photo = _known(catalog.database, sku, identity)
    if photo.original is None:
        raise ConflictError("This photo is whole: nothing was cut from it.")
    upload = NewPhoto(photo.filename, catalog.photos.get(photo.original))
    return _exchange(catalog, sku, identity, upload, _Edit("photo.uncrop"), actor=actor)


def rotate_photo(catalog: Catalog, sku: str, identity: uuid.UUID, turns: int, *, actor: str) -> PhotoResult:
    """Rotate a photo clockwise by `turns` quarters (1, 2 or 3); it takes the old one's place.

    Of a crop the whole photo is rotated with it, and `uncrop_photo` restores that. Raises NotFoundError, StorageError,
    InvalidInputError for other turns, PhotoRejectedError for a photo that can't be read; nothing is changed then.
    """
    if turns not in QUARTERS:
        raise InvalidInputError("turns", "A photo is rotated by 1, 2 or 3 quarters.")
    photo = _known(catalog.database, sku, identity)
    edit = _Edit("photo.rotate")
    try:
        whole = rotated(catalog.photos.get(photo.original or photo.sha256), turns)
        part = whole
        if photo.original is not None:
            box = turned(tuple(photo.crop or WHOLE), turns)
            part, edit = cut(whole, box), _Edit("photo.rotate", catalog.photos.put(whole), box)
    except ImageError as error:
        raise PhotoRejectedError(error.code, photo.filename, str(error)) from error
    return _exchange(catalog, sku, identity, NewPhoto(photo.filename, part), edit, actor=actor)


def turned(box: Sequence[float], turns: int) -> Box:
    """A box on a photo -> the same part of the photo that is rotated clockwise by `turns` quarters."""
    left, top, right, bottom = box
    for _ in range(turns):
        left, top, right, bottom = 1 - bottom, left, 1 - top, right
    return left, top, right, bottom


def rotated(data: bytes, turns: int) -> bytes:
    """Bytes of a photo -> a JPEG of it, rotated clockwise by `turns` quarters. Raises embedder.errors.ImageError."""
    return _saved(images.decode(data).transpose(QUARTERS[turns]))


def within(outer: Sequence[float], inner: Box) -> Box:
    """A box relative to a part of a photo -> the same box relative to the whole, both in fractions."""
    left, top, right, bottom = outer
    width, height = right - left, bottom - top
    x1, y1, x2, y2 = inner
    return left + width * x1, top + height * y1, left + width * x2, top + height * y2


def cut(data: bytes, box: Box) -> bytes:
    """Bytes of a photo -> an upright JPEG of this part of it. Raises embedder.errors.ImageError."""
    picture = images.decode(data)
    left, top, right, bottom = box
    width, height = picture.size
    part = picture.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))
    return _saved(part)


def _saved(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


def _checked(box: Box) -> Box:
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):  # false for NaN, too
        raise InvalidInputError("crop", "A part of a photo is left, top, right, bottom, between 0 and 1 each.")
    if min(right - left, bottom - top) < LEAST:
        raise InvalidInputError("crop", f"A part of a photo has at least {LEAST:.0%} of its width and height.")
    return box


def _known(database: Database, sku: str, identity: uuid.UUID) -> Photo:
    return photo_rows.photo_of(changing.get(database, sku), identity)


@dataclass(frozen=True)
class _Edit:
    """An edit of a photo: its action in the audit log; `crop`: the part of the photo `original` (SHA-256) to use.

    `check` is the intake's, `seen` the tags that the product may have.
    """

    action: str
    original: str | None = None
    crop: Box | None = None
    check: Check = "off"
    seen: Seen = None


def _exchange(
    catalog: Catalog, sku: str, identity: uuid.UUID, upload: Upload, edit: _Edit, *, actor: str
) -> PhotoResult:
    batch = read_batch(catalog, normalized_sku(sku), [upload], Intake(actor, check=edit.check, read_barcodes=False))
    (read,), (checked,) = batch.photos, batch.checks
    crop = list(edit.crop) if edit.crop else None
    with catalog.database.write() as session:
        product = lock_product(session, sku, edit.seen)
        old = photo_rows.photo_of(product, identity)
        new = photo_rows.photo_id(product.id, read.sha256)
        duplicate = any(photo.id == new for photo in product.photos)
        if not duplicate:
            row = photo_rows.insert(session, product, new, read, checked.codes)
            row.source, row.created_at = old.source, old.created_at  # it keeps its place among the others
            row.original, row.crop = edit.original, crop
        if new != identity:
            if edit.action == "photo.replace":
                bin_rows.put(session, product, [old], actor)
            taking = photo_rows.photo_of(product, new)
            taking.cover = taking.cover or old.cover
            photo_rows.drop(session, product, [identity])
            session.flush()
            photo_rows.enqueue_enrollments(session, product, [new])
            before = {"photo": old.sha256, "filename": old.filename, "crop": old.crop, "original": old.original}
            after = {"photo": read.sha256, "filename": read.filename, "crop": crop}
            audit_log.record(session, actor, edit.action, product.sku, before, after)
        active = product.active
        details = None if read.features.local is None else len(read.features.local)
        more: dict[str, Any] = {"duplicate": duplicate, "details": details}
        more |= {"like": checked.like, "warnings": checked.warnings}
        named_requests.tell(session, photo_result(new, read, {new: ""}, **more).as_dict())
    reasons = enroll_photos(catalog, batch.live, {new: read.features}, active=active)
    enrollment.catch_up(catalog)
    return photo_result(new, read, reasons, **more)
