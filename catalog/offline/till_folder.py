"""The folder of an offline till: what it recognizes from, and what it has to tell the server.

current                  the version that is in use
versions/<version>/      facts.json, products.jsonl, catalog.db (SQLite) and gallery/: complete, or not there
bundles/<id>/            models
photos/                  local features and small pictures of reference photos, by the photo's SHA-256
till.db                  answers and feedback, until the server has them and for as long as it keeps its own
trusted                  public keys whose archives are taken
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from catalog.durable_files import sync_folder, write_file
from catalog.errors import ConfigError, StorageError
from catalog.offline import product_lines, signing
from catalog.offline.archive import PRODUCTS, Facts
from catalog.offline.errors import BundleRefusedError
from catalog.offline.shelf import VERSION
from catalog.storage import open_store

#: Before the name of a version that is not complete.
FRESH = ".new-"


class TillFolder:
    """The folder. Raises StorageError where it can't be written."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def photos(self) -> Path:
        """Folder of the photo store."""
        return self.root / "photos"

    @property
    def bundles(self) -> Path:
        """Folder of the models."""
        return self.root / "bundles"

    @property
    def archives(self) -> Path:
        """Folder of archives that are being fetched."""
        return self.root / "archives"

    @property
    def database(self) -> Path:
        """File of answers and feedback."""
        return self.root / "till.db"

    def version_folder(self, version: str) -> Path:
        """Folder of a version."""
        return self.root / "versions" / version

    def current(self) -> str:
        """The version in use; "" before the first."""
        try:
            version = (self.root / "current").read_text().strip()
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            raise StorageError(f"{self.root / 'current'} can't be read: {error}.") from error
        return version if VERSION.fullmatch(version) and self.version_folder(version).is_dir() else ""

    def facts(self, version: str) -> Facts:
        """What a version brings. Raises BundleRefusedError if that can't be read."""
        try:
            return Facts(**json.loads((self.version_folder(version) / "facts.json").read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise self.damaged(f"The version {version} in {self.root} is damaged ({error!r}).") from error

    def damaged(self, found: str) -> BundleRefusedError:
        """What was `found` of the version in use, and how to get out of it: the same archive again changes nothing."""
        return BundleRefusedError(
            f"{found} Remove the file {self.root / 'current'}, and install an archive again: --bundle FILE or "
            "--update-from URL. What the till was told is kept."
        )

    def keep_facts(self, folder: Path, facts: Facts) -> None:
        """Write the facts of a version that is being installed in `folder`."""
        write_file(folder / "facts.json", json.dumps(asdict(facts), indent=1).encode(), sync=True)

    def switch(self, version: str) -> None:
        """From now on this version is in use, also after a power cut: one rename."""
        with writable(self.root):
            os.sync()  # thousands of small files, all of which must be on the disk before `current` names them
            write_file(self.root / "current", version.encode(), sync=True)
            sync_folder(self.root)

    def trusted(self, given: Sequence[str] = ()) -> list[str]:
        """The public keys that are trusted: those given, which are kept for the next start, else those kept.

        Raises ConfigError for what is no key, or when there is none.
        """
        path = self.root / "trusted"
        keys = [signing.checked_key(text) for text in given]
        if keys:
            with writable(self.root):
                write_file(path, "\n".join(keys).encode(), sync=True)
            return keys
        try:
            return [signing.checked_key(text) for text in path.read_text().split()]
        except OSError:
            raise ConfigError(
                "Whose archives may this till take? Give --trust KEY: `catalog offline-key` on the server prints it."
            ) from None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """This process is the only one on the folder. Raises ConfigError if it is not."""
        with writable(self.root):
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(
                    f"Another till is running on {self.root}: stop it, or give --data another folder."
                ) from None
            yield
        finally:
            os.close(descriptor)

    def sweep(self) -> None:
        """Remove versions that are not in use or were not completed, other models, and what was being fetched.

        Only while nothing of them is open.
        """
        current = self.current()
        for path in (self.root / "versions").glob("*"):
            if path.name != current:
                shutil.rmtree(path, ignore_errors=True)
        keep = {self.facts(current).bundle} if current else set()
        for path in self.bundles.glob("*"):
            if path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(self.archives, ignore_errors=True)

    def photos_used(self, version: str) -> set[str]:
        """SHA-256 of the photos of a version's products. Raises BundleRefusedError if those can't be read."""
        try:
            lines = (self.version_folder(version) / PRODUCTS).read_bytes().splitlines()
            return {sha256 for line in lines for sha256 in product_lines.photos_of(line)}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self.damaged(f"The products of the version {version} are damaged ({error!r}).") from error

    def keep_photos(self, used: Collection[str]) -> None:
        """Remove what was derived of all photos but these. All files are walked through. Raises StorageError."""
        photos = open_store(f"file:{self.photos}")
        for file in photos.files():
            if file.sha256 not in used:
                photos.remove(file, lambda _: True)


@contextmanager
def writable(root: Path) -> Iterator[None]:
    """An OSError becomes a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"Nothing can be written to {error.filename or root}: {error.strerror or error}. What was in use stays in "
            "use. Make room on that disk, and start again."
        ) from error
