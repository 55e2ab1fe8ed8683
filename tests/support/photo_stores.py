"""The photo stores that keep one contract."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from catalog.storage import PhotoStore
from catalog.storage.photo_bucket import S3Store
from catalog.storage.photo_folder import FolderStore

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Memory:
    """A bucket in memory, for what is used of fsspec."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.buckets: set[str] = set()
        self.error: Exception | None = None

    def exists(self, path: str) -> bool:
        return path in self._files() or path in self.buckets

    def mkdir(self, path: str) -> None:
        self._files()
        self.buckets.add(path)

    def pipe_file(self, path: str, data: bytes) -> None:
        self._files()[path] = data

    def cat_file(self, path: str) -> bytes:
        if path not in self._files():
            raise FileNotFoundError(path)
        return self.files[path]

    def find(self, prefix: str, detail: bool) -> dict[str, dict[str, Any]]:
        assert detail
        return {path: {"LastModified": NOON} for path in self._files() if path.startswith(f"{prefix}/")}

    def _files(self) -> dict[str, bytes]:
        if self.error:
            raise self.error
        return self.files


@contextmanager
def photo_store(kind: str, folder: Path) -> Iterator[PhotoStore]:
    """An empty one: a folder; a bucket in memory, ours or fsspec's; one of a real server, where there is one."""
    if kind == "folder":
        yield FolderStore(folder / "photos")
    elif kind == "memory":
        yield S3Store("s3://bucket/prefix/", Memory())
    elif kind == "fsspec":
        fsspec = pytest.importorskip("fsspec", reason="fsspec (extra `s3`) is not installed")
        files = fsspec.filesystem("memory", skip_instance_cache=True)
        yield S3Store(f"s3://{folder.name}/prefix", files)
        files.store.clear()
    else:
        pytest.importorskip("s3fs", reason="s3fs (extra `s3`) is not installed")
        url = os.environ.get("S3_TEST_URL")
        if not url:
            pytest.skip("S3_TEST_URL is not set")
        yield S3Store(f"{url}/{uuid.uuid4().hex}")
