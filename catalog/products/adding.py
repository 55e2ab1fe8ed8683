"""Add a product, or photos to one: read, check, commit, enroll. One transaction; searchable when it returns."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.enrollment import Upload, photo_rows
from catalog.errors import ConflictError, Faults, InvalidInputError, SkuExistsError
from catalog.normalization import no_product, normalized_sku
from catalog.products import barcode_owners
from catalog.products.barcode_owners import FoundBarcode
from catalog.products.facts import Facts, check_facts, describe
from catalog.products.intake import Batch, Intake, PhotoResult, enroll_photos, photo_result, read_batch
from catalog.right_of_way import piece
from catalog.storage import Database, audit_log
from catalog.storage.product_rows import lock_product, refuse_alike
from catalog.storage.tables import Product

MAX_PHOTOS = 50  # in one request


@dataclass(frozen=True)
class AddResult:
    """Result of an add. `milliseconds`: from receipt of the bytes until searchable.

    `barcodes` are the product's; `barcodes_found` were read from the photos, for a person to add.
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
        """Whether every photo is searchable."""
        return all(photo.state == "searchable" for photo in self.photos)


@dataclass(frozen=True)
class _Committed:
    """What the transaction wrote. `ids`: of the photos, in the batch's order; `known`: of those that it had before."""

    sku: str
    name: str
    active: bool
    ids: list[uuid.UUID]
    known: set[uuid.UUID]
    barcodes: tuple[str, ...]
    found: tuple[FoundBarcode, ...]


#: Called in the transaction -> the product's row to fill, and its snapshot for the audit log (None: it is new).
_Open = Callable[[Session, Facts], tuple[Product, dict[str, Any] | None]]


def create(catalog: Catalog, facts: Facts, photos: Sequence[Upload], intake: Intake) -> AddResult:
    """Add a product with its photos, searchable when this returns (or pending, and why).

    Raises InvalidInputError, PhotoRejectedError, SkuExistsError, SkuAlikeError or BarcodeTakenError before anything is
    written, StorageError when the photos can't be stored.
    """
    began = time.perf_counter()
    faults = Faults()
    with faults.collected():
        facts = check_facts(facts)
    if not photos:
        faults.add("photos", "A product needs at least one photo to be recognized.")
    faults.raise_any()
    taken = f"The SKU {facts.sku!r} is in the catalog already."
    if _exists(catalog.database, facts.sku):  # checked now for a quick answer, and again by the unique constraint
        raise SkuExistsError(taken)
    with catalog.database.read() as session:
        refuse_alike(session, facts.sku)
        barcode_owners.refuse_taken(session, facts.barcodes, facts.sku)
    batch = _read(catalog, facts, photos, intake)
    try:
        done = _commit(catalog.database, facts, batch, intake, _new_product)
    except IntegrityError as error:
        raise SkuExistsError(taken) from error
    return _enroll(catalog, batch, done, began, created=True)


def add_photos(catalog: Catalog, sku: str, photos: Sequence[Upload], intake: Intake) -> AddResult:
    """Add photos to a product. Raises like `create`, and NotFoundError."""
    began = time.perf_counter()
    facts = Facts(normalized_sku(sku))
    if not photos:
        raise InvalidInputError("photos", "No photo was sent.")
    if not _exists(catalog.database, facts.sku):  # before any photo is decoded
        raise no_product(facts.sku)
    batch = _read(catalog, facts, photos, intake)
    try:
        done = _commit(catalog.database, facts, batch, intake, _known_product)
    except IntegrityError as error:
        raise ConflictError(f"The product {facts.sku!r} was changed by somebody else; try again.") from error
    return _enroll(catalog, batch, done, began, created=False)


def _exists(database: Database, sku: str) -> bool:
    with database.read() as session:
        return session.scalar(select(Product.id).where(Product.sku == sku)) is not None


def _read(catalog: Catalog, facts: Facts, photos: Sequence[Upload], intake: Intake) -> Batch:
    if len(photos) > MAX_PHOTOS:
        raise InvalidInputError("photos", f"{len(photos)} photos at once; at most {MAX_PHOTOS} are possible.")
    return read_batch(catalog, facts.sku, photos, intake)


def _new_product(session: Session, facts: Facts) -> tuple[Product, None]:
    refuse_alike(session, facts.sku)
    product = Product(id=uuid.uuid4(), sku=facts.sku, photos=[], barcodes=[], labels=[])
    describe(product, facts)
    session.add(product)
    return product, None


def _known_product(session: Session, facts: Facts) -> tuple[Product, dict[str, Any]]:
    product = lock_product(session, facts.sku)
    return product, {**audit_log.product_snapshot(product), "photos": len(product.photos)}


def _commit(database: Database, facts: Facts, batch: Batch, intake: Intake, open_product: _Open) -> _Committed:
    """Write product, photos, barcodes, pending enrollments and the audit log, in one transaction."""
    with piece(), database.write() as session:
        product, before = open_product(session, facts)
        known = {photo.id for photo in product.photos}
        ids = [photo_rows.photo_id(product.id, photo.sha256) for photo in batch.photos]
        overruled: dict[str, list[str]] = {}
        for identity, photo, checked in zip(ids, batch.photos, batch.checks, strict=True):
            if identity not in known:
                row = photo_rows.insert(session, product, identity, photo, checked.codes)
                row.source = intake.source
                overruled |= {photo.sha256: checked.codes} if checked.codes else {}
        session.flush()
        barcode_owners.claim(session, product, facts.barcodes)
        photo_rows.enqueue_enrollments(session, product, ids)
        after = {**audit_log.product_snapshot(product), "photos": len(known | set(ids))}
        after |= {"overruled": overruled} if overruled else {}
        if before != after:
            action = "product.create" if before is None else "photos.add"
            new = [photo.sha256 for identity, photo in zip(ids, batch.photos, strict=True) if identity not in known]
            after |= {"added": new} if before is not None else {}
            audit_log.record(session, intake.actor, action, product.sku, before, after)
        return _Committed(
            product.sku,
            product.name,
            product.active,
            ids,
            known,
            tuple(barcode.gtin for barcode in product.barcodes),
            barcode_owners.found(session, batch.barcodes),
        )


def _enroll(catalog: Catalog, batch: Batch, done: _Committed, began: float, *, created: bool) -> AddResult:
    features = dict(zip(done.ids, [photo.features for photo in batch.photos], strict=True))
    reasons = enroll_photos(catalog, batch.live, features, active=done.active)
    results = [
        photo_result(
            identity,
            photo,
            reasons,
            duplicate=identity in done.known,
            like=checked.like,
            details=None if photo.features.local is None else len(photo.features.local),
            warnings=checked.warnings,
        )
        for identity, photo, checked in zip(done.ids, batch.photos, batch.checks, strict=True)
    ]
    milliseconds = (time.perf_counter() - began) * 1000
    return AddResult(done.sku, done.name, created, results, milliseconds, done.barcodes, done.found)
