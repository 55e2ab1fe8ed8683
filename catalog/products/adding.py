"""Add a product, or photos to one: read, check, commit, enroll. One transaction; searchable when it returns."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog import enrollment
from catalog.catalog import Catalog
from catalog.enrollment import Upload, photo_rows
from catalog.errors import ConflictError, Faults, InvalidInputError, SkuExistsError
from catalog.normalization import no_product, normalized_sku
from catalog.products import barcode_owners, updating
from catalog.products.barcode_owners import FoundBarcode
from catalog.products.facts import Facts, check_facts, describe
from catalog.products.intake import Batch, Intake, PhotoResult, enroll_photos, photo_result, read_batch, settled
from catalog.products.updating import Update
from catalog.right_of_way import piece
from catalog.storage import Database, audit_log, named_requests
from catalog.storage.product_rows import Seen, lock_product, refuse_alike
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
    """What the transaction wrote. `photos`: in the batch's order, all of them pending still.

    `back`: photos that it had before and that are in the gallery again, or not any more (none); None if neither.
    """

    sku: str
    name: str
    active: bool
    created: bool
    photos: list[PhotoResult]
    barcodes: tuple[str, ...]
    found: tuple[FoundBarcode, ...]
    back: list[uuid.UUID] | None = field(default=None)

    def told(self) -> dict[str, Any]:
        """For JSON: what a repeated request is answered from (see named_requests.py)."""
        return {
            "sku": self.sku,
            "name": self.name,
            "created": self.created,
            "photos": [photo.as_dict() for photo in self.photos],
            "barcodes": list(self.barcodes),
            "found": [[one.gtin, one.sku] for one in self.found],
        }


@dataclass(frozen=True)
class _Opened:
    """A product's row to fill. `before`: its snapshot for the audit log (None: it is new); `back` as in _Committed."""

    product: Product
    before: dict[str, Any] | None = None
    back: list[uuid.UUID] | None = None


#: Called in the transaction.
_Open = Callable[[Session, Facts], _Opened]


def create(
    catalog: Catalog, facts: Facts, photos: Sequence[Upload], intake: Intake, *, active: bool = True
) -> AddResult:
    """Add a product with its photos, searchable when this returns (or pending, and why).

    `active`: False adds a retired one. Raises InvalidInputError, PhotoRejectedError, SkuExistsError, SkuAlikeError or
    BarcodeTakenError before anything is written, StorageError when the photos can't be stored.
    """
    began = time.perf_counter()
    faults = Faults()
    with faults.collected():
        facts = check_facts(facts)
    if not photos:
        faults.add("photos", "A product needs at least one photo to be recognized.")
    faults.raise_any()
    taken = f"The SKU {facts.sku!r} is in the catalog already."
    if exists(catalog.database, facts.sku):  # checked now for a quick answer, and again by the unique constraint
        raise SkuExistsError(taken)
    with catalog.database.read() as session:
        refuse_alike(session, facts.sku)
        barcode_owners.refuse_taken(session, facts.barcodes, facts.sku)
    batch = _read(catalog, facts, photos, intake)

    def new_product(session: Session, facts: Facts) -> _Opened:
        refuse_alike(session, facts.sku)
        product = Product(id=uuid.uuid4(), sku=facts.sku, active=active, photos=[], barcodes=[], labels=[])
        describe(product, facts)
        session.add(product)
        return _Opened(product)

    try:
        done = _commit(catalog.database, facts, batch, intake, new_product)
    except IntegrityError as error:
        raise SkuExistsError(taken) from error
    return _enroll(catalog, batch, done, began)


