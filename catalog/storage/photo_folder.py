"""Photos in a local folder."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from catalog.durable_files import sync_folder, write_file
from catalog.errors import NotFoundError, PhotoDamagedError, StorageError
from catalog.storage.photo_store import ASIDE, StoredFile, checked_content, content_hash, photo_key, stored_files


class FolderStore:
    """Photos in a local folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make the folder."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"The folder of the photos can't be made: {error}.") from error

    def put(self, data: bytes) -> str:
        """Written to a temporary file, synced and renamed: after a crash the photo is complete or absent."""
        sha256 = content_hash(data)
        path = self.root / photo_key(sha256)
        try:
            if _renewed(path, data):  # else it is missing, or damaged and repaired by the write
                return sha256
            write_file(path, data, sync=True)
            for folder in (path.parent, path.parent.parent, self.root):  # the new names survive a power cut, too
                sync_folder(folder)
        except OSError as error:
            raise StorageError(f"The photo can't be stored in {self.root}: {error.strerror or error}.") from error
        return sha256

    def get(self, sha256: str) -> bytes:
        """Read and verify the hash."""
        path = self.root / photo_key(sha256)
        try:
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                data = _aside(path).read_bytes()  # set aside by `remove` right now, or by one that was killed
        except FileNotFoundError:
            raise NotFoundError(f"The photo {sha256[:12]} is not in the store.") from None
        except OSError as error:
            if error.errno == errno.EIO:  # the disk can't read this one file
                raise PhotoDamagedError(f"The photo {sha256[:12]} can't be read: {error.strerror}.") from error
            raise StorageError(f"The photo {sha256[:12]} can't be read: {error.strerror or error}.") from error
        return checked_content(sha256, data)

    def put_derived(self, sha256: str, kind: str, data: bytes) -> None:
        """Written to a temporary file and renamed."""
        try:
            write_file(self.root / f"{photo_key(sha256)}.{kind}", data, sync=False)
        except OSError as error:
            raise StorageError(f"The {kind} of a photo can't be kept in {self.root}: {error.strerror}.") from error

    def get_derived(self, sha256: str, kind: str) -> bytes | None:
        """Read."""
        try:
            return (self.root / f"{photo_key(sha256)}.{kind}").read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"The {kind} of photo {sha256[:12]} can't be read: {error.strerror}.") from error

    def put_file(self, name: str, data: bytes) -> None:
        """Written to a temporary file, synced and renamed."""
        path = self.root / name
        try:
            write_file(path, data, sync=True)
            for folder in (path.parent, path.parent.parent, self.root):
                sync_folder(folder)
        except OSError as error:
            raise StorageError(f"{name} can't be stored in {self.root}: {error.strerror or error}.") from error

    def get_file(self, name: str) -> bytes | None:
        """Read."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{name} in {self.root} can't be read: {error.strerror}.") from error

    def files(self) -> Iterator[StoredFile]:
        """Two levels of folders, each sorted by name."""
        try:
            for folder in sorted(self.root.glob("??/??")):
                with os.scandir(folder) as entries:
                    found = sorted(entries, key=lambda entry: entry.name.lstrip("."))
                for entry in found:
                    with suppress(FileNotFoundError):  # removed meanwhile
                        if entry.is_file(follow_symlinks=False):
                            written = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
                            name = f"{folder.relative_to(self.root)}/{entry.name}"
                            yield from stored_files(name, written)
        except OSError as error:
            raise StorageError(f"The photos in {self.root} can't be listed: {error.strerror}.") from error

    def remove(self, file: StoredFile, unused: Callable[[datetime], bool]) -> bool:
        """Rename aside, ask `unused`, then remove or rename back; `put` renews the time of a file that it finds."""
        try:
            with _locked(self.root):  # two that remove the same photo would take each other's file aside
                if file.sha256:
                    return self._remove_photo(file, unused)
                path = self.root / file.name
                gone = unused(_written(path))
                if gone:
                    path.unlink()
                return gone
        except OSError as error:
            raise StorageError(f"{file.name} in {self.root} can't be removed: {error.strerror}.") from error

    def _remove_photo(self, file: StoredFile, unused: Callable[[datetime], bool]) -> bool:
        path = self.root / photo_key(file.sha256)
        aside = _aside(path)
        with suppress(FileNotFoundError):  # set aside by a killed run, or missing: only derived files
            os.rename(path, aside)
        gone = False
        try:
            gone = unused(_written(aside) if aside.exists() else file.written)
        finally:
            if not gone and aside.exists():
                with suppress(FileExistsError):  # put again meanwhile
                    os.link(aside, path)
                sync_folder(path.parent)
            aside.unlink(missing_ok=True)
        if gone:
            for beside in path.parent.glob(f"{file.sha256}.*"):
                beside.unlink(missing_ok=True)
        return gone


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}{ASIDE}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder exclusively among all processes."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _written(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _renewed(path: Path, data: bytes) -> bool:
    """Whether these bytes are stored already; if so, set their time to now, so that `remove` leaves them."""
    try:
        if not path.is_file() or path.read_bytes() != data:
            return False
        os.utime(path)
    except FileNotFoundError:  # set aside a moment ago
        return False
    return True
