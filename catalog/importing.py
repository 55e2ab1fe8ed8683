"""Many products at once: from photo folders or a CSV. A re-run adds nothing twice."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from catalog import barcodes, products
from catalog.errors import (
    BarcodeTakenError,
    InvalidInputError,
    NotFoundError,
    PhotoRejectedError,
    SkuExistsError,
)
from catalog.facts import Facts
from catalog.photos import content_hash
from catalog.products import NewPhoto
from catalog.service import Catalog
from catalog.skus import check_sku
from embedder import gtin, images

#: Photos of one SKU that are decoded, embedded and written in one go.
CHUNK = 32


@dataclass(frozen=True)
class Item:
    """A product to import: its facts, its photo files, and where it was read (a folder, or a line of a CSV)."""

    facts: Facts
    photos: list[Path]
    source: str


@dataclass
class Report:
    """What an import did; `errors` has one line for each photo or product that was left out."""

    products: int = 0
    photos: int = 0
    duplicates: int = 0
    pending: int = 0
    errors: list[str] = field(default_factory=list)


def from_folder(root: Path) -> list[Item]:
    """DIR/.../<SKU>/*.jpg, any depth: the folder that holds the photos is the SKU. Raises InvalidInputError."""
    try:
        found = images.find_photos(root)
    except OSError as error:
        raise InvalidInputError("folder", str(error)) from error
    if not found:
        raise InvalidInputError("folder", f"There is no photo below {root}.")
    return [Item(Facts(sku), paths, str(paths[0].parent)) for sku, paths in found.items()]


def from_csv(path: Path) -> list[Item]:
    """A CSV with the columns sku and photos, and if wanted name, brand, category, barcode.

    `photos` holds paths, relative to the CSV, several of them separated by `|`; `barcode` holds barcodes, several of
    them separated by a blank or `;`; a SKU may have several lines. Raises InvalidInputError for a file that is no such
    CSV.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = {(name or "").strip().lower(): name for name in reader.fieldnames or []}
            if not {"sku", "photos"} <= set(columns):
                raise InvalidInputError("csv", f"{path} needs the columns sku and photos; it has {', '.join(columns)}.")
            items = []
            for row in reader:
                values = {key: (row.get(name) or "").strip() for key, name in columns.items()}
                photos = [path.parent / part.strip() for part in values["photos"].split("|") if part.strip()]
                name, brand, category = (values.get(key, "") for key in ("name", "brand", "category"))
                facts = Facts(values["sku"], name, brand, category, tuple(gtin.split(values.get("barcode", ""))))
                items.append(Item(facts, photos, f"{path}:{reader.line_num}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError("csv", f"{path} can't be read as a CSV in UTF-8: {error}") from error
    return items


def run(
    catalog: Catalog, items: Iterable[Item], *, actor: str, progress: Callable[[int], None] = lambda photos: None
) -> Report:
    """Import items one product at a time; a broken photo or product is reported and does not stop the others."""
    report = Report()
    for item in items:
        try:
            _import_one(catalog, item, report, actor, progress)
        except (InvalidInputError, BarcodeTakenError) as error:
            report.errors.append(f"{item.source}: {error}")
            progress(len(item.photos))
    return report


def _import_one(catalog: Catalog, item: Item, report: Report, actor: str, progress: Callable[[int], None]) -> None:
    check_sku(item.facts.sku)
    if not item.photos:
        raise InvalidInputError("photos", f"{item.facts.sku} has no photo.")
    for start in range(0, len(item.photos), CHUNK):
        chunk = item.photos[start : start + CHUNK]
        uploads = []
        for path in chunk:
            try:
                uploads.append(NewPhoto(path.name, path.read_bytes()))
            except OSError as error:
                report.errors.append(f"{item.source}: {path}: {error.strerror}")
        while uploads:
            try:
                added = _add(catalog, item.facts, uploads, actor)
            except PhotoRejectedError as error:
                report.errors += [f"{item.source}: {each}" for each in error.rejected]
                refused = {each.sha256 for each in error.rejected}
                uploads = [upload for upload in uploads if content_hash(upload.data) not in refused]
                continue
            report.products += added.created
            report.duplicates += sum(photo.duplicate for photo in added.photos)
            report.photos += sum(not photo.duplicate for photo in added.photos)
            report.pending += sum(photo.state == "pending" for photo in added.photos)
            break
        progress(len(chunk))


def _add(catalog: Catalog, facts: Facts, uploads: list[NewPhoto], actor: str) -> products.Added:
    # Barcodes on the photos are not read: nobody is there to say whether to keep them.
    try:
        for number in facts.barcodes:
            barcodes.add(catalog, facts.sku, number, actor=actor)
        return products.add_photos(catalog, facts.sku, uploads, actor=actor, compare=False)
    except NotFoundError:
        try:
            return products.create(catalog, facts, uploads, actor=actor, compare=False)
        except SkuExistsError:  # somebody else made it just now
            return _add(catalog, facts, uploads, actor)
