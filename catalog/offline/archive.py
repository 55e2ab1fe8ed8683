"""The archive for offline tills: a zip whose members are listed, with their hashes, by a manifest that is signed.

    manifest.json             what it is (Manifest), and every other member with its size and SHA-256
    manifest.sig              signature of manifest.json's bytes (signing.py)
    products.jsonl            a product a line, with all that recognition reads of it (product_lines.py)
    looks/<SHA-256>.<kind>    local features, and small pictures, of reference photos (looks.py)

Only in a whole one: `model/<file>` (the bundle) and `gallery/<path>` (the files of a Qdrant Edge shard). Only in a
delta: `points/<number>.npz` (points of the gallery that are new or changed) and `removed.json` (what is gone).

Nothing is read of an archive before its signature was checked, and no member is used before its hash was.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from catalog.durable_files import sync_folder
from catalog.errors import StorageError
from catalog.offline import signing
from catalog.offline.errors import BundleRefusedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: Of the archive; a till refuses one that is higher than its own.
FORMAT = 1
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
PRODUCTS, REMOVED = "products.jsonl", "removed.json"
_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}"
_NAME = re.compile(
    rf"{re.escape(PRODUCTS)}|{re.escape(REMOVED)}|model/{_PART}|gallery/{_PART}(/{_PART}){{0,6}}"
    r"|points/[0-9]{6}\.npz|looks/[0-9a-f]{64}\.[a-z0-9-]{1,40}"
)
#: Bytes of a manifest at most: it is read into memory.
_MANIFEST_BYTES = 256 << 20
_BLOCK = 1 << 20
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError)
_TIME = (1980, 1, 1, 0, 0, 0)
#: How to get out of it, at the end of messages.
AGAIN = "Fetch it again from the server (GET /api/v1/offline-bundle)."

Kind = Literal["whole", "delta"]


@dataclass(frozen=True)
class Facts:
    """What an archive brings: `version` names its content; a delta leads there from the version `since`.

    `schema`: revision of the tables that products are rows of. `bundle`, `bundle_name`, `dim`, `collection`: the model
    that made the vectors, and the gallery's name. `second_look`, `second_look_ms`: how the server decides. `products`,
    `photos` and `points`: how many the till has when it has this version. `thumbnails`: whether every photo has a
    small picture.
    """

    version: str
    schema: str
    bundle: str
    bundle_name: str
    dim: int
    collection: str
    second_look: str
    second_look_ms: int
    products: int
    photos: int
    points: int
    thumbnails: bool
    made_at: str
    kind: Kind = "whole"
    since: str | None = None
    format: int = FORMAT


@dataclass(frozen=True)
class Manifest:
    """`facts`, and of each member its [SHA-256, bytes]."""

    facts: Facts
    members: dict[str, tuple[str, int]]


class Writer:
    """Writes members; memory does not grow with their size."""

    def __init__(self, zipped: zipfile.ZipFile) -> None:
        self._zip = zipped
        self._members: dict[str, tuple[str, int]] = {}

    def add(self, name: str, data: bytes, *, packed: bool = True) -> None:
        """Write a member; `packed`: compressed, for what is not compressed in itself."""
        with self._opened(name, packed) as out:
            out.write(data)
        self._members[name] = hashlib.sha256(data).hexdigest(), len(data)

    def add_file(self, name: str, path: Path) -> None:
        """Write a file as a member, compressed: the gallery's files are mostly empty."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file, self._opened(name, True) as out:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
                out.write(block)
        self._members[name] = digest.hexdigest(), size

    def finish(self, facts: Facts, key: Ed25519PrivateKey) -> None:
        """Write the manifest and sign it; nothing may follow."""
        manifest = {**asdict(facts), "key": signing.public_text(key), "members": self._members}
        raw = json.dumps(manifest, indent=1).encode()
        for name, data in ((MANIFEST, raw), (SIGNATURE, signing.sign(key, raw))):
            with self._opened(name, True) as out:
                out.write(data)

    def _opened(self, name: str, packed: bool) -> IO[bytes]:
        if name in self._members or not (_NAME.fullmatch(name) or name in (MANIFEST, SIGNATURE)):
            raise StorageError(f"{name[:120]!r} is no name that an archive for tills can hold (once).")
        info = zipfile.ZipInfo(name, _TIME)
        info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        info.external_attr = 0o600 << 16
        return self._zip.open(info, "w", force_zip64=True)


