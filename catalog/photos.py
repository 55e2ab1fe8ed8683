"""The photo store: bytes by their SHA-256, in a local folder or in S3. A photo is written once and never changed."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any, Protocol

from catalog.errors import ConfigError, NotFoundError, StorageError
from embedder import images

#: Longest side of a thumbnail, in pixels.
THUMBNAIL = 240


def content_hash(data: bytes) -> str:
    """The name that these bytes are stored by."""
    return hashlib.sha256(data).hexdigest()


def _key(sha256: str) -> str:
    """Two levels of folders, so that none holds more than a few thousand files at a million photos."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


class PhotoStore(Protocol):
    """Bytes by content, and what was made from them beside them. Every method raises StorageError when it fails."""

    def put(self, data: bytes) -> str:
        """Store; when it returns the SHA-256, the bytes are safe. Storing the same bytes again changes nothing."""
        ...

    def get(self, sha256: str) -> bytes:
        """Bytes that are what their hash says. Raises NotFoundError when they were never stored."""
        ...

    def put_beside(self, sha256: str, kind: str, data: bytes) -> None:
        """Keep what was made from a photo, in the place of an older one; whole or not at all.

        It can be made again, so that a power cut may take it.
        """
        ...

    def get_beside(self, sha256: str, kind: str) -> bytes | None:
        """What was kept beside a photo, if anything is; whether it is whole is for its format to say."""
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
            if path.is_file() and path.read_bytes() == data:  # else it was damaged, and is mended by this
                return sha256
            _write(path, data, sync=True)
            for folder in (path.parent, path.parent.parent, self.root):  # the new names, too, outlive a power cut
                _sync_folder(folder)
        except OSError as error:
            raise StorageError(f"The photo can't be stored in {self.root}: {error.strerror or error}.") from error
        return sha256

    def get(self, sha256: str) -> bytes:
        """Read and check against the hash."""
        try:
            data = (self.root / _key(sha256)).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"The photo {sha256[:12]} is not in the store.") from None
        except OSError as error:
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
        raise StorageError(f"The photo {sha256[:12]} is damaged in the store: its content does not fit its hash.")
    return data


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
