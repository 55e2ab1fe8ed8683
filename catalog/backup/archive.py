"""The file format of a backup: a tar whose completeness can be verified.

    about.json                    first: format, schema, when
    tables/<table>/<number>       rows as JSON lines (table_rows.py)
    bundles/<id>/<file>
    photos/<SHA-256>
    manifest.json                 last: the SHA-256 of all of the above, how many rows, what was left out

Nothing is ever extracted by the names in it: a reader accepts these kinds of names alone, and no link or folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from catalog.durable_files import sync_folder
from catalog.errors import CatalogError
from catalog.progress import Steps

FORMAT = 1
ABOUT, MANIFEST = "about.json", "manifest.json"
_NAME = re.compile(
    rf"{re.escape(ABOUT)}|{re.escape(MANIFEST)}|tables/([a-z_]+)/([0-9]{{6}})"
    r"|bundles/([0-9a-f]{12})/([A-Za-z0-9][A-Za-z0-9._-]{0,59})|photos/([0-9a-f]{64})"
)
_BLOCK = 1 << 20
_UNREADABLE = (tarfile.TarError, EOFError, ValueError, OverflowError, OSError)
#: Bytes of about.json or manifest.json, at most; they are read into memory.
_SMALL = 256 << 20


class ArchiveError(CatalogError):
    """A file that is no backup, incomplete, modified, or of an unsupported version; nothing was changed."""

    code = "archive_unusable"


class BackupFailedError(CatalogError):
    """The backup could not be written; an older file at the target is unchanged."""

    code = "backup_failed"


class Contents:
    """Digest of the members so far, ordered; of constant size for the photos, of which there may be a million."""

    def __init__(self) -> None:
        self._about = ""
        self._tables: dict[str, list[str]] = {}
        self._bundles: dict[str, dict[str, str]] = {}
        self.photos = self.photo_bytes = 0
        self._names = hashlib.sha256()

    def note(self, name: str, sha256: str, size: int) -> None:
        """Add a member. Raises ArchiveError for a photo that doesn't match its hash, and for parts out of order."""
        kind, _, rest = name.partition("/")
        if name == ABOUT:
            self._about = sha256
        elif kind == "tables":
            table, number = rest.split("/")
            known = self._tables.setdefault(table, [])
            if int(number) != len(known):
                raise ArchiveError(f"{name} is not in its place: the backup was changed.")
            known.append(sha256)
        elif kind == "bundles":
            bundle, file = rest.split("/")
            self._bundles.setdefault(bundle, {})[file] = sha256
        elif kind == "photos":
            if rest != sha256:
                raise ArchiveError(
                    f"The photo {rest[:12]} is damaged in the backup: its content does not fit its hash."
                )
            self._names.update(sha256.encode())
            self.photos += 1
            self.photo_bytes += size

    def as_dict(self) -> dict[str, Any]:
        """As the manifest states it, and as a reader must compute it."""
        photos = {"count": self.photos, "bytes": self.photo_bytes, "sha256": self._names.hexdigest()}
        return {"about": self._about, "tables": self._tables, "bundles": self._bundles, "photos": photos}


