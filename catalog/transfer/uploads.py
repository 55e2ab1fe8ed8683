"""Files of an import that were uploaded: below the data folder, of its owner alone, and on disk when said to be."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from catalog.config import Settings
from catalog.errors import InvalidInputError, StorageError
from catalog.normalization import plain
from catalog.transfer import product_csv, sources
from catalog.transfer.local_files import MAX_LIST, read_file
from catalog.transfer.sources import Source
from catalog.transfer.zip_archive import open_archive
from embedder import datasets

#: Bytes and files of one import, at most.
MAX_BYTES, MAX_FILES = 20 << 30, 100_000
#: Bytes that an upload leaves free on the disk: the catalog needs room for the photos, too.
KEPT_FREE = 1 << 30
#: Bytes of a name in a path, and of the path, at most: what file systems have.
LONGEST_NAME, LONGEST_PATH = 255, 1000
#: The error of an upload without a file.
NONE = "Choose a list (CSV), a zip, or a folder of photos."


@dataclass
class Growth:
    """By how much an upload grew: bytes on the disk, and files."""

    bytes: int = 0
    files: int = 0


def imports_folder(settings: Settings) -> Path:
    """The folder of all imports."""
    return settings.data / "imports"


def make_imports_folder(settings: Settings) -> Path:
    """The folder of all imports, which is there from now on. Raises StorageError."""
    folder = imports_folder(settings)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"Uploads can't be stored: {error.strerror}.") from error
    return folder


def files_folder(settings: Settings, job: uuid.UUID) -> Path:
    """The folder of the files of an import."""
    return imports_folder(settings) / str(job) / "files"


def free_bytes(settings: Settings) -> int:
    """Bytes that uploads may still take. Raises StorageError."""
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        return max(0, min(MAX_BYTES, shutil.disk_usage(settings.data).free - KEPT_FREE))
    except OSError as error:
        raise StorageError(f"The data folder can't be read: {error.strerror}.") from error


@contextmanager
def writing(settings: Settings, job: uuid.UUID) -> Iterator[Path]:
    """The folder of the files of an import, for who changes it: one at a time, of all threads and processes.

    Raises StorageError.
    """
    make_imports_folder(settings)
    root = files_folder(settings, job)
    try:
        root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root.parent, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"The upload can't be stored: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield root
    finally:
        os.close(descriptor)


def measure(root: Path) -> tuple[int, int]:
    """Bytes and number of the files of an import."""
    sizes = [path.lstat().st_size for path in root.rglob("*") if not path.is_dir()]
    return sum(sizes), len(sizes)


def growth(root: Path, path: str, offset: int, size: int) -> Growth:
    """What `write_piece` will add with a piece of `size` bytes. Raises InvalidInputError like it."""
    target = root.joinpath(*_parts(path))
    there = target.lstat().st_size if target.is_file() else 0
    return Growth(max(0, offset + size - there), int(not target.is_file()))


def write_piece(root: Path, path: str, offset: int, data: IO[bytes], grown: Growth) -> None:
    """Write bytes of a file from `offset` on, durably; `grown` is right also when this fails in the middle.

    A piece that comes again changes nothing. Raises InvalidInputError for a name that leads out of the folder or that
    no file can have, or a piece whose predecessor is missing; StorageError when the disk is full.
    """
    target = root.joinpath(*_parts(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        is_new = not target.exists()
        descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        grown.files += is_new
        size = os.fstat(descriptor).st_size
        try:
            with os.fdopen(descriptor, "r+b", closefd=False) as file:
                if offset > size:
                    raise InvalidInputError(
                        "files", f"{path}: a piece before byte {offset:,} is missing; send it again."
                    )
                file.seek(offset)
                shutil.copyfileobj(data, file, 1 << 20)
                file.flush()
                os.fsync(descriptor)
        finally:
            grown.bytes += os.fstat(descriptor).st_size - size
            os.close(descriptor)
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise InvalidInputError("files", f"{path}: a file and a folder have the same name.") from error
    except OSError as error:
        raise StorageError(f"The upload can't be stored: {error.strerror}.") from error


def _parts(path: str) -> tuple[str, ...]:
    parts = datasets.name_parts(path)
    said = f"{path[:200]!a}" if not plain(path) else path[:200]
    if not plain(path) or any(part in (".", "..") or len(part.encode()) > LONGEST_NAME for part in parts):
        raise InvalidInputError("files", f"No file can have the name {said}.")
    if len("/".join(parts).encode()) > LONGEST_PATH or not path.strip("/\\ "):
        raise InvalidInputError("files", f"No file can have the name {said or 'of nothing'}.")
    return parts


@contextmanager
def open_upload(root: Path, mapping: Mapping[str, str]) -> Iterator[Source]:
    """The source that uploaded files are: one zip; photos with one CSV, wherever it lies; or folders named by SKUs.

    Photos are not needed: a list may be of products that are there. It reaches no file but the uploaded ones. Raises
    InvalidInputError.
    """
    kind, path = _main_file(root)
    if kind == "zip":
        with open_archive(path) as archive:
            yield sources.from_zip(archive, mapping, photos_needed=False)
    elif kind == "csv":
        yield sources.from_listed_folder(path, mapping, photos_needed=False, below=root)
    else:
        yield sources.from_folder(path)


def list_headers(root: Path) -> list[str] | None:
    """The headers of the list in uploaded files; None when they hold none. Raises InvalidInputError."""
    kind, path = _main_file(root)
    if kind == "folder":
        return None
    try:
        if kind == "csv":
            return product_csv.read_headers(read_file(path, MAX_LIST))
        with open_archive(path) as archive:
            found = sources.list_of(archive)
            return product_csv.read_headers(found.read_bytes()) if found else None
    except OSError as error:
        raise InvalidInputError("csv", f"{path.name} can't be read: {error.strerror}.") from error


def _main_file(root: Path) -> tuple[str, Path]:
    """("zip" | "csv" | "folder", its path). Raises InvalidInputError."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not _is_passed_over(root, path)]
    if not files:
        raise InvalidInputError("files", NONE)
    lists = [path for path in files if path.suffix.lower() == ".csv"]
    zips = [path for path in files if path.suffix.lower() == ".zip"]
    if len(lists) > 1:
        names = ", ".join(str(path.relative_to(root)) for path in lists[:5])
        raise InvalidInputError("files", f"There are several lists, and one is possible: {names}.")
    if zips and len(files) > 1:
        raise InvalidInputError("files", "A zip is imported by itself: choose it alone.")
    if zips:
        return "zip", zips[0]
    if lists:
        return "csv", lists[0]
    if len(files) == 1 and files[0].suffix.lower() not in datasets.SUFFIXES:
        return "csv", files[0]  # which says what it is instead
    if any(path.parent == root for path in files):
        raise InvalidInputError(
            "files", "Photos need a list that names them, or a folder for each product, whose name is its SKU."
        )
    return "folder", root


def _is_passed_over(root: Path, path: Path) -> bool:
    return any(datasets.is_system_name(part) for part in path.relative_to(root).parts)


def stored(settings: Settings) -> list[str]:
    """The imports whose files are here; also one that the database does not know, as after a restore."""
    folder = imports_folder(settings)
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def remove(settings: Settings, name: str) -> None:
    """Remove the files of an import."""
    shutil.rmtree(imports_folder(settings) / name, ignore_errors=True)
