"""Rename a SKU, merge two SKUs that are one product, purge a product for good. One transaction each."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from catalog import enrollment
from catalog.catalog import Catalog
from catalog.enrollment import outbox, photo_rows
from catalog.errors import ConflictError, SkuExistsError
from catalog.normalization import check_sku, sku_key
from catalog.products import differing
from catalog.products.facts import MAX_ATTRIBUTES, MAX_LABELS, TEXTS, Facts, describe, describe_anew
from catalog.storage import audit_log, bin_rows
from catalog.storage.audit_log import whole_snapshot
from catalog.storage.product_rows import Seen, check_version, lock_product, lock_products, refuse_alike
from catalog.storage.tables import Barcode, Enrollment, GoldenPhoto, Product, RecognitionEntry


def rename(catalog: Catalog, sku: str, new: str, *, version: int | None = None, seen: Seen = None, actor: str) -> None:
    """Give a product another SKU; it keeps all that it has, and the next answer names the new SKU.

    `version` is the one that the person saw, `seen` what a program did (optimistic locking). Raises InvalidInputError,
    NotFoundError, SkuExistsError, SkuAlikeError, ConflictError when the version is no longer the newest, or
    PreconditionFailedError.
    """
    new = check_sku(new)
    try:
        with catalog.database.write() as session:
            product = lock_product(session, sku, seen)
            check_version(product, version)
            if product.sku == new:
                return
            before = audit_log.product_snapshot(product)
            refuse_alike(session, new, but=product.id)
            product.sku, product.sku_key = new, sku_key(new)
            describe_anew(product)
            session.flush()
            ids = [photo.id for photo in product.photos]
            # The gallery's points hold the SKU, so they are written again; until then they are found as before.
            mine = Enrollment.photo_id.in_(ids)
            outbox.lock_enrollments(session, mine)
            session.execute(update(Enrollment).where(mine).values(done=False))
            audit_log.record(session, actor, "product.rename", new, before, audit_log.product_snapshot(product))
    except IntegrityError as error:
        raise SkuExistsError(f"The SKU {new!r} is in the catalog already.") from error
    enrollment.catch_up(catalog, ids)


@dataclass(frozen=True)
class Taken:
    """What the product that stays takes over of the one that is merged: names of TEXTS, and keys of attributes.

    Of a key that the one that is merged lacks, it takes over that there is none.
    """

    facts: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()


def merge(
    catalog: Catalog,
    sku: str,
    into: str,
    *,
    taken: Taken = Taken(),
    versions: tuple[int, int] | None = None,
    actor: str,
) -> None:
    """Merge two SKUs: `into` gets the photos, barcodes, labels and past answers of `sku`, which is deleted.

    `into` keeps its own facts, but for those that are `taken`; photos that were deleted from `sku` are restored to it.
    `versions`: those of `sku` and of `into` that the person saw (optimistic locking). Raises NotFoundError,
    InvalidInputError when both are one SKU, or ConflictError when a version is no longer the newest, or the labels or
    attributes would be too many.
    """
    with catalog.database.write() as session:
        product, target = lock_products(session, sku, into)
        for seen, version in zip((product, target), versions or (None, None), strict=True):
            check_version(seen, version)
        before, after = whole_snapshot(product), whole_snapshot(target)
        before["files"] = _originals(product)
        gone = [photo.id for photo in product.photos]
        facts = merged_facts(product, target, taken)
        ids = [photo_rows.copy(session, target, photo) for photo in product.photos]
        photo_rows.drop(session, product, gone)
        numbers = [barcode.gtin for barcode in product.barcodes]
        describe(target, facts)
        session.flush()
        session.execute(update(Barcode).where(Barcode.gtin.in_(numbers)).values(product_id=target.id))
        mine = RecognitionEntry.product_id == product.id
        session.execute(update(RecognitionEntry).where(mine).values(product_id=target.id))
        golden = GoldenPhoto.product_id == product.id
        session.execute(update(GoldenPhoto).where(golden).values(product_id=target.id))
        # The bin first, as wherever both are changed, so that no two transactions deadlock.
        bin_rows.move_entries(session, product.id, target.id)
        differing.carry_over(session, product.id, target.id)
        session.expire_all()
        session.delete(product)
        session.flush()
        photo_rows.enqueue_enrollments(session, target, ids)
        audit_log.record(
            session, actor, "product.merge", target.sku, {"merged": before, **after}, whole_snapshot(target)
        )
    enrollment.catch_up(catalog, ids)


def merged_facts(product: Product, target: Product, taken: Taken) -> Facts:
    """The facts that `target` has once `product` is merged into it.

    Raises ConflictError when its labels or attributes would be too many.
    """
    values = {name: getattr(product if name in taken.facts else target, name) for name in TEXTS}
    owners = {
        key: product if key in taken.attributes else target for key in {**product.attributes, **target.attributes}
    }
    attributes = {key: owners[key].attributes[key] for key in sorted(owners) if key in owners[key].attributes}
    labels = {label.name for part in (product, target) for label in part.labels}
    for what, count, most in (
        ("labels", len(labels), MAX_LABELS),
        ("attributes", len(attributes), MAX_ATTRIBUTES),
    ):
        if count > most:
            raise ConflictError(f"Together they have {count} {what}; at most {most} are possible.")
    return Facts(target.sku, **values, labels=tuple(sorted(labels)), attributes=attributes)


def purge(catalog: Catalog, sku: str, *, actor: str) -> None:
    """Delete a product and all that it has for good, past the bin; the audit log records what it was.

    Its photos' bytes stay in the store until `catalog doctor` removes orphaned files. Raises NotFoundError.
    """
    with catalog.database.write() as session:
        product = lock_product(session, sku)
        before, originals = whole_snapshot(product), _originals(product)
        photo_rows.drop(session, product, [photo.id for photo in product.photos])
        # Other files that went with it; a backup that runs meanwhile may still name them (see `catalog doctor`).
        before["files"] = sorted({*originals, *bin_rows.drop_entries(session, product.id)})
        differing.forget(session, product.id)
        session.flush()
        session.delete(product)
        audit_log.record(session, actor, "product.purge", product.sku, before)
    enrollment.catch_up(catalog)


def _originals(product: Product) -> list[str]:
    """The files (SHA-256) that its photos were cut from. A log entry names them for `catalog doctor`, see there."""
    return sorted({photo.original for photo in product.photos if photo.original})
