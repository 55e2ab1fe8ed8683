"""Products and their photos: add, change, retire, restore, delete, list. One transaction a use case."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog import admission, enrollment
from catalog.admission import LookAlike
from catalog.catalog import Catalog
from catalog.enrollment import Upload, photo_rows
from catalog.errors import ConflictError, InvalidInputError, PhotoWarning, SkuExistsError
from catalog.normalization import known_form, no_product
from catalog.products import barcode_owners
from catalog.products.barcode_owners import FoundBarcode
from catalog.products.facts import Facts, check_facts, describe
from catalog.storage import audit_log, feature_store
from catalog.storage.product_rows import held
from catalog.storage.tables import Product

MAX_PHOTOS = 50  # in one request


@dataclass(frozen=True)
class PhotoResult:
    """What became of one photo.

    `searchable`: its own vector finds it at rank 1, which was asked of the gallery after the write. `pending`: kept
    safely, and `reason` says why it is not searchable yet; it is retried until it is. `duplicate`: the product has it
    already. `like`: another product's photo that shows the same pack. `details`: how many it has, None
    where the model does not look twice. `warnings`: what speaks against the photo, which was accepted all the same.
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


@dataclass(frozen=True)
class Added:
    """Reply to an add. `milliseconds` is from the bytes in hand to searchable.

    `barcodes` are the product's, `barcodes_found` were read from the photos: they are a person's to add.
    """

    sku: str
    name: str
    created: bool
    photos: list[PhotoResult]
    milliseconds: float
    barcodes: tuple[str, ...] = ()
    barcodes_found: tuple[FoundBarcode, ...] = ()

    @property
    def searchable(self) -> bool:
        """Whether every photo is."""
        return all(photo.state == "searchable" for photo in self.photos)


def create(
    catalog: Catalog,
    facts: Facts,
    photos: Sequence[Upload],
    *,
    actor: str,
    compare: bool = True,
    strict: bool = False,
    source: str = "",
) -> Added:
    """A new product with its photos, searchable when this returns (or pending, and why).

    `compare`: say when a photo is in the catalog already or near to another product, and which barcodes the photos
    show. `strict`: refuse photos that something speaks against (PhotoQuestionableError).
    `source` is kept with the photos: how they came.

    Raises InvalidInputError, PhotoRejectedError, SkuExistsError or BarcodeTakenError before anything is written,
    StorageError when the photos can't be kept.
    """
    facts = check_facts(facts)
    if not photos:
        raise InvalidInputError("photos", "A product needs at least one photo to be recognized.")
    if _exists(catalog, facts.sku):  # asked first for a quick answer, and again by the unique constraint
        raise SkuExistsError(f"The SKU {facts.sku!r} is in the catalog already.")
    with catalog.database.read() as session:
        barcode_owners.refuse_taken(session, facts.barcodes, facts.sku)
    return _add(catalog, facts, photos, actor=actor, new=True, compare=compare, strict=strict, source=source)


def add_photos(
    catalog: Catalog,
    sku: str,
    photos: Sequence[Upload],
    *,
    actor: str,
    compare: bool = True,
    strict: bool = False,
    source: str = "",
) -> Added:
    """More photos for a product. Raises like `create`, and NotFoundError."""
    sku = known_form(sku)
    if not photos:
        raise InvalidInputError("photos", "No photo was sent.")
    if not _exists(catalog, sku):  # before any photo is looked at
        raise no_product(sku)
    return _add(catalog, Facts(sku), photos, actor=actor, new=False, compare=compare, strict=strict, source=source)


def _exists(catalog: Catalog, sku: str) -> bool:
    with catalog.database.read() as session:
        return session.scalar(select(Product.id).where(Product.sku == sku)) is not None


def _add(
    catalog: Catalog,
    facts: Facts,
    photos: Sequence[Upload],
    *,
    actor: str,
    new: bool,
    compare: bool,
    strict: bool,
    source: str,
) -> Added:
    began = time.perf_counter()
    if len(photos) > MAX_PHOTOS:
        raise InvalidInputError("photos", f"{len(photos)} photos at once; at most {MAX_PHOTOS} are possible.")
    live = catalog.generations.live()
    read = enrollment.read_photos(live.embedder, photos)
    checked = admission.check(catalog, live, facts.sku, read, compare=compare)
    if strict:
        admission.refuse(read, checked)
    seen = barcode_owners.read_photos(live.embedder, [photo.data for photo in read]) if compare else []
    for photo in read:
        catalog.photos.put(photo.data)
        if photo.look.details is not None:
            feature_store.keep(catalog.photos, photo.sha256, photo.look.details)
    try:
        with catalog.database.write() as session:
            product = _product_to_fill(session, facts, new=new)
            before = None if new else {**audit_log.facts(product), "photos": len(product.photos)}
            known = {photo.id for photo in product.photos}
            ids = [photo_rows.photo_id(product.id, photo.sha256) for photo in read]
            overruled: dict[str, list[str]] = {}
            for identity, photo, one in zip(ids, read, checked, strict=True):
                if identity not in known:
                    row = photo_rows.insert(session, product, identity, photo, one.codes)
                    row.source = source
                    overruled |= {photo.sha256: one.codes} if one.codes else {}
            session.flush()
            barcode_owners.claim(session, product, facts.barcodes)
            photo_rows.owe(session, product, ids)
            after = {**audit_log.facts(product), "photos": len(known | set(ids))}
            after |= {"overruled": overruled} if overruled else {}
            if before != after:
                audit_log.record(session, actor, "product.create" if new else "photos.add", product.sku, before, after)
            active = product.active
            name, sku = product.name, product.sku
            numbers = tuple(barcode.gtin for barcode in product.barcodes)
            found = barcode_owners.found(session, seen)
    except IntegrityError as error:
        if new:
            raise SkuExistsError(f"The SKU {facts.sku!r} is in the catalog already.") from error
        raise ConflictError(f"The product {facts.sku!r} was changed by somebody else; try again.") from error
    looks = dict(zip(ids, [photo.look for photo in read], strict=True))
    reasons = enrollment.enroll(catalog, live, looks) if active else dict.fromkeys(looks, "the product is retired")
    results = [
        PhotoResult(
            identity,
            photo.filename,
            photo.sha256,
            "pending" if identity in reasons else "searchable",
            duplicate=identity in known,
            reason=reasons.get(identity, ""),
            like=one.like,
            details=None if photo.look.details is None else len(photo.look.details),
            warnings=one.warnings,
        )
        for identity, photo, one in zip(ids, read, checked, strict=True)
    ]
    return Added(sku, name, new, results, (time.perf_counter() - began) * 1000, numbers, found)


def _product_to_fill(session: Session, facts: Facts, *, new: bool) -> Product:
    if new:
        product = Product(id=uuid.uuid4(), sku=facts.sku, photos=[], barcodes=[], labels=[])
        describe(product, facts)
        session.add(product)
        return product
    return held(session, facts.sku)
