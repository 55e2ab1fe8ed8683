"""The whole catalog as a folder or a zip that can be imported again: a list, and the photos that it names."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import unicodedata
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from catalog.catalog import Catalog
from catalog.errors import InvalidInputError, NotFoundError, StorageError
from catalog.progress import Progress, Steps, no_progress
from catalog.storage import Database, PhotoStore
from catalog.storage.tables import Photo, Product
from catalog.transfer import product_csv
from catalog.transfer.sources import LIST
from embedder import datasets
from embedder.barcodes import gtin

#: Products that are read in one go.
BATCH = 200
#: What some file system does not take in a name, and the separator of paths in the list.
_UNFIT = re.compile(r'[<>:"/\\|?*]')


@dataclass
class Exported:
    """What was written; `errors` has one line for each photo that could not be read and is left out."""

    products: int = 0
    photos: int = 0
    errors: list[str] = field(default_factory=list)


def export(catalog: Catalog, target: Path, *, photos: bool = True, progress: Progress = no_progress) -> Exported:
    """Write all products, retired ones too, to the folder or zip (`.zip`) `target`; it is there whole or not at all.

    Without `photos` their column is empty. A product's photos that have one name get numbers. `progress` counts
    photos. Raises InvalidInputError for a target that is there already (an empty folder may be), and OSError when it
    can't be written.
    """
    done = Exported()
    steps = Steps(progress, count_photos(catalog.database))
    attributes = _attributes(catalog.database)
    header = (*product_csv.COLUMNS, *(product_csv.ATTRIBUTE + name for name in attributes))
    lines = bytearray(b"\xef\xbb\xbf" + product_csv.encode(header))  # Excel knows UTF-8 by its byte-order mark only
    with _writer(target) as out:
        for product in _products(catalog.database):
            names = list(_photos(catalog.photos, product, out, done)) if photos else []
            cells = {
                "sku": product.sku,
                "name": product.name,
                "brand": product.brand,
                "category": product.category,
                "barcode": ";".join(gtin.printed_gtin(barcode.gtin) for barcode in product.barcodes),
                "variant_group": product.variant_group,
                "labels": product_csv.SEPARATOR.join(label.name for label in product.labels),
                "active": "yes" if product.active else "no",
                "photos": product_csv.SEPARATOR.join(names),
            }
            own = [str(product.attributes.get(name, "")) for name in attributes]
            lines += product_csv.encode([*(cells[column] for column in product_csv.COLUMNS), *own])
            done.products += 1
            steps.advance(len(product.photos))
        out.write(LIST, bytes(lines))
    return done


def count_photos(database: Database) -> int:
    """Photos of all products, retired ones too."""
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Photo)) or 0


def _products(database: Database) -> Iterator[Product]:
    whole = [selectinload(part) for part in (Product.photos, Product.barcodes, Product.labels)]
    after = ""
    while True:
        with database.read() as session:
            query = select(Product).options(*whole).where(Product.sku > after).order_by(Product.sku).limit(BATCH)
            batch = list(session.scalars(query))
        yield from batch
        if len(batch) < BATCH:
            return
        after = batch[-1].sku


def _attributes(database: Database) -> list[str]:
    """The names of all attributes: each is a column."""
    with database.read() as session:
        return sorted({name for own in session.scalars(select(Product.attributes)) for name in own})


def _photos(photos: PhotoStore, product: Product, out: _Writer, done: Exported) -> Iterator[str]:
    used: set[str] = set()
    for photo in product.photos:
        try:
            data = photos.get(photo.sha256)
        except (NotFoundError, StorageError) as error:
            done.errors.append(f"{product.sku}: {photo.filename}: {error}")
            continue
        name = f"photos/{product.sku}/{_unused(_file_name(photo), used)}"
        out.write(name, data)
        done.photos += 1
        yield name


def _file_name(photo: Photo) -> str:
    """The name that the photo came by, as far as every file system takes it."""
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", photo.filename)[-1])
    stem, dot, suffix = _UNFIT.sub("_", name).strip(" .").rpartition(".")
    suffix = dot + suffix
    if suffix.lower() not in datasets.SUFFIXES:
        stem, suffix = stem + suffix, ".jpg"  # what it is by content is for who reads it: a folder is read by names
    stem = stem.encode()[:200].decode(errors="ignore").strip(" .")  # a name has 255 bytes at most
    return (stem or photo.sha256[:12]) + suffix


def _unused(name: str, used: set[str]) -> str:
    """The name, numbered when another photo has it; on some file systems A is a."""
    path, number = Path(name), 1
    while name.casefold() in used:
        number += 1
        name = f"{path.stem}-{number}{path.suffix}"
    used.add(name.casefold())
    return name


class _Writer(Protocol):
    """A folder or a zip in the making."""

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
        # Photos do not shrink.
        self._archive.writestr(name, data, zipfile.ZIP_DEFLATED if name == LIST else zipfile.ZIP_STORED)


@contextmanager
def _writer(target: Path) -> Iterator[_Writer]:
    """Written beside and renamed at the end; what failed is removed. Raises InvalidInputError."""
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
