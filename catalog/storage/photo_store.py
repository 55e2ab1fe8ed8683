"""TODO."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from catalog.errors import PhotoDamagedError


def content_hash(data: bytes) -> str:
    """The name that these bytes are stored by."""
    return hashlib.sha256(data).hexdigest()


def photo_key(sha256: str) -> str:
    """Two levels of folders, so that none holds more than a few thousand files at a million photos."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


#: Ends the name of a photo that `remove` looks at.
ASIDE = ".aside"
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

    def put_derived(self, sha256: str, kind: str, data: bytes) -> None:
        """Keep what was made from a photo, in the place of an older one; whole or not at all.

        It can be made again, so that a power cut may take it.
        """
        ...

    def get_derived(self, sha256: str, kind: str) -> bytes | None:
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


def checked_content(sha256: str, data: bytes) -> bytes:
    """The bytes, when they are those of this hash. Raises PhotoDamagedError."""
    if content_hash(data) != sha256:
        raise PhotoDamagedError(f"The photo {sha256[:12]} is damaged in the store: its content does not fit its hash.")
    return data


def stored_files(name: str, written: datetime) -> Iterator[StoredFile]:
    """A file of this store, if it is one."""
    last = name.rpartition("/")[2]
    if found := _NAME.fullmatch(last.removeprefix(".").removesuffix(ASIDE) if last.endswith(ASIDE) else last):
        yield StoredFile(name, found[1], found[2] or "", written)
    elif _UNFINISHED.fullmatch(last):
        yield StoredFile(name, "", "", written)
