"""Export of all or some products to a folder or zip that can be imported again: a CSV, and the photos that it names."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from catalog.catalog import Catalog
from catalog.errors import InvalidInputError, NotFoundError, StorageError
from catalog.normalization import sku_key
from catalog.products import ATTRIBUTE
from catalog.progress import Progress, Steps, no_progress
from catalog.storage import Database, PhotoStore
from catalog.storage.tables import Photo, Product
from catalog.transfer import product_csv
from catalog.transfer.sources import LIST
from embedder import datasets
from embedder.barcodes import gtin

#: Products per query.
BATCH = 200
#: Bytes of photos in one download, at most; `catalog export` knows no such limit.
MAX_DOWNLOAD = 1024**3
#: Name of the file in a download that says which photos are not in it.
LEFT_OUT = "left-out.txt"
#: Characters that some file system does not allow in a name, and the separator of paths in the CSV.
_UNFIT = re.compile(r'[<>:"/\\|?*]')
#: Names that are devices on Windows, whatever follows their first dot.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])[ ]*(?:\.|$)", re.IGNORECASE)
#: Bytes of a folder's name, or of a file's without its suffix; 255 are possible, and a number may be added.
_LONGEST = 200


@dataclass
class Exported:
    """What was exported; `errors` has one line for each photo that could not be read and was left out."""

    products: int = 0
    photos: int = 0
    errors: list[str] = field(default_factory=list)


def export(
    catalog: Catalog,
    target: Path,
    *,
    skus: Sequence[str] | None = None,
    photos: bool = True,
    progress: Progress = no_progress,
) -> Exported:
    """Write all products, retired ones too, or those of `skus`, to the folder or zip (`.zip`) `target`, atomically.

    Without `photos` their column is empty. A product's photos of the same name are numbered. `progress` counts photos.
    Raises InvalidInputError for a target that exists (an empty folder may), and OSError when it can't be written.
    """
    done = Exported()
    steps = Steps(progress, count_photos(catalog.database) if skus is None else _sum(catalog.database, skus)[0])
    attributes = _attributes(catalog.database, skus)
    lines = bytearray(_header(attributes))
    folders: set[str] = set()
    with _writer(target) as out:
        for product in _products(catalog.database, skus):
            names = list(_photos(catalog.photos, product, out, done, folders)) if photos else []
            lines += _line(product, attributes, names)
            done.products += 1
            steps.advance(len(product.photos))
        out.write(LIST, bytes(lines))
    return done


def export_list(database: Database, skus: Sequence[str]) -> bytes:
    """The CSV of these products, without photos: UTF-8 with a byte-order mark."""
    attributes = _attributes(database, skus)
    return _header(attributes) + b"".join(_line(product, attributes, []) for product in _products(database, skus))


def export_download(catalog: Catalog, skus: Sequence[str]) -> tuple[IO[bytes], list[str]]:
    """A zip of these products as `export` writes it, to be read, and a line for each photo that is left out of it.

    The lines are in the zip, too (LEFT_OUT). It is gone when it is closed. Raises InvalidInputError when their photos
    are more than MAX_DOWNLOAD, StorageError when it can't be written.
    """
    if _sum(catalog.database, skus)[1] > MAX_DOWNLOAD:
        many = f"The photos of {len(skus):,} product{'' if len(skus) == 1 else 's'}"
        raise InvalidInputError("photos", f"{many} are more than 1 GB: choose fewer, or use `catalog export`.")
    try:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "products.zip"
            errors = export(catalog, target, skus=skus).errors
            if errors:
                with zipfile.ZipFile(target, "a") as archive:
                    archive.writestr(LEFT_OUT, "".join(f"{error}\n" for error in errors))
            return target.open("rb"), errors  # the file outlives its name
    except OSError as error:
        raise StorageError(f"The download can't be written: {error.strerror or error}.") from error


def _sum(database: Database, skus: Sequence[str]) -> tuple[int, int]:
    """How many photos these products have, and their bytes."""
    count = size = 0
    with database.read() as session:
        for start in range(0, len(skus), BATCH):
            query = select(func.count(), func.coalesce(func.sum(Photo.bytes), 0)).join(Product)
            found = session.execute(query.where(Product.sku.in_(skus[start : start + BATCH]))).one()
            count, size = count + found[0], size + int(found[1])
    return count, size


def _header(attributes: Sequence[str]) -> bytes:
    header = (*product_csv.COLUMNS, *(ATTRIBUTE + name for name in attributes))
    return b"\xef\xbb\xbf" + product_csv.encode(header)  # Excel detects UTF-8 by the byte-order mark only


def _line(product: Product, attributes: Sequence[str], photos: Sequence[str]) -> bytes:
    cells = {
        "sku": product.sku,
        "name": product.name,
        "brand": product.brand,
        "category": product.category,
        "barcode": ";".join(gtin.printed_gtin(barcode.gtin) for barcode in product.barcodes),
        "variant_group": product.variant_group,
        "labels": product_csv.SEPARATOR.join(label.name for label in product.labels),
        "active": "yes" if product.active else "no",
        "photos": product_csv.SEPARATOR.join(photos),
    }
    own = [str(product.attributes.get(name, "")) for name in attributes]
    return product_csv.encode([*(cells[column] for column in product_csv.COLUMNS), *own])


def count_photos(database: Database) -> int:
    """Photos of all products, retired ones too."""
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Photo)) or 0


def _products(database: Database, skus: Sequence[str] | None) -> Iterator[Product]:
    """These products in their order, or all, sorted by SKU."""
    whole = [selectinload(part) for part in (Product.photos, Product.barcodes, Product.labels)]
    if skus is not None:
        for start in range(0, len(skus), BATCH):
            some = skus[start : start + BATCH]
            with database.read() as session:
                query = select(Product).options(*whole).where(Product.sku.in_(some))
                found = {product.sku: product for product in session.scalars(query)}
            yield from (found[sku] for sku in some if sku in found)
        return
    after = ""
    while True:
        with database.read() as session:
            query = select(Product).options(*whole).where(Product.sku > after).order_by(Product.sku).limit(BATCH)
            batch = list(session.scalars(query))
        yield from batch
        if len(batch) < BATCH:
            return
        after = batch[-1].sku


def _attributes(database: Database, skus: Sequence[str] | None) -> list[str]:
    """The names of all attributes of these products, or of all: each is a column."""
    blocks = [None] if skus is None else [skus[start : start + BATCH] for start in range(0, len(skus), BATCH)]
    names: set[str] = set()
    with database.read() as session:
        for block in blocks:
            query = select(Product.attributes)
            query = query if block is None else query.where(Product.sku.in_(block))
            names |= {name for own in session.scalars(query) for name in own}
    return sorted(names)


def _photos(photos: PhotoStore, product: Product, out: _Writer, done: Exported, folders: set[str]) -> Iterator[str]:
    """Write the photos of a product to a folder of its own; yields their names. `folders`: those of other products."""
    used: set[str] = set()
    folder = _unused(_fit(product.sku) or "_", folders) if product.photos else ""
    for photo in product.photos:
        try:
            data = photos.get(photo.sha256)
        except (NotFoundError, StorageError) as error:
            done.errors.append(f"{product.sku}: {photo.filename}: {error}")
            continue
        name = f"photos/{folder}/{_unused(_file_name(photo), used)}"
        out.write(name, data)
        done.photos += 1
        yield name


def _file_name(photo: Photo) -> str:
    """The photo's original file name, as far as every file system allows it."""
    stem, dot, suffix = _fit(re.split(r"[/\\]", photo.filename)[-1], None).rpartition(".")
    suffix = dot + suffix
    if suffix.lower() not in datasets.SUFFIXES:
        stem, suffix = stem + suffix, ".jpg"  # by which people and programs know it
    return (_fit(stem) or photo.sha256[:12]) + suffix


