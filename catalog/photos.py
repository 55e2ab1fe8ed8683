"""The photo store: bytes by their SHA-256, in a local folder or in S3. A photo is written once and never changed."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from catalog.errors import ConfigError, NotFoundError, PhotoDamagedError, StorageError
from embedder import images

#: Longest side of a thumbnail, in pixels.
THUMBNAIL = 240


def content_hash(data: bytes) -> str:
    """The name that these bytes are stored by."""
    return hashlib.sha256(data).hexdigest()


def _key(sha256: str) -> str:
    """Two levels of folders, so that none holds more than a few thousand files at a million photos."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


#: Ends the name of a photo that `remove` looks at.
_ASIDE = ".aside"
#: A photo, or what is beside one.
_NAME = re.compile(r"([0-9a-f]{64})(?:\.([a-z0-9-]+))?")
#: What tempfile calls a file that `_write` has not finished.
_UNFINISHED = re.compile(r"\.[a-z0-9_]{8}")


@dataclass(frozen=True)
class StoredFile:
    """A file of the store: `name` in it, the SHA-256 of the photo that it is or belongs to, when it was last put.

    `kind` is "" for a photo, else what is kept beside it. One that has no SHA-256 was never finished.
    """

    name: str
    sha256: str
    kind: str
    written: datetime


class PhotoStore(Protocol):
    """Bytes by content, and what was made from them beside them. Every method raises StorageError when it fails."""

    def put(self, data: bytes) -> str:
        """Store; when it returns the SHA-256, the bytes are safe. Storing the same bytes again changes nothing."""
        ...

    def get(self, sha256: str) -> bytes:
        """Bytes that are what their hash says.

        Raises NotFoundError when they were never stored, PhotoDamagedError when they are others.
        """
        ...

    def put_beside(self, sha256: str, kind: str, data: bytes) -> None:
        """Keep what was made from a photo, in the place of an older one; whole or not at all.

        It can be made again, so that a power cut may take it.
        """
        ...

    def get_beside(self, sha256: str, kind: str) -> bytes | None:
        """What was kept beside a photo, if anything is; whether it is whole is for its format to say."""
        ...

    def files(self) -> Iterator[StoredFile]:
        """All files, those of one photo in a row; other programs' are not listed."""
        ...

    def remove(self, file: StoredFile, unused: Callable[[datetime], bool]) -> bool:
        """Remove a photo and all that is beside it (or an unfinished file) if it is `unused`; whether it is gone.

        `unused` is told when it was last put, and asked when no `put` can come in between any more: a photo that is
        put at the same moment is there afterwards, whatever the answer. Raises StorageError where that can't be made
        sure of.
        """
        ...


