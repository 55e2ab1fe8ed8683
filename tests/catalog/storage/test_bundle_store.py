"""Model bundles in the photo store: whole or not there, and verified before they are used."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from catalog.errors import ConfigError, StorageError
from catalog.storage import PhotoStore, bundle_store
from catalog.storage.photo_folder import FolderStore
from embedder.bundle import META_FILE, RELEASED, Bundle, load_bundle
from embedder.errors import BundleError
from tests.support.photo_stores import photo_store
from tests.support.spawning import ROOT

BUNDLE = load_bundle(RELEASED)
FILES = (META_FILE, "model.tflite", "words.npz")


@pytest.fixture(params=["folder", "memory", "fsspec", "S3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PhotoStore]:
    with photo_store(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def shared(tmp_path: Path) -> FolderStore:
    """A store that has the bundle."""
    made = FolderStore(tmp_path / "photos")
    bundle_store.share(made, BUNDLE)
    return made


def place(name: str) -> str:
    return f"bundles/{BUNDLE.id}/{name}"


def test_what_one_host_shared_another_fetches(store: PhotoStore, tmp_path: Path, other_bundle: Bundle) -> None:
    photo = store.put(b"photo")
    assert bundle_store.fetch(store, BUNDLE.id, tmp_path / "host") is None
    assert not bundle_store.is_shared(store, BUNDLE.id)
    for bundle in (BUNDLE, other_bundle, BUNDLE):
        bundle_store.share(store, bundle)
        assert bundle_store.is_shared(store, bundle.id)
        fetched = bundle_store.fetch(store, bundle.id, tmp_path / "host")
        assert fetched is not None and (fetched.id, fetched.path) == (bundle.id, tmp_path / "host" / bundle.id)
        assert fetched.model_path.read_bytes() == bundle.model_path.read_bytes()
    assert {path.name for path in (tmp_path / "host").iterdir()} == {BUNDLE.id, other_bundle.id}
    assert [file.sha256 for file in store.files()] == [photo], "what is no photo is no stray one"


def test_other_files_are_kept_by_their_names(store: PhotoStore) -> None:
    assert store.get_file("bundles/one/file") is None
    for data in (b"first", b"second"):
        store.put_file("bundles/one/file", data)
        assert store.get_file("bundles/one/file") == data
    assert store.get_file("bundles/one/other") is None


def test_a_store_that_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = FolderStore(tmp_path / "file")
    for call in (
        lambda: bundle_store.share(broken, BUNDLE),
        lambda: bundle_store.fetch(broken, BUNDLE.id, tmp_path / "host"),
        lambda: broken.put_file("bundles/one/file", b""),
    ):
        with pytest.raises(StorageError):
            call()


def test_a_folder_that_can_not_be_written(shared: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't be kept"):
        bundle_store.fetch(shared, BUNDLE.id, tmp_path / "file")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "cut", "changed", "empty"])
def test_damage_in_the_store_is_noticed_and_nothing_is_kept(
    shared: FolderStore, tmp_path: Path, name: str, damage: str
) -> None:
    path = shared.root / place(name)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        middle = len(whole) // 2
        changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        path.write_bytes({"cut": whole[:middle], "changed": changed, "empty": b""}[damage])
    if (name, damage) == (META_FILE, "missing"):  # as it is before the last step of `share`
        assert bundle_store.fetch(shared, BUNDLE.id, tmp_path / "host") is None
    else:
        with pytest.raises(BundleError, match=f"{BUNDLE.id} is damaged in the photo store"):
            bundle_store.fetch(shared, BUNDLE.id, tmp_path / "host")
    assert not (tmp_path / "host").exists() or not list((tmp_path / "host").iterdir())


@pytest.mark.parametrize("name", ["../../stolen", "/etc/hostname", "a/b", ".hidden", "", 7, META_FILE])
def test_names_in_a_bundle_lead_nowhere_else(shared: FolderStore, tmp_path: Path, name: object) -> None:
    meta = json.loads((RELEASED / META_FILE).read_bytes())
    meta["files"] = [name]
    shared.put_file(place(META_FILE), json.dumps(meta).encode())
    with pytest.raises(BundleError, match="names a file"):
        bundle_store.fetch(shared, BUNDLE.id, tmp_path / "host")


def test_another_bundle_under_its_name_is_not_taken(shared: FolderStore, tmp_path: Path, other_bundle: Bundle) -> None:
    for name in (META_FILE, "model.tflite"):
        shared.put_file(place(name), (other_bundle.path / name).read_bytes())
    with pytest.raises(BundleError, match="another one"):
        bundle_store.fetch(shared, BUNDLE.id, tmp_path / "host")
    assert not list((tmp_path / "host").iterdir())


def test_many_share_and_fetch_at_once(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "photos")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: bundle_store.share(store, BUNDLE), range(4)))
        fetched = list(pool.map(lambda _: bundle_store.fetch(store, BUNDLE.id, tmp_path / "host"), range(4)))
    assert {bundle.id for bundle in fetched if bundle} == {BUNDLE.id}
    assert [path.name for path in (tmp_path / "host").iterdir()] == [BUNDLE.id]


#: Ends at the rename with this number: of a file, or of the whole folder.
KILLED = """
import os, signal, sys
from pathlib import Path
from catalog.storage import bundle_store, open_store
from embedder.bundle import load_bundle
action, store, bundle, folder, last = sys.argv[1:]
done = 0
def counted(real):
    def rename(*arguments):
        global done
        done += 1
        if done == int(last):
            os.kill(os.getpid(), signal.SIGKILL)
        real(*arguments)
    return rename
os.replace, os.rename = counted(os.replace), counted(os.rename)
loaded = load_bundle(Path(bundle))
if action == "share":
    bundle_store.share(open_store(store), loaded)
else:
    bundle_store.fetch(open_store(store), loaded.id, Path(folder))
print(done)
"""


def killed(action: str, root: Path, folder: Path, last: int) -> int:
    """Its exit status."""
    command = [sys.executable, "-c", KILLED, action, f"file:{root}", str(RELEASED), str(folder), str(last)]
    return subprocess.run(command, cwd=ROOT, capture_output=True).returncode


def test_a_share_that_was_killed_is_not_there_and_is_repeated(tmp_path: Path) -> None:
    root, host = tmp_path / "photos", tmp_path / "host"
    store = FolderStore(root)
    for last in range(1, len(FILES) + 1):
        assert killed("share", root, host, last) == -signal.SIGKILL
        assert bundle_store.fetch(store, BUNDLE.id, host) is None
        assert list(store.files()) == []
    assert killed("share", root, host, len(FILES) + 1) == 0
    assert bundle_store.fetch(store, BUNDLE.id, host) is not None


def test_a_fetch_that_was_killed_left_nothing_that_counts(shared: FolderStore, tmp_path: Path) -> None:
    host = tmp_path / "host"
    for last in range(1, len(FILES) + 2):
        assert killed("fetch", shared.root, host, last) == -signal.SIGKILL
        assert not (host / BUNDLE.id).exists()
    assert killed("fetch", shared.root, host, len(FILES) + 2) == 0
    assert load_bundle(host / BUNDLE.id).id == BUNDLE.id
