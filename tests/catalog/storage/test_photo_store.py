from __future__ import annotations

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from catalog.errors import ConfigError, NotFoundError, PhotoDamagedError, StorageError
from catalog.storage import PhotoStore, StoredFile, content_hash, open_store, photo_folder
from catalog.storage.photo_bucket import S3Store
from catalog.storage.photo_folder import FolderStore
from embedder.errors import ImageError
from tests.support.photo_stores import Memory, photo_store
from tests.support.pictures import bad_files, jpeg, odd_files
from web.thumbnails import thumbnail


@pytest.fixture(params=["folder", "memory", "fsspec", "S3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PhotoStore]:
    with photo_store(request.param, tmp_path) as opened:
        yield opened


def test_what_was_put_is_got(store: PhotoStore) -> None:
    first, second = os.urandom(5000), b""
    for data in (first, second, first):
        assert store.put(data) == content_hash(data)
    assert store.get(content_hash(first)) == first
    assert store.get(content_hash(second)) == second


def test_what_photos_are_stored_in_is_made_where_it_is_missing(store: PhotoStore, tmp_path: Path) -> None:
    for _ in range(2):
        store.prepare()
    if isinstance(store, FolderStore):
        assert store.root.is_dir()
    else:
        bucket = store._prefix.partition("/")[0]
        assert store._files.exists(bucket) and not store._files.exists(store._prefix)
    store.put(b"photo")
    store.prepare()
    assert store.get(content_hash(b"photo")) == b"photo"


def test_a_bucket_that_can_not_be_made(tmp_path: Path) -> None:
    files = Memory()
    files.error = PermissionError("Access Denied")
    with pytest.raises(StorageError, match=r"no bucket there, or .* none can be made: Access Denied"):
        S3Store("s3://there/prefix", files).prepare()
    files.error = FileExistsError()  # another process was faster
    S3Store("s3://there/prefix", files).prepare()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="folder of the photos can't be made"):
        FolderStore(tmp_path / "file" / "photos").prepare()


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
    with pytest.raises(PhotoDamagedError, match="damaged"):
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

    monkeypatch.setattr(photo_folder.os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        FolderStore(tmp_path).put(b"photo")
    assert files(tmp_path) == []


def test_a_full_disk(small_disk: Path) -> None:
    store = FolderStore(small_disk)
    kept = store.put(os.urandom(20_000))
    with pytest.raises(StorageError, match="No space left"):
        store.put(os.urandom(3_000_000))
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


def test_files_are_listed_with_what_is_beside_them(store: PhotoStore) -> None:
    assert list(store.files()) == []
    hashes = sorted(store.put(os.urandom(10)) for _ in range(20))
    store.put_derived(hashes[3], "details-1", b"x")
    found = list(store.files())
    assert [file.sha256 for file in found] == [*hashes[:4], hashes[3], *hashes[4:]]
    assert [file.kind for file in found if file.kind] == ["details-1"]
    assert all(file.written.tzinfo is not None for file in found)


def test_only_files_of_the_store_are_listed(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    sha256 = store.put(b"photo")
    folder = tmp_path / sha256[:2] / sha256[2:4]
    for name in ("README", ".DS_Store", sha256[:-1], sha256.upper() + ".x", "." + sha256):
        (folder / name).write_bytes(b"")
    (tmp_path / "elsewhere").write_bytes(b"")
    (folder / ".abc_1234").write_bytes(b"half a ph")  # what a killed write leaves
    assert sorted((file.name.rpartition("/")[2], file.sha256) for file in store.files()) == [
        (".abc_1234", ""),
        (sha256, sha256),
    ]


def test_a_store_that_can_not_be_listed() -> None:
    memory = Memory()
    memory.error = RuntimeError("the cloud is away")
    with pytest.raises(StorageError, match="the cloud is away"):
        list(S3Store("s3://bucket", memory).files())


def aged(store: FolderStore, data: bytes) -> StoredFile:
    """A photo that was put long ago."""
    sha256 = store.put(data)
    os.utime(store.root / sha256[:2] / sha256[2:4] / sha256, (0, 0))
    return next(file for file in store.files() if file.sha256 == sha256)


def old(written: datetime) -> bool:
    return written < datetime.now(UTC) - timedelta(hours=1)


def test_a_photo_is_removed_with_what_is_beside_it(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    kept = store.put(b"other")
    file = aged(store, b"photo")
    store.put_derived(file.sha256, "details-1", b"x")
    assert not store.remove(file, lambda written: False)
    assert store.get(file.sha256) == b"photo"
    assert store.remove(file, old)
    assert [path.name for path in files(tmp_path)] == [kept]
    store.put_derived(file.sha256, "details-1", b"x")  # without its photo
    (beside,) = [one for one in store.files() if one.kind]
    assert store.remove(beside, lambda written: True)
    assert [path.name for path in files(tmp_path)] == [kept]


def test_a_photo_that_is_put_meanwhile_is_there_afterwards(tmp_path: Path) -> None:
    """At each moment of the removal; `put` makes what it finds young, or writes what it does not find."""
    store = FolderStore(tmp_path)
    file = aged(store, b"photo")
    store.put(b"photo")  # before: what was listed as old is young
    assert not store.remove(file, old)
    assert store.get(file.sha256) == b"photo"

    file = aged(store, b"photo")

    def put_meanwhile(written: datetime) -> bool:
        assert store.get(file.sha256) == b"photo"  # also while it is set aside
        store.put(b"photo")
        return old(written)

    assert store.remove(file, put_meanwhile)
    assert store.get(file.sha256) == b"photo"

    file = aged(store, b"photo")

    def put_and_used(written: datetime) -> bool:
        store.put(b"photo")
        return False

    assert not store.remove(file, put_and_used)
    assert store.get(file.sha256) == b"photo"
    assert [path.name for path in files(tmp_path)] == [file.sha256]


def test_put_that_reads_before_and_renews_after_it_was_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The narrowest moment: `put` has read that the photo is there, and finds it gone when it makes it young."""
    store = FolderStore(tmp_path)
    file = aged(store, b"photo")
    real = os.utime

    def late(path: Path) -> None:
        monkeypatch.setattr(photo_folder.os, "utime", real)
        assert store.remove(file, old)
        real(path)

    monkeypatch.setattr(photo_folder.os, "utime", late)
    store.put(b"photo")
    assert store.get(file.sha256) == b"photo"


def test_a_removal_that_was_killed_or_failed_loses_nothing(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    file = aged(store, b"photo")

    def fails(written: datetime) -> bool:
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError):
        store.remove(file, fails)
    assert [path.name for path in files(tmp_path)] == [file.sha256]
    path = files(tmp_path)[0]
    path.rename(path.with_name(f".{file.sha256}.aside"))  # as a killed one leaves it
    assert store.get(file.sha256) == b"photo"
    (aside,) = store.files()
    assert (aside.sha256, aside.kind) == (file.sha256, "")
    assert not store.remove(aside, lambda written: False)
    assert [path.name for path in files(tmp_path)] == [file.sha256]


def test_many_put_and_remove_the_same(tmp_path: Path) -> None:
    """Whoever has put it finds it, while others remove it whenever it looks old."""
    store = FolderStore(tmp_path)
    data = os.urandom(2000)
    file = aged(store, data)

    def put(_: int) -> bool:
        return store.get(store.put(data)) == data

    def remove(_: int) -> bool:
        store.remove(file, old)
        return True

    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(remove if number % 2 else put, number) for number in range(400)]
        assert all(one.result() for one in done)
    assert [path.name for path in files(tmp_path)] == [file.sha256]


def test_a_bucket_removes_nothing() -> None:
    memory = Memory()
    store = S3Store("s3://bucket", memory)
    store.put(b"photo")
    with pytest.raises(StorageError, match="stays"):
        store.remove(next(store.files()), lambda written: True)
    assert len(memory.files) == 1


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