class FolderStore:
    """Photos in a local folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes) -> str:
        """Written beside, synced and renamed: after a crash there is the whole photo or none."""
        sha256 = content_hash(data)
        path = self.root / _key(sha256)
        try:
            if _renewed(path, data):  # else it is not there, or was damaged and is mended by this
                return sha256
            _write(path, data, sync=True)
            for folder in (path.parent, path.parent.parent, self.root):  # the new names, too, outlive a power cut
                _sync_folder(folder)
        except OSError as error:
            raise StorageError(f"The photo can't be stored in {self.root}: {error.strerror or error}.") from error
        return sha256

    def get(self, sha256: str) -> bytes:
        """Read and check against the hash."""
        path = self.root / _key(sha256)
        try:
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                data = _aside(path).read_bytes()  # looked at by `remove` right now, or when that was killed
        except FileNotFoundError:
            raise NotFoundError(f"The photo {sha256[:12]} is not in the store.") from None
        except OSError as error:
            if error.errno == errno.EIO:  # the disk has lost this one
                raise PhotoDamagedError(f"The photo {sha256[:12]} can't be read: {error.strerror}.") from error
            raise StorageError(f"The photo {sha256[:12]} can't be read: {error.strerror or error}.") from error
        return _checked(sha256, data)

    def put_beside(self, sha256: str, kind: str, data: bytes) -> None:
        """Written beside and renamed."""
        try:
            _write(self.root / f"{_key(sha256)}.{kind}", data, sync=False)
        except OSError as error:
            raise StorageError(f"The {kind} of a photo can't be kept in {self.root}: {error.strerror}.") from error

    def get_beside(self, sha256: str, kind: str) -> bytes | None:
        """Read."""
        try:
            return (self.root / f"{_key(sha256)}.{kind}").read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"The {kind} of photo {sha256[:12]} can't be read: {error.strerror}.") from error

    def files(self) -> Iterator[StoredFile]:
        """Two levels of folders, each in the order of names."""
        try:
            for folder in sorted(self.root.glob("??/??")):
                with os.scandir(folder) as entries:
                    found = sorted(entries, key=lambda entry: entry.name.lstrip("."))
                for entry in found:
                    with suppress(FileNotFoundError):  # it was a moment ago
                        if entry.is_file(follow_symlinks=False):
                            written = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
                            name = f"{folder.relative_to(self.root)}/{entry.name}"
                            yield from _stored(name, written)
        except OSError as error:
            raise StorageError(f"The photos in {self.root} can't be listed: {error.strerror}.") from error

    def remove(self, file: StoredFile, unused: Callable[[datetime], bool]) -> bool:
        """Set aside under another name, asked, then removed or put back; `put` makes what it finds new."""
        try:
            with _locked(self.root):  # two that remove the same would take each other's
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
        path = self.root / _key(file.sha256)
        aside = _aside(path)
        with suppress(FileNotFoundError):  # set aside by a run that was killed, or never there: only files beside
            os.rename(path, aside)
        gone = False
        try:
            gone = unused(_written(aside) if aside.exists() else file.written)
        finally:
            if not gone and aside.exists():
                with suppress(FileExistsError):  # put anew meanwhile
                    os.link(aside, path)
                _sync_folder(path.parent)
            aside.unlink(missing_ok=True)
        if gone:
            for beside in path.parent.glob(f"{file.sha256}.*"):
                beside.unlink(missing_ok=True)
        return gone


class S3Store:
    """Photos in a bucket, by fsspec (extra `s3`)."""

    def __init__(self, url: str, filesystem: Any = None) -> None:
        if filesystem is None:
            try:
                import s3fs
            except ModuleNotFoundError:
                raise ConfigError("CATALOG_PHOTOS=s3://... needs the extra: pip install 'photo-catalog[s3]'.") from None
            filesystem = s3fs.S3FileSystem()
        self._files = filesystem
        self._prefix = url.removeprefix("s3://").rstrip("/")

    def put(self, data: bytes) -> str:
        """One request; S3 shows the whole object or none."""
        sha256 = content_hash(data)
        path = f"{self._prefix}/{_key(sha256)}"
        try:
            if not self._files.exists(path):
                self._files.pipe_file(path, data)
        except Exception as error:  # each backend raises its own; none of them may reach a person
            raise StorageError(f"The photo can't be stored in s3://{self._prefix}: {error}.") from error
        return sha256

    def get(self, sha256: str) -> bytes:
        """Read and check against the hash."""
        try:
            data: bytes = self._files.cat_file(f"{self._prefix}/{_key(sha256)}")
        except FileNotFoundError:
            raise NotFoundError(f"The photo {sha256[:12]} is not in the store.") from None
        except Exception as error:
            raise StorageError(f"The photo {sha256[:12]} can't be read: {error}.") from error
        return _checked(sha256, data)

    def put_beside(self, sha256: str, kind: str, data: bytes) -> None:
        """One request."""
        try:
            self._files.pipe_file(f"{self._prefix}/{_key(sha256)}.{kind}", data)
        except Exception as error:
            raise StorageError(f"The {kind} of a photo can't be kept in s3://{self._prefix}: {error}.") from error

    def get_beside(self, sha256: str, kind: str) -> bytes | None:
        """One request."""
        try:
            data: bytes = self._files.cat_file(f"{self._prefix}/{_key(sha256)}.{kind}")
        except FileNotFoundError:
            return None
        except Exception as error:
            raise StorageError(f"The {kind} of photo {sha256[:12]} can't be read: {error}.") from error
        return data

    def files(self) -> Iterator[StoredFile]:
        """Listed in 256 parts, so that a million photos are never in memory at once."""
        for start in range(256):
            try:
                found: dict[str, Any] = self._files.find(f"{self._prefix}/{start:02x}", detail=True)
            except Exception as error:
                raise StorageError(f"The photos in s3://{self._prefix} can't be listed: {error}.") from error
            for path in sorted(found):
                written = found[path].get("LastModified") or self._files.modified(path)
                yield from _stored(path.lstrip("/").removeprefix(f"{self._prefix}/"), written)

    def remove(self, file: StoredFile, unused: Callable[[datetime], bool]) -> bool:
        """Never: a bucket has no step that would keep a photo which is put at the same moment."""
        raise StorageError(f"{file.name} stays: a bucket can't be asked to remove only what nobody puts right now.")


def open_store(url: str) -> PhotoStore:
    """`file:PATH` or `s3://BUCKET/PREFIX`. Raises ConfigError."""
    if url.startswith("s3://"):
        return S3Store(url)
    return FolderStore(Path(url.removeprefix("file:")))


def thumbnail(data: bytes, side: int = THUMBNAIL) -> bytes:
    """Bytes of a photo -> an upright JPEG of at most `side` pixels. Raises embedder.errors.ImageError."""
    picture = images.decode(data, want=side)
    picture.thumbnail((side, side))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=82, optimize=True)
    return out.getvalue()


def _checked(sha256: str, data: bytes) -> bytes:
    if content_hash(data) != sha256:
        raise PhotoDamagedError(f"The photo {sha256[:12]} is damaged in the store: its content does not fit its hash.")
    return data


def _stored(name: str, written: datetime) -> Iterator[StoredFile]:
    """A file of this store, if it is one."""
    last = name.rpartition("/")[2]
    if found := _NAME.fullmatch(last.removeprefix(".").removesuffix(_ASIDE) if last.endswith(_ASIDE) else last):
        yield StoredFile(name, found[1], found[2] or "", written)
    elif _UNFINISHED.fullmatch(last):
        yield StoredFile(name, "", "", written)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}{_ASIDE}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One at a time, in all processes."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _written(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _renewed(path: Path, data: bytes) -> bool:
    """Whether these bytes are there already; then they are as if put this moment, so that `remove` leaves them."""
    try:
        if not path.is_file() or path.read_bytes() != data:
            return False
        os.utime(path)
    except FileNotFoundError:  # set aside a moment ago
        return False
    return True


def _write(path: Path, data: bytes, *, sync: bool) -> None:
    """A whole file or none, whatever happens; with `sync`, its content outlives a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            temporary = file.name
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