class Writer:
    """Writes members; memory does not grow with their number."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.contents = Contents()

    def add(self, name: str, data: bytes) -> None:
        """Write a member."""
        self._write(name, data)
        self.contents.note(name, hashlib.sha256(data).hexdigest(), len(data))

    def finish(self, facts: dict[str, Any]) -> None:
        """Write the manifest, with these facts; nothing may follow."""
        manifest = {**facts, "contents": self.contents.as_dict()}
        self._write(MANIFEST, json.dumps({**manifest, "sha256": _digest(manifest)}, indent=1).encode())

    def _write(self, name: str, data: bytes) -> None:
        if not _NAME.fullmatch(name):
            raise BackupFailedError(f"{name!r} is no name that a backup can hold.")
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = len(data), int(time.time()), 0o600
        self._tar.addfile(info, io.BytesIO(data))
        _forget(self._tar)


@contextmanager
def writing(target: Path) -> Iterator[Writer]:
    """Write a temporary file, and rename it to the target when all is on disk; until then the target is unchanged.

    Only its owner may read it: it holds hashes of passwords and keys. Raises BackupFailedError.
    """
    if target.is_dir() or not target.name:
        raise BackupFailedError(f"{target} is a folder: name the file that the backup is to be.")
    partial = target.with_name(f".{target.name}.partial")
    try:
        # Not truncated before it is locked: it may be another process's.
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "r+b") as file:
            _lock(file, partial)
            try:
                file.truncate()  # what a killed backup left
                with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                    yield Writer(tar)
                file.flush()
                os.fsync(file.fileno())
                os.replace(partial, target)
            except BaseException:
                with suppress(OSError):
                    partial.unlink()
                raise
        sync_folder(target.parent)
    except OSError as error:
        raise BackupFailedError(f"The backup can't be written to {target}: {error.strerror or error}.") from error


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except (BlockingIOError, FileNotFoundError):
        mine = False
    if not mine:  # locked by another process, or just renamed by one
        raise BackupFailedError(f"Another process is writing {path} right now.")


def check(file: BinaryIO, accept: Callable[[dict[str, Any]], None], steps: Steps) -> dict[str, Any]:
    """Verify a whole backup -> its manifest. Raises ArchiveError unless every byte is what was written.

    `accept` gets the content of about.json, before anything else is read. `steps` counts bytes.
    """
    contents = Contents()
    manifest: dict[str, Any] | None = None
    for member in members(file):
        name, size = member.name, member.size
        if manifest is not None:
            raise ArchiveError(f"{name} follows the end of the backup: it was changed.")
        if (name == ABOUT) != (contents.as_dict()["about"] == ""):
            raise ArchiveError("This is no backup of a catalog: it does not begin with its description.")
        if name in (ABOUT, MANIFEST):
            data = member.read(min(size, _SMALL))
            if name == ABOUT:
                accept(_parsed(name, data))
            else:
                manifest = _parsed(name, data)
            contents.note(name, hashlib.sha256(data).hexdigest(), size)
        else:
            digest = hashlib.sha256()
            while block := member.read(_BLOCK):
                digest.update(block)
                steps.advance(len(block))
            contents.note(name, digest.hexdigest(), size)
    if manifest is None:
        raise ArchiveError("The backup is not whole: its end is missing.")
    own = manifest.pop("sha256", None)
    if own != _digest(manifest) or manifest.get("contents") != contents.as_dict():
        raise ArchiveError("The backup was changed after it was written: its content does not fit its manifest.")
    return manifest


@dataclass(frozen=True)
class Member:
    """A name, and content of `size` bytes that can be read until the next member is."""

    name: str
    size: int
    _content: IO[bytes]

    def read(self, size: int = -1) -> bytes:
        """The next bytes. Raises ArchiveError if the file ends too early."""
        try:
            return self._content.read(size)
        except _UNREADABLE as error:
            raise ArchiveError(f"The backup is not whole: {error}.") from error


def members(file: BinaryIO) -> Iterator[Member]:
    """All members, in order. Raises ArchiveError."""
    try:
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (info := tar.next()) is not None:
                _forget(tar)
                content = tar.extractfile(info) if info.type == tarfile.REGTYPE and info.size >= 0 else None
                if content is None or not _NAME.fullmatch(info.name):
                    raise ArchiveError(f"The backup holds {info.name[:80]!r}, which no backup of a catalog does.")
                yield Member(info.name, info.size, content)
    except _UNREADABLE as error:
        raise ArchiveError(f"The backup can't be read: {error}.") from error


def _forget(tar: tarfile.TarFile) -> None:
    """Clear the library's list of members, which would grow with the backup."""
    tar.members.clear()  # type: ignore[attr-defined]


def _parsed(name: str, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"The backup's {name} can't be read: {error}.") from error
    if not isinstance(found, dict):
        raise ArchiveError(f"The backup's {name} can't be read.")
    return found


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