def _fit(name: str, longest: int | None = _LONGEST) -> str:
    """A name as far as every file system allows it, of at most `longest` bytes; "" when nothing is left."""
    seen = "".join(one for one in unicodedata.normalize("NFC", name) if unicodedata.category(one)[0] != "C")
    fit = _UNFIT.sub("_", seen).strip(" .").encode()[:longest].decode(errors="ignore").strip(" .")
    return f"_{fit}" if _DEVICE.match(fit) else fit


def _unused(name: str, used: set[str]) -> str:
    """The name, numbered if it is used, without regard to capitals and width as on some file systems."""
    path, number = Path(name), 1
    while sku_key(name) in used:
        number += 1
        name = f"{path.stem}-{number}{path.suffix}"
    used.add(sku_key(name))
    return name


class _Writer(Protocol):
    """A folder or zip that is being written."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file; its name may begin with folders."""


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, name: str, data: bytes) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def write(self, name: str, data: bytes) -> None:
        # Photos don't compress.
        self._archive.writestr(name, data, zipfile.ZIP_DEFLATED if name == LIST else zipfile.ZIP_STORED)


@contextmanager
def _writer(target: Path) -> Iterator[_Writer]:
    """Write under a temporary name, and rename at the end or remove on failure. Raises InvalidInputError."""
    target = target.absolute()
    zipped = target.suffix.lower() == ".zip"
    if target.exists() and (zipped or not target.is_dir() or any(target.iterdir())):
        raise InvalidInputError("target", f"{target} is there already, and nothing is overwritten.")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        if zipped:
            with zipfile.ZipFile(beside, "x") as archive:
                yield _Zip(archive)
        else:
            beside.mkdir()
            yield _Folder(beside)
        os.replace(beside, target)  # a folder takes the place of an empty one only
    finally:
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
        else:
            beside.unlink(missing_ok=True)
