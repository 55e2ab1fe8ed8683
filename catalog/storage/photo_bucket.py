"""Photos in a bucket (S3), by fsspec."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from catalog.errors import ConfigError, NotFoundError, StorageError
from catalog.storage.photo_store import StoredFile, checked_content, content_hash, photo_key, stored_files


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

    def prepare(self) -> None:
        """Make the bucket, if it is missing."""
        bucket = self._prefix.partition("/")[0]
        try:
            if not self._files.exists(bucket):
                self._files.mkdir(bucket)
        except FileExistsError:  # another process was faster
            return
        except Exception as error:
            raise StorageError(
                f"There is no bucket {bucket}, or no right to see it, and none can be made: {error}."
            ) from error

    def put(self, data: bytes) -> str:
        """One request; S3 writes an object atomically."""
        sha256 = content_hash(data)
        path = f"{self._prefix}/{photo_key(sha256)}"
        try:
            if not self._files.exists(path):
                self._files.pipe_file(path, data)
        except Exception as error:  # each fsspec backend raises its own; none may reach a person
            raise StorageError(f"The photo can't be stored in s3://{self._prefix}: {error}.") from error
        return sha256

    def get(self, sha256: str) -> bytes:
        """Read and verify the hash."""
        try:
            data: bytes = self._files.cat_file(f"{self._prefix}/{photo_key(sha256)}")
        except FileNotFoundError:
            raise NotFoundError(f"The photo {sha256[:12]} is not in the store.") from None
        except Exception as error:
            raise StorageError(f"The photo {sha256[:12]} can't be read: {error}.") from error
        return checked_content(sha256, data)

    def put_derived(self, sha256: str, kind: str, data: bytes) -> None:
        """One request."""
        try:
            self._files.pipe_file(f"{self._prefix}/{photo_key(sha256)}.{kind}", data)
        except Exception as error:
            raise StorageError(f"The {kind} of a photo can't be kept in s3://{self._prefix}: {error}.") from error

    def get_derived(self, sha256: str, kind: str) -> bytes | None:
        """One request."""
        try:
            data: bytes = self._files.cat_file(f"{self._prefix}/{photo_key(sha256)}.{kind}")
        except FileNotFoundError:
            return None
        except Exception as error:
            raise StorageError(f"The {kind} of photo {sha256[:12]} can't be read: {error}.") from error
        return data

    def put_file(self, name: str, data: bytes) -> None:
        """One request."""
        try:
            self._files.pipe_file(f"{self._prefix}/{name}", data)
        except Exception as error:
            raise StorageError(f"{name} can't be stored in s3://{self._prefix}: {error}.") from error

    def get_file(self, name: str) -> bytes | None:
        """One request."""
        try:
            data: bytes = self._files.cat_file(f"{self._prefix}/{name}")
        except FileNotFoundError:
            return None
        except Exception as error:
            raise StorageError(f"{name} in s3://{self._prefix} can't be read: {error}.") from error
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
                yield from stored_files(path.lstrip("/").removeprefix(f"{self._prefix}/"), written)

    def remove(self, file: StoredFile, unused: Callable[[datetime], bool]) -> bool:
        """Always raises StorageError: a bucket has no atomic step that spares a photo put at the same moment."""
        raise StorageError(f"{file.name} stays: a bucket can't be asked to remove only what nobody puts right now.")
