"""Import sources: a folder of photos, a CSV with its photos, a zip of either. Parsed into items, not validated."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from catalog.errors import InvalidInputError
from catalog.products import Facts
from catalog.transfer import product_csv
from catalog.transfer.zip_archive import Archive, open_archive
from embedder import datasets
from embedder.barcodes import gtin

#: Name of the CSV in a folder or zip that `catalog export` wrote.
LIST = "catalog.csv"
YES, NO = {"", "yes", "y", "true", "1"}, {"no", "n", "false", "0"}


class PhotoFile(Protocol):
    """A readable photo: a Path, or a file in a zip. `str` gives its location."""

    @property
    def name(self) -> str:
        """Its file name, without folders."""

    def read_bytes(self) -> bytes:
        """Its content. Raises OSError."""


@dataclass(frozen=True)
class Item:
    """A product to import: its facts, its photo files, and where it was read (a folder, or a line of a CSV).

    `active`: whether it is to be recognized; a retired product of an export is not. `errors`: what is wrong with the
    form of its line.
    """

    facts: Facts
    photos: list[PhotoFile]
    source: str
    active: bool = True
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """What was read. `listed`: from a CSV, not from names of folders; `unread`: headers of unknown columns."""

    items: list[Item]
    listed: bool = False
    unread: list[str] = field(default_factory=list)

    @property
    def photos(self) -> int:
        """Number of photos that it names."""
        return sum(len(item.photos) for item in self.items)


@contextmanager
def open_source(path: Path, mapping: Mapping[str, str] | None = None) -> Iterator[Source]:
    """Open a folder, a CSV or a zip; the photos of a zip can be read until the block ends. Raises InvalidInputError.

    `mapping`: see product_csv.read. A folder with the CSV of an export is read by that.
    """
    if path.is_dir():
        listed = path / LIST
        yield from_csv(listed, mapping) if listed.is_file() else Source(from_folder(path))
    elif path.suffix.lower() == ".zip":
        with open_archive(path) as archive:
            yield from_zip(archive, mapping)
    else:
        yield from_csv(path, mapping)


def from_folder(root: Path) -> list[Item]:
    """DIR/.../<SKU>/*.jpg, any depth: the folder that holds the photos is the SKU. Raises InvalidInputError."""
    try:
        found = datasets.find_photos(root)
    except OSError as error:
        raise InvalidInputError("folder", str(error)) from error
    if not found:
        raise InvalidInputError("folder", f"There is no photo below {root}.")
    return [Item(Facts(sku), list(paths), str(paths[0].parent)) for sku, paths in found.items()]


def from_csv(path: Path, mapping: Mapping[str, str] | None = None) -> Source:
    """A CSV with the columns of `product_csv.COLUMNS`; sku and photos are required, a SKU may have several lines.

    `photos` holds paths relative to the CSV, separated by `|`; `barcode` holds barcodes, separated by a blank or `;`;
    `active` is yes or no. Raises InvalidInputError for a file that is no such CSV.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidInputError("csv", f"{path} can't be read: {error.strerror}.") from error
    return _listed(raw, str(path), lambda name: path.parent / name, mapping)


def from_zip(archive: Archive, mapping: Mapping[str, str] | None = None) -> Source:
    """A zip with one CSV and its photos, or else with folders as in `from_folder`. Raises InvalidInputError."""
    lists = archive.names(".csv")
    if len(lists) > 1:
        raise InvalidInputError(
            "zip", f"{archive.name} holds several lists, and one is possible: {', '.join(lists[:5])}."
        )
    if lists:
        file = archive.get(lists[0])
        try:
            raw = file.read_bytes() if file else b""
        except OSError as error:
            raise InvalidInputError("zip", f"{error.filename}: {error.strerror}.") from error
        folder = posixpath.dirname(lists[0])

        def photo(name: str) -> PhotoFile:
            return archive.get(posixpath.join(folder, name)) or _Absent(name, archive.name)

        return _listed(raw, str(file), photo, mapping)
    found: dict[str, list[PhotoFile]] = {}
    for name in archive.names(*datasets.SUFFIXES):
        sku = posixpath.basename(posixpath.dirname(name)) or Path(archive.name).stem
        if (file := archive.get(name)) is not None:
            found.setdefault(sku, []).append(file)
    if not found:
        raise InvalidInputError("zip", f"There is no photo in {archive.name}.")
    return Source([Item(Facts(sku), files, f"{archive.name}/{sku}") for sku, files in sorted(found.items())])


@dataclass(frozen=True)
class _Absent:
    """A photo that a CSV names and that its zip does not contain."""

    path: str
    archive: str

    def __str__(self) -> str:
        return self.path

    @property
    def name(self) -> str:
        return posixpath.basename(self.path)

    def read_bytes(self) -> bytes:
        raise FileNotFoundError(0, f"it is not in {self.archive}", self.path)


def _listed(raw: bytes, name: str, photo: Callable[[str], PhotoFile], mapping: Mapping[str, str] | None) -> Source:
    try:
        table = product_csv.read(raw, mapping)
    except InvalidInputError as error:
        raise InvalidInputError(error.field, f"{name}: {error}") from error
    if not table.lines:
        raise InvalidInputError("csv", f"{name}: There is no line below the header.")
    return Source([_item(line, name, photo) for line in table.lines], listed=True, unread=table.unread)


def _item(line: product_csv.CsvRow, name: str, photo: Callable[[str], PhotoFile]) -> Item:
    errors = line.errors
    active = line.cells.get("active", "").lower()
    if active not in YES | NO:
        errors += (f"The column active says {active[:40]!r}, and it may say yes or no.",)
    photos = [photo(path) for part in line.cells["photos"].split(product_csv.SEPARATOR) if (path := part.strip())]
    return Item(_facts(line.cells), photos, f"{name}:{line.number}", active not in NO, errors)


def _facts(cells: Mapping[str, str]) -> Facts:
    """The facts of a line; an empty cell means not given."""
    own = [column for column in cells if column.startswith(product_csv.ATTRIBUTE) and cells[column]]
    attributes = {column.removeprefix(product_csv.ATTRIBUTE): cells[column] for column in own}
    labels = tuple(label for label in re.split("[|;]", cells.get("labels", "")) if label.strip())
    return Facts(
        cells["sku"],
        cells.get("name", ""),
        cells.get("brand", ""),
        cells.get("category", ""),
        tuple(gtin.split_gtins(cells.get("barcode", ""))),
        cells.get("variant_group") or None,
        labels or None,
        attributes or None,
    )
