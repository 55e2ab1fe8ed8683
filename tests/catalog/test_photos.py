from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pictures import bad_files, jpeg, odd_files
from PIL import Image

from catalog import photos
from catalog.errors import ConfigError, NotFoundError, StorageError
from catalog.photos import FolderStore, PhotoStore, S3Store, content_hash, open_store, thumbnail
from embedder.errors import ImageError


class Memory:
    """A bucket in memory, for what is used of fsspec."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.error: Exception | None = None

    def exists(self, path: str) -> bool:
        return path in self._files()

    def pipe_file(self, path: str, data: bytes) -> None:
        self._files()[path] = data

    def cat_file(self, path: str) -> bytes:
        if path not in self._files():
            raise FileNotFoundError(path)
        return self.files[path]

    def _files(self) -> dict[str, bytes]:
        if self.error:
            raise self.error
        return self.files


@pytest.fixture(params=["folder", "memory", "fsspec"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PhotoStore]:
    if request.param == "folder":
        yield FolderStore(tmp_path / "photos")
    elif request.param == "memory":
        yield S3Store("s3://bucket/prefix/", Memory())
    else:
        fsspec = pytest.importorskip("fsspec", reason="fsspec (extra `s3`) is not installed")
        files = fsspec.filesystem("memory", skip_instance_cache=True)
        yield S3Store(f"s3://{tmp_path.name}/prefix", files)
        files.store.clear()


def test_what_was_put_is_got(store: PhotoStore) -> None:
    first, second = os.urandom(5000), b""
    for data in (first, second, first):
        assert store.put(data) == content_hash(data)
    assert store.get(content_hash(first)) == first
    assert store.get(content_hash(second)) == second


def test_what_was_never_put_is_not_found(store: PhotoStore) -> None:
    with pytest.raises(NotFoundError, match="0123"):
        store.get("0123" * 16)


def test_many_put_the_same_at_once(store: PhotoStore) -> None:
    data = os.urandom(100_000)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(store.put, [data] * 32)) == {content_hash(data)}
    assert store.get(content_hash(data)) == data


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 5000])
def test_damage_is_noticed_and_mended_by_the_same_photo(tmp_path: Path, damage: bytes) -> None:
    store = FolderStore(tmp_path)
    data = os.urandom(5000)
    sha256 = store.put(data)
    files(tmp_path)[0].write_bytes(damage)
    with pytest.raises(StorageError, match="damaged"):
        store.get(sha256)
    store.put(data)
    assert store.get(sha256) == data
    assert len(files(tmp_path)) == 1


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't be stored"):
        FolderStore(tmp_path / "file").put(b"photo")


def test_an_error_of_the_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(photos.os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        FolderStore(tmp_path).put(b"photo")
    assert files(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("this system lets nobody mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    store = FolderStore(small_disk)
    kept = store.put(os.urandom(20_000))
    with pytest.raises(StorageError, match="No space left"):
        store.put(os.urandom(100_000))
    assert [path.name for path in files(small_disk)] == [kept]
    store.put(os.urandom(5_000))


def test_a_bucket_that_fails() -> None:
    memory = Memory()
    store = S3Store("s3://bucket", memory)
    sha256 = store.put(b"photo")
    memory.error = RuntimeError("the cloud is away")
    for call in (lambda: store.put(b"photo"), lambda: store.get(sha256)):
        with pytest.raises(StorageError, match="the cloud is away"):
            call()
    memory.error = None
    memory.files = dict.fromkeys(memory.files, b"other")
    with pytest.raises(StorageError, match="damaged"):
        store.get(sha256)


def test_open_store(tmp_path: Path) -> None:
    store = open_store(f"file:{tmp_path / 'photos'}")
    assert isinstance(store, FolderStore)
    assert store.root == tmp_path / "photos"
    assert list(tmp_path.iterdir()) == []


def test_s3_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str, *args: Any, real: Any = __import__, **kwargs: Any) -> Any:
        if name == "s3fs":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr("builtins.__import__", absent)
    with pytest.raises(ConfigError, match=r"photo-catalog\[s3\]"):
        open_store("s3://bucket")


def test_a_thumbnail_is_a_small_upright_jpeg() -> None:
    for name, data in {"big.jpg": jpeg(1, (1200, 900)), **odd_files(1)}.items():
        with Image.open(io.BytesIO(thumbnail(data))) as small:
            assert (small.format, small.mode, small.size) == ("JPEG", "RGB", (240, 180)), name


def test_a_small_picture_stays_small() -> None:
    with Image.open(io.BytesIO(thumbnail(jpeg(1, (64, 48)), side=100))) as small:
        assert small.size == (64, 48)


@pytest.mark.parametrize("name", sorted(bad_files()))
def test_no_thumbnail_of_a_bad_file(name: str) -> None:
    data, _, code = bad_files()[name]
    with pytest.raises(ImageError) as caught:
        thumbnail(data)
    assert caught.value.code == code