def add_photos(
    catalog: Catalog,
    sku: str,
    photos: Sequence[Upload],
    intake: Intake,
    *,
    update: Update | None = None,
    seen: Seen = None,
) -> AddResult:
    """Add photos to a product, and make it what `update` says. Raises like `create`, and NotFoundError.

    Raises PreconditionFailedError when it is not as it was `seen`.
    """
    began = time.perf_counter()
    facts = Facts(normalized_sku(sku))
    if not photos:
        raise InvalidInputError("photos", "No photo was sent.")
    if not exists(catalog.database, facts.sku):  # before any photo is decoded
        raise no_product(facts.sku)
    batch = _read(catalog, facts, photos, intake)

    def known_product(session: Session, facts: Facts) -> _Opened:
        product = lock_product(session, facts.sku, seen)
        back = None if update is None else updating.apply(session, product, update, actor=intake.actor)
        return _Opened(product, {**audit_log.product_snapshot(product), "photos": len(product.photos)}, back)

    try:
        done = _commit(catalog.database, facts, batch, intake, known_product)
    except IntegrityError as error:
        raise ConflictError(f"The product {facts.sku!r} was changed by somebody else; try again.") from error
    return _enroll(catalog, batch, done, began)


def told_again(catalog: Catalog, told: Mapping[str, Any]) -> AddResult:
    """The result of an add that a repeated request finds done (see named_requests.py), as far as it is by now."""
    began = time.perf_counter()
    photos = settled(catalog, [PhotoResult.from_dict(photo) for photo in told["photos"]])
    found = tuple(FoundBarcode(*one) for one in told["found"])
    milliseconds = (time.perf_counter() - began) * 1000
    return AddResult(told["sku"], told["name"], told["created"], photos, milliseconds, tuple(told["barcodes"]), found)


def exists(database: Database, sku: str) -> bool:
    """Whether a product has this SKU, in its stored form."""
    with database.read() as session:
        return session.scalar(select(Product.id).where(Product.sku == sku)) is not None


def _read(catalog: Catalog, facts: Facts, photos: Sequence[Upload], intake: Intake) -> Batch:
    if len(photos) > MAX_PHOTOS:
        raise InvalidInputError("photos", f"{len(photos)} photos at once; at most {MAX_PHOTOS} are possible.")
    return read_batch(catalog, facts.sku, photos, intake)


def _commit(database: Database, facts: Facts, batch: Batch, intake: Intake, open_product: _Open) -> _Committed:
    """Write product, photos, barcodes, pending enrollments and the audit log, in one transaction."""
    with piece(), database.write() as session:
        opened = open_product(session, facts)
        product, before = opened.product, opened.before
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
        done = _Committed(
            product.sku,
            product.name,
            product.active,
            before is None,
            _results(ids, batch, known),
            tuple(barcode.gtin for barcode in product.barcodes),
            barcode_owners.found(session, batch.barcodes),
            opened.back,
        )
        named_requests.tell(session, done.told())
        return done


def _results(ids: Sequence[uuid.UUID], batch: Batch, known: Collection[uuid.UUID]) -> list[PhotoResult]:
    """The results of photos that are committed, and not searchable yet."""
    return [
        photo_result(
            identity,
            photo,
            {identity: ""},
            duplicate=identity in known,
            like=checked.like,
            details=None if photo.features.local is None else len(photo.features.local),
            warnings=checked.warnings,
        )
        for identity, photo, checked in zip(ids, batch.photos, batch.checks, strict=True)
    ]


def _enroll(catalog: Catalog, batch: Batch, done: _Committed, began: float) -> AddResult:
    features = {result.id: photo.features for result, photo in zip(done.photos, batch.photos, strict=True)}
    reasons = enroll_photos(catalog, batch.live, features, active=done.active)
    if done.back is not None:
        enrollment.catch_up(catalog, done.back)
    photos = [
        replace(photo, reason=reasons[photo.id]) if photo.id in reasons else replace(photo, state="searchable")
        for photo in done.photos
    ]
    milliseconds = (time.perf_counter() - began) * 1000
    return AddResult(done.sku, done.name, done.created, photos, milliseconds, done.barcodes, done.found)