@contextmanager
def writing(target: Path) -> Iterator[Writer]:
    """Write an archive beside `target`, and rename it when all is on disk. Raises StorageError."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                with zipfile.ZipFile(file, "w", compresslevel=1) as zipped:
                    yield Writer(zipped)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, target)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise
        sync_folder(target.parent)
    except OSError as error:
        raise StorageError(f"The archive for tills can't be written to {target}: {error.strerror or error}.") from error


class Archive:
    """An archive whose signature was checked."""

    def __init__(self, zipped: zipfile.ZipFile, manifest: Manifest) -> None:
        self._zip, self.manifest = zipped, manifest

    @property
    def facts(self) -> Facts:
        """What it brings."""
        return self.manifest.facts

    def names(self, folder: str) -> list[str]:
        """Members of a folder, sorted."""
        return sorted(name for name in self.manifest.members if name.startswith(f"{folder}/"))

    def read(self, name: str) -> bytes:
        """A member, verified. Raises BundleRefusedError."""
        return b"".join(self._blocks(name))

    def copy(self, name: str, target: Path) -> None:
        """Write a member to a file, verified, sparse where it is empty. Raises BundleRefusedError or OSError."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("wb") as file:
                for block in self._blocks(name):
                    if block.count(0) == len(block):
                        file.seek(len(block), os.SEEK_CUR)
                    else:
                        file.write(block)
                file.truncate()
        except BundleRefusedError:
            target.unlink(missing_ok=True)
            raise

    def check_all(self) -> None:
        """Verify every member. Raises BundleRefusedError."""
        for name in self.manifest.members:
            for _ in self._blocks(name):
                pass

    def _blocks(self, name: str) -> Iterator[bytes]:
        if name not in self.manifest.members:
            raise BundleRefusedError(f"The archive lacks {name}. {AGAIN}")
        expected, size = self.manifest.members[name]
        digest, left = hashlib.sha256(), size
        try:
            with self._zip.open(name) as member:
                while block := member.read(min(_BLOCK, left + 1)):
                    left -= len(block)
                    if left < 0:
                        break
                    digest.update(block)
                    yield block
        except OSError as error:
            raise BundleRefusedError(f"The archive can't be read: {error.strerror or error}.") from error
        except _UNREADABLE as error:
            raise BundleRefusedError(f"{name} in the archive is damaged ({error}). {AGAIN}") from error
        if left or digest.hexdigest() != expected:
            raise BundleRefusedError(f"{name} in the archive is damaged: it does not fit the manifest. {AGAIN}")


@contextmanager
def reading(path: Path, trusted: Collection[str]) -> Iterator[Archive]:
    """Open an archive that one of the `trusted` public keys has signed. Raises BundleRefusedError."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise BundleRefusedError(f"{path} can't be read: {error.strerror}.") from error
    with file:
        try:
            zipped = zipfile.ZipFile(file)
            raw, signature = _small(zipped, MANIFEST, _MANIFEST_BYTES), _small(zipped, SIGNATURE, 64)
        except (*_UNREADABLE, OSError) as error:
            raise BundleRefusedError(f"{path} is no archive for tills, or not whole ({error}). {AGAIN}") from error
        signing.check(trusted, raw, signature)
        manifest = _parsed(raw)
        names = sorted(name for name in zipped.namelist() if name not in (MANIFEST, SIGNATURE))
        if names != sorted(manifest.members):
            raise BundleRefusedError(f"{path} does not hold what its manifest lists. {AGAIN}")
        yield Archive(zipped, manifest)


def _small(zipped: zipfile.ZipFile, name: str, most: int) -> bytes:
    with zipped.open(name) as member:
        data = member.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{name} is too large")
    return data


def _parsed(raw: bytes) -> Manifest:
    """A manifest whose signature was checked. Raises BundleRefusedError for one of a newer version."""
    try:
        found: dict[str, Any] = json.loads(raw)
        if found["format"] > FORMAT:
            raise BundleRefusedError(
                f"The archive is of format {found['format']}, and this till reads format {FORMAT}: update the till's "
                "program first, or serve with the version that it has."
            )
        members = {str(name): (str(sha256), int(size)) for name, (sha256, size) in found.pop("members").items()}
        known = {name: found[name] for name in Facts.__dataclass_fields__}
        if not all(map(_NAME.fullmatch, members)):
            raise ValueError("a name of no member")
        return Manifest(Facts(**known), members)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleRefusedError(f"The archive's manifest is not understood ({error!r}). {AGAIN}") from error
