"""The protocol of a photo store: content-addressed files, and what was derived from each beside it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from catalog.errors import PhotoDamagedError


def content_hash(data: bytes) -> str:
    """SHA-256 (hex) of the bytes: the name that they are stored by."""
    return hashlib.sha256(data).hexdigest()


def photo_key(sha256: str) -> str:
    """Path in the store: two levels of folders, so that none has more than a few thousand files at a million photos."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


#: Suffix of a photo that `remove` has set aside.
ASIDE = ".aside"
#: A photo, or a file derived from one.
_NAME = re.compile(r"([0-9a-f]{64})(?:\.([a-z0-9-]+))?")
#: Name of a temporary file that `durable_files.write_file` has not finished.
_UNFINISHED = re.compile(r"\.[a-z0-9_]{8}")


@dataclass(frozen=True)
class StoredFile:
    """A file of the store: its `name`, the SHA-256 of the photo that it is or belongs to, when it was last put.

    `kind` is "" for a photo, else that of the derived file. A file without a SHA-256 was never finished.
    """

    name: str
    sha256: str
    kind: str
    written: datetime


class PhotoStore(Protocol):
    """Content-addressed photos and the files derived from them. Every method raises StorageError when it fails."""

    def prepare(self) -> None:
        """Make what photos are stored in, where that is missing; safe to repeat."""
        ...

    def put(self, data: bytes) -> str:
        """Store bytes -> their SHA-256; on return they are safely stored. Idempotent."""
        ...

    def get(self, sha256: str) -> bytes:
        """The bytes with this hash, verified.

        Raises NotFoundError when they were never stored, PhotoDamagedError when they don't match the hash.
        """
        ...

    def put_derived(self, sha256: str, kind: str, data: bytes) -> None:
        """Store data derived from a photo, atomically, replacing an older file of the kind.

        It can be rebuilt, so it need not survive a power cut.
        """
        ...

    def get_derived(self, sha256: str, kind: str) -> bytes | None:
        """The derived data of this kind, or None. Not verified: its format must show damage."""
        ...

    def put_file(self, name: str, data: bytes) -> None:
        """Store a file that belongs to no photo, atomically, replacing an older one; on return it is safely stored.

        `name` is a path in a folder that no photo has, such as "bundles/...": `files` does not list it.
        """
        ...

    def get_file(self, name: str) -> bytes | None:
        """What `put_file` stored by that name, or None. Not verified."""
        ...

    def files(self) -> Iterator[StoredFile]:
        """All photos and their files, those of one photo consecutively; other files are not listed."""
        ...

    def remove(self, file: StoredFile, unused: Callable[[datetime], bool]) -> bool:
        """Remove a photo and its derived files (or an unfinished file) if it is `unused`; returns whether it is gone.

        `unused` gets the time of the last put, and is called when no `put` can intervene any more: a photo that is put
        at the same moment is there afterwards, whatever the answer. Raises StorageError where that can't be guaranteed.
        """
        ...


def checked_content(sha256: str, data: bytes) -> bytes:
    """The bytes, if they match the hash; else raises PhotoDamagedError."""
    if content_hash(data) != sha256:
        raise PhotoDamagedError(f"The photo {sha256[:12]} is damaged in the store: its content does not fit its hash.")
    return data


def stored_files(name: str, written: datetime) -> Iterator[StoredFile]:
    """The StoredFile of this name, if it is a file of the store."""
    last = name.rpartition("/")[2]
    if found := _NAME.fullmatch(last.removeprefix(".").removesuffix(ASIDE) if last.endswith(ASIDE) else last):
        yield StoredFile(name, found[1], found[2] or "", written)
    elif _UNFINISHED.fullmatch(last):
        yield StoredFile(name, "", "", written)
