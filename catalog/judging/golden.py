"""The golden set: photos whose product is known, or that show none, which every new model is asked.

They are in the photo store, and never in a gallery.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from catalog.catalog import Catalog
from catalog.enrollment import Upload
from catalog.errors import NotFoundError, PhotoRejectedError
from catalog.normalization import no_product, normalized_sku, plain
from catalog.storage import Database, audit_log
from catalog.storage.tables import GoldenPhoto, Product
from embedder import images
from embedder.errors import ImageError

#: Pixels that a photo is decoded for when it is added: it need only be one that can be read.
SIDE = 64


@dataclass(frozen=True)
class Golden:
    """A golden photo. `sku` is "" for one that shows no product of the catalog; `asked` is false while its product is
    retired or gone.
    """

    id: uuid.UUID
    sha256: str
    filename: str
    sku: str
    asked: bool
    added_at: datetime
    actor: str


def add(catalog: Catalog, upload: Upload, sku: str, *, actor: str) -> str:
    """Add a photo that shows the product of a SKU, or none of the catalog's (""); returns its SHA-256.

    One that is there already shows this from now on. Raises PhotoRejectedError, NotFoundError for an unknown SKU, or
    StorageError.
    """
    try:
        images.decode(upload.data, want=SIDE)
    except ImageError as error:
        raise PhotoRejectedError(error.code, upload.filename, str(error)) from error
    wanted = normalized_sku(sku) if sku else ""
    sha256 = catalog.photos.put(upload.data)  # before its row, as any photo
    try:
        _keep(catalog.database, sha256, upload.filename, wanted, actor)
    except IntegrityError:  # added by somebody else at this moment
        _keep(catalog.database, sha256, upload.filename, wanted, actor)
    return sha256


def _keep(database: Database, sha256: str, filename: str, sku: str, actor: str) -> None:
    with database.write() as session:
        product = session.execute(select(Product.id, Product.sku).where(Product.sku == sku)).one_or_none()
        if sku and product is None:
            raise no_product(sku)
        product_id = product.id if product else None
        row = session.scalar(select(GoldenPhoto).where(GoldenPhoto.sha256 == sha256).with_for_update())
        if row is not None and row.product_id == product_id:
            return
        before = None
        if row is None:
            row = GoldenPhoto(sha256=sha256, filename="".join(filter(plain, filename))[:255], actor=actor[:100])
            session.add(row)
        else:
            before = {"sku": row.sku}
        row.product_id, row.sku = product_id, sku
        audit_log.record(session, actor, "golden.add", sku or "none", before, {"photo": sha256, "sku": sku})


def list_all(database: Database) -> list[Golden]:
    """All golden photos, by SKU, those of none first."""
    query = select(GoldenPhoto, Product.sku, Product.active)
    query = query.outerjoin(Product, Product.id == GoldenPhoto.product_id)
    with database.read() as session:
        rows = session.execute(query.order_by(GoldenPhoto.sku, GoldenPhoto.added_at, GoldenPhoto.id)).all()
    return [
        Golden(
            row.id,
            row.sha256,
            row.filename,
            sku or row.sku,
            row.product_id is None or bool(active),
            row.added_at,
            row.actor,
        )
        for row, sku, active in rows
    ]


def remove(database: Database, name: str, *, actor: str) -> str:
    """Remove the golden photo whose SHA-256 begins with this text; returns that. Raises NotFoundError for none, and for
    several. Its file stays until `catalog doctor` removes orphaned ones.
    """
    wanted = name.strip().lower()
    with database.write() as session:
        rows = session.scalars(select(GoldenPhoto).where(GoldenPhoto.sha256.startswith(wanted, autoescape=True))).all()
        if len(rows) != 1 or not wanted:
            raise NotFoundError(f"There is {'more than one' if rows and wanted else 'no'} golden photo {name[:64]!r}.")
        (row,) = rows
        session.delete(row)
        audit_log.record(session, actor, "golden.remove", row.sku or "none", {"photo": row.sha256, "sku": row.sku})
        return row.sha256
