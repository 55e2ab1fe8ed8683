"""Import sources: a folder of photos, a CSV with its photos, a zip of either. Parsed into items, not validated."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from catalog.errors import InvalidInputError
from catalog.products import ATTRIBUTE, Facts, check_facts
from catalog.transfer import product_csv
from catalog.transfer.local_files import MAX_LIST, LocalFile, leads_out, read_file, real_path
from catalog.transfer.zip_archive import Archive, ZippedFile, open_archive
from embedder import datasets
from embedder.barcodes import gtin

#: Name of the CSV in a folder or zip that `catalog export` wrote.
LIST = "catalog.csv"
#: Photos without a line in the list that are named, at most.
NAMED = 20
#: Facts in which two lines of one SKU may not contradict each other; an empty cell means not given.
AGREED = ("name", "brand", "category", "variant_group")
ACTIVE = {"": None, **dict.fromkeys(("yes", "y", "true", "1"), True), **dict.fromkeys(("no", "n", "false", "0"), False)}


class PhotoFile(Protocol):
    """A readable photo: a file on a disk, or in a zip. `str` gives its location."""

    @property
    def name(self) -> str:
        """Its file name, without folders."""

    def read_bytes(self) -> bytes:
        """Its content. Raises OSError."""


FileT = TypeVar("FileT", bound=PhotoFile)
FoundT = TypeVar("FoundT", Path, ZippedFile)


@dataclass(frozen=True)
class Item:
    """A product to import: its facts, its photo files, and where it was read (a folder, or a line of a CSV).

    `active`: whether it is to be recognized, as a retired product of an export is not; None: not said. `errors`: what
    is wrong with the form of its line.
    """

    facts: Facts
    photos: list[PhotoFile]
    source: str
    active: bool | None = None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """What was read. `listed`: from a CSV, not from names of folders; `unread`: headers of unknown columns.

    `left_out`: what should have given photos and can't, a line each. `told`: what is no error unless all must be right:
    other files, a SKU that several folders make up, photos that no line of the list names. `system`: hidden files and
    folders, and those that systems make, all passed over.
    """

    items: list[Item]
    listed: bool = False
    unread: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    system: list[str] = field(default_factory=list)

    @property
    def photos(self) -> int:
        """Number of photos that it names."""
        return sum(len(item.photos) for item in self.items)


@contextmanager
def open_source(
    path: Path, mapping: Mapping[str, str] | None = None, *, photos_needed: bool = True
) -> Iterator[Source]:
    """Open a folder, a CSV or a zip; the photos of a zip can be read until the block ends. Raises InvalidInputError.

    `mapping`, `photos_needed`: see product_csv.read. A folder with the CSV of an export is read by that.
    """
    if path.is_dir():
        listed = path / LIST
        yield (
            from_listed_folder(listed, mapping, photos_needed=photos_needed) if listed.is_file() else from_folder(path)
        )
    elif path.suffix.lower() == ".zip":
        with open_archive(path) as archive:
            yield from_zip(archive, mapping, photos_needed=photos_needed)
    else:
        yield from_csv(path, mapping, photos_needed=photos_needed)


def from_folder(root: Path) -> Source:
    """DIR/.../<SKU>/*.jpg, any depth: the folder that holds the photos is the SKU. Raises InvalidInputError."""
    found = _scanned(root)
    empty = f"There is no photo below {root}."
    return _sorted_source(found, "folder", empty, lambda paths: str(paths[0].parent), LocalFile)


def from_listed_folder(
    path: Path, mapping: Mapping[str, str] | None = None, *, photos_needed: bool = True, below: Path | None = None
) -> Source:
    """The folder of a CSV: as `from_csv`, and what no line of the CSV names is told. Raises InvalidInputError."""
    source = from_csv(path, mapping, photos_needed=photos_needed, below=below)
    found = _scanned(path.parent)
    named = {real_path(str(photo)) for item in source.items for photo in item.photos}
    photos = [photo for paths in found.photos.values() for photo in paths]
    unnamed = [str(photo) for photo in photos if real_path(photo) not in named]
    others = [str(left) for left in found.left_out if real_path(left.place) not in named]
    others += [str(left) for left in found.no_photos if left.place != str(path)]
    return replace(source, told=[*_unnamed(unnamed, path.name), *others], system=found.system)


def from_csv(
    path: Path, mapping: Mapping[str, str] | None = None, *, photos_needed: bool = True, below: Path | None = None
) -> Source:
    """A CSV with the columns of `product_csv.COLUMNS`; sku and photos are required, a SKU may have several lines.

    `photos` holds paths relative to the CSV, separated by `|`; `barcode` holds barcodes, separated by a blank or `;`;
    `active` is yes or no. Paths may be those of another system (FileFinder). `below`: the folder that no photo may lie
    outside of, for a list that somebody else wrote; whether there is a file outside is not told. Raises
    InvalidInputError for a file that is no such CSV.
    """
    try:
        raw = read_file(path, MAX_LIST)
    except OSError as error:
        raise InvalidInputError("csv", f"{path} can't be read: {error.strerror}.") from error
    finder = datasets.FileFinder(path.parent)
    root = None if below is None else real_path(below)

    def photo(name: str) -> PhotoFile:
        stated = list(dict.fromkeys((path.parent / name, path.parent / name.replace("\\", "/"))))
        # Before anything is looked for, so that no answer depends on what is outside; then again for what was found.
        if root is None or not any(leads_out(place, root) for place in stated):
            found = finder.find(name)
            if root is None or not any(leads_out(file, root) for file in set(found).difference(stated)):
                return _only(name, [LocalFile(file) for file in found]) or LocalFile(stated[0])
        return _Absent(name, "it leads out of the upload")

    return _listed(raw, str(path), photo, mapping, photos_needed)


def from_zip(archive: Archive, mapping: Mapping[str, str] | None = None, *, photos_needed: bool = True) -> Source:
    """A zip with one CSV and its photos, or else with folders as in `from_folder`. Raises InvalidInputError."""
    listed = list_of(archive)
    found = _sorted_archive(archive)
    if listed is None:
        return _sorted_source(
            found,
            "zip",
            f"There is no photo in {archive.name}.",
            lambda files: posixpath.dirname(str(files[0])),
            lambda file: file,
        )
    try:
        raw = listed.read_bytes()
    except OSError as error:
        raise InvalidInputError("zip", f"{error.filename}: {error.strerror}.") from error
    folder = posixpath.dirname(listed.path)
    untold = sum(not datasets.is_told(file.path) for file in archive.files)
    absent = f"it is not in {archive.name}" + (
        f", which has {untold} names of an encoding that it does not tell" if untold else ""
    )

    def photo(name: str) -> PhotoFile:
        files = archive.find(posixpath.join(folder, name))
        return _only(name, files) or _Absent(name, absent)

    source = _listed(raw, str(listed), photo, mapping, photos_needed)
    named = {str(photo) for item in source.items for photo in item.photos}
    unnamed = [str(file) for files in found.photos.values() for file in files if str(file) not in named]
    others = [str(left) for left in found.left_out if left.place not in named]
    others += [str(left) for left in found.no_photos if left.place != str(listed)]
    return replace(source, told=[*_unnamed(unnamed, listed.name), *others], system=found.system)


def list_of(archive: Archive) -> ZippedFile | None:
    """The CSV in a zip; None when there is none. Raises InvalidInputError for several."""
    lists = [file for file in archive.files if file.name.lower().endswith(".csv") and not _system_part(file.path)]
    if len(lists) > 1:
        names = ", ".join(sorted(file.path for file in lists)[:5])
        raise InvalidInputError("zip", f"{archive.name} holds several lists, and one is possible: {names}.")
    return lists[0] if lists else None


def _scanned(root: Path) -> datasets.Scan[Path]:
    try:
        return datasets.scan_photos(root)
    except OSError as error:
        raise InvalidInputError("folder", str(error)) from error


def _sorted_archive(archive: Archive) -> datasets.Scan[ZippedFile]:
    """The files of a zip, by the rule for folders."""
    sorter: datasets.Sorter[ZippedFile] = datasets.Sorter(archive.name, Path(archive.name).stem)
    for path in archive.folders:
        if (part := _system_part(path)) is not None:
            sorter.pass_over(part)
        else:
            sorter.add_folder(datasets.name_parts(path))
    for file in archive.files:
        parts = datasets.name_parts(file.path)
        if (part := _system_part(file.path)) is not None:
            sorter.pass_over(part)
        elif file.is_link:
            sorter.leave_out(parts, "it is a link, and those of a zip are not followed")
        else:
            sorter.add_file(parts, file, file.read_head)
    return sorter.result()


def _system_part(path: str) -> tuple[str, ...] | None:
    """The start of a path up to what a system made or is hidden; None when nothing in it is."""
    parts = datasets.name_parts(path)
    ends = (end for end, part in enumerate(parts, start=1) if datasets.is_system_name(part))
    end = next(ends, None)
    return None if end is None else parts[:end]


def _sorted_source(
    found: datasets.Scan[FoundT],
    kind: str,
    empty: str,
    place: Callable[[list[FoundT]], str],
    photo: Callable[[FoundT], PhotoFile],
) -> Source:
    """The source of a folder or zip without a list; `empty`: the error when it holds nothing to tell of."""
    if not found.photos and not found.left_out:
        raise InvalidInputError(kind, empty)
    return Source(
        [Item(Facts(sku), [photo(file) for file in files], place(files)) for sku, files in found.photos.items()],
        left_out=[str(left) for left in found.left_out],
        told=[*map(str, found.no_photos), *found.joined],
        system=found.system,
    )


def _unnamed(places: list[str], list_name: str) -> list[str]:
    if not places:
        return []
    more = f" and {len(places) - NAMED:,} more" if len(places) > NAMED else ""
    return [f"{len(places):,} photos that no line of {list_name} names: {', '.join(sorted(places)[:NAMED])}{more}"]


def _only(name: str, files: Sequence[FileT]) -> FileT | _Absent | None:
    """The one file that was found; an absent one when it can't be told which of several; None when there is none."""
    if len(files) > 1:
        return _Absent(name, f"there is no such file, and several of similar names: {', '.join(map(str, files))}")
    return files[0] if files else None


@dataclass(frozen=True)
class _Absent:
    """A photo that a CSV names and that is not there, and why."""

    path: str
    why: str

    def __str__(self) -> str:
        return self.path

    @property
    def name(self) -> str:
        return datasets.name_parts(self.path)[-1]

    def read_bytes(self) -> bytes:
        raise FileNotFoundError(0, self.why, self.path)


def _listed(
    raw: bytes, name: str, photo: Callable[[str], PhotoFile], mapping: Mapping[str, str] | None, photos_needed: bool
) -> Source:
    try:
        table = product_csv.read(raw, mapping, photos_needed=photos_needed)
    except InvalidInputError as error:
        raise InvalidInputError(error.field, f"{name}: {error}") from error
    if not table.lines:
        raise InvalidInputError("csv", f"{name}: There is no line below the header.")
    return Source(_joined([_item(line, name, photo) for line in table.lines]), listed=True, unread=table.unread)


def _joined(items: list[Item]) -> list[Item]:
    """Lines of one SKU say together what it is: each gets the labels and attributes of all, and of the other facts
    what another one gives where it is empty. So it does not count which of them comes first.
    """
    groups: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        groups.setdefault(item.facts.sku.strip(), []).append(place)
    for places in (places for places in groups.values() if len(places) > 1):
        given = [items[place].facts for place in places if _is_right(items[place])]
        labels = tuple(dict.fromkeys(label for facts in given for label in facts.labels or ()))
        attributes = {name: value for facts in reversed(given) for name, value in (facts.attributes or {}).items()}
        texts = {name: next(filter(None, (getattr(facts, name) for facts in given)), "") for name in AGREED}
        for place in places:
            facts = items[place].facts
            own: dict[str, Any] = {name: getattr(facts, name) or value for name, value in texts.items()}
            facts = replace(facts, labels=labels or None, attributes=attributes or None)
            items[place] = replace(items[place], facts=replace(facts, **own))
    return items


def _is_right(item: Item) -> bool:
    try:
        check_facts(item.facts)
    except InvalidInputError:
        return False
    return not item.errors


def _item(line: product_csv.CsvRow, name: str, photo: Callable[[str], PhotoFile]) -> Item:
    errors = line.errors
    active = line.cells.get("active", "").lower()
    if active not in ACTIVE:
        errors += (f"The column active says {active[:40]!r}, and it may say yes or no.",)
    photos = [
        photo(path) for part in line.cells.get("photos", "").split(product_csv.SEPARATOR) if (path := part.strip())
    ]
    return Item(_facts(line.cells), photos, f"{name}:{line.number}", ACTIVE.get(active), errors)


def _facts(cells: Mapping[str, str]) -> Facts:
    """The facts of a line; an empty cell means not given."""
    own = [column for column in cells if column.startswith(ATTRIBUTE) and cells[column]]
    attributes = {column.removeprefix(ATTRIBUTE): cells[column] for column in own}
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
