"""The folder of what was built for offline tills: CATALOG_DATA/offline. All of it can be built again.

    current.json               the newest version, and by which stamp of the catalog it is known (see stamps.py)
    indexes/<version>.json.gz  what each version consists of, for deltas
    content/<version>/         products.jsonl and points/ of the newest
    archives/<version>[.since-<version>].zip

A version is 16 hex digits that follow from the content alone; `-t` after them: with thumbnails of all photos.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from catalog.durable_files import write_file
from catalog.errors import StorageError

#: Versions whose indexes are kept: a till that is further behind gets a whole archive.
KEPT = 50
VERSION = re.compile("[0-9a-f]{16}(-t)?")
#: After the version of an archive with thumbnails.
THUMBNAILS = "-t"


@dataclass(frozen=True)
class Index:
    """What a version consists of: the model's id, and of each part a digest, by name.

    `products` by id, `points` by id, `looks` by the SHA-256 of the photo; `settings`: how the server decides.
    """

    bundle: str
    settings: str
    products: dict[str, str]
    points: dict[str, str]
    looks: dict[str, str]


class Shelf:
    """The folder. Raises StorageError where it can't be written or read."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def archive(self, version: str, since: str | None = None) -> Path:
        """Where the archive of a version, or the delta to it, is or would be."""
        return self.root / "archives" / (f"{version}.since-{since}.zip" if since else f"{version}.zip")

    def content(self, version: str) -> Path:
        """Folder of products.jsonl and points/ of a version."""
        return self.root / "content" / version

    def current(self) -> tuple[str, str]:
        """(stamp, version) of the newest; ("", "") before the first."""
        try:
            found = json.loads((self.root / "current.json").read_text())
            stamp, version = str(found["stamp"]), str(found["version"])
        except (OSError, ValueError, KeyError, TypeError):
            return "", ""
        return (stamp, version) if self.content(version).is_dir() else ("", "")

    def set_current(self, stamp: str, version: str) -> None:
        """The newest from now on; what only older ones need is removed."""
        with told(self.root):
            write_file(
                self.root / "current.json", json.dumps({"stamp": stamp, "version": version}).encode(), sync=False
            )
            for folder in (self.root / "content").iterdir():
                if folder.name != version:
                    shutil.rmtree(folder, ignore_errors=True)
            for path in (self.root / "archives").glob("*.zip"):
                if not path.name.startswith(version):
                    path.unlink(missing_ok=True)
            indexes = sorted(
                (self.root / "indexes").glob("*.json.gz"), key=lambda path: path.stat().st_mtime, reverse=True
            )
            for path in indexes[KEPT:]:
                path.unlink(missing_ok=True)

    def index(self, version: str) -> Index | None:
        """What a version consists of; None for one that is not known (any more)."""
        if not VERSION.fullmatch(version):
            return None
        try:
            return Index(**json.loads(gzip.decompress(self._index(version).read_bytes())))
        except (OSError, EOFError, ValueError, TypeError):
            return None

    def knows(self, version: str) -> bool:
        """Whether there is an index of a version."""
        return VERSION.fullmatch(version) is not None and self._index(version).is_file()

    def keep_index(self, version: str, index: Index) -> None:
        """Keep it, as the newest."""
        with told(self.root):
            data = gzip.compress(json.dumps(vars(index)).encode(), 1, mtime=0)
            write_file(self._index(version), data, sync=False)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until this is the only process, and thread, that builds; a killed one leaves the place free."""
        with told(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def sweep(self) -> None:
        """Remove what a killed build left. Only `alone`."""
        left = ("content/.new*", "archives/.*.partial", ".points*", ".shard*")
        for path in (path for pattern in left for path in self.root.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()

    def _index(self, version: str) -> Path:
        return self.root / "indexes" / f"{version}.json.gz"


@contextmanager
def told(root: Path) -> Iterator[None]:
    """An OSError becomes a StorageError that names the folder."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The archive for tills can't be kept in {root}: {error.strerror or error}. Make room on that disk."
        ) from error
