"""The archive: what is refused of it, before anything of it is used."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import ConfigError, StorageError
from catalog.offline import BundleRefusedError, TillFolder, install, signing
from catalog.offline import archive as archives
from catalog.offline.packing import build_shard
from tests.support.catalogs import open_catalog
from tests.support.offline import add, built, public_key
from tests.support.pictures import jpeg


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    catalog = open_catalog(Settings.from_env({"CATALOG_DATA": str(tmp_path_factory.mktemp("server"))}))
    add(catalog, "S1", jpeg(1))
    add(catalog, "S2", jpeg(2))
    yield catalog
    catalog.close()


@pytest.fixture(scope="module")
def whole(server: Catalog) -> Path:
    return built(server).path


@pytest.fixture
def folder(tmp_path: Path) -> TillFolder:
    return TillFolder(tmp_path / "till")


def rewritten(whole: Path, target: Path, change: Callable[[str, bytes], bytes | None], **more: bytes) -> Path:
    """A copy of an archive with members changed, left out (None) or added."""
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
        for name, data in more.items():
            new.writestr(name, data)
    return target


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def nothing_used(folder: TillFolder) -> bool:
    return not folder.root.exists() or not [path for path in folder.root.rglob("*") if path.is_file()]


def test_what_is_in_it(server: Catalog, whole: Path) -> None:
    with archives.reading(whole, [public_key(server)]) as archive:
        archive.check_all()
        facts, names = archive.facts, set(archive.manifest.members)
    live = server.generations.ready()
    assert (facts.products, facts.points, facts.kind, facts.bundle) == (2, 2, "whole", live.embedder.bundle.id)
    kinds = {name.partition("/")[0] for name in names}
    assert kinds == {"products.jsonl", "model", "gallery", "looks"}
    assert {"model/model.tflite", "model/bundle.json", "model/words.npz", "gallery/edge_config.json"} <= names


@pytest.mark.parametrize("name", ["products.jsonl", "model/model.tflite", "gallery/edge_config.json", "manifest.json"])
def test_a_changed_byte_is_refused(server: Catalog, whole: Path, folder: TillFolder, tmp_path: Path, name: str) -> None:
    bad = rewritten(whole, tmp_path / "bad.zip", lambda at, data: flipped(data) if at == name else data)
    with pytest.raises(BundleRefusedError, match=r"not signed by|does not fit the manifest"):
        install(folder, bad, [public_key(server)])
    assert nothing_used(folder)


def test_a_member_too_many_or_too_few_is_refused(
    server: Catalog, whole: Path, folder: TillFolder, tmp_path: Path
) -> None:
    more = rewritten(whole, tmp_path / "more.zip", lambda _, data: data, **{"../../evil": b"x"})
    less = rewritten(whole, tmp_path / "less.zip", lambda at, data: None if at == "products.jsonl" else data)
    for bad in (more, less):
        with pytest.raises(BundleRefusedError, match="does not hold what its manifest lists"):
            install(folder, bad, [public_key(server)])
    assert nothing_used(folder)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.9999])
def test_a_truncated_one_is_refused(
    server: Catalog, whole: Path, folder: TillFolder, tmp_path: Path, share: float
) -> None:
    data = whole.read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BundleRefusedError, match="Fetch it again"):
        install(folder, cut, [public_key(server)])
    assert nothing_used(folder)


def test_bytes_changed_anywhere_are_refused_or_without_effect(server: Catalog, whole: Path, tmp_path: Path) -> None:
    """A zip has bytes that mean nothing; whatever is read is what was signed."""
    data = bytearray(whole.read_bytes())
    bad = tmp_path / "bad.zip"
    for place in range(0, len(data), max(1, len(data) // 60)):
        data[place] ^= 0x55
        bad.write_bytes(data)
        data[place] ^= 0x55
        try:
            with archives.reading(bad, [public_key(server)]) as archive:
                archive.check_all()
        except BundleRefusedError:
            continue


def test_another_catalogs_is_refused(server: Catalog, whole: Path, folder: TillFolder, tmp_path: Path) -> None:
    other = Settings.from_env({"CATALOG_DATA": str(tmp_path / "other")})
    key = signing.public_text(signing.signing_key(other))
    with pytest.raises(BundleRefusedError, match="`catalog offline-key` on the server"):
        install(folder, whole, [key])
    assert nothing_used(folder)


def test_a_newer_format_is_refused(server: Catalog, whole: Path, folder: TillFolder, tmp_path: Path) -> None:
    signer = signing.signing_key(server.settings)
    with zipfile.ZipFile(whole) as old:
        manifest = json.loads(old.read("manifest.json")) | {"format": archives.FORMAT + 1}
    raw = json.dumps(manifest).encode()
    changed = {"manifest.json": raw, "manifest.sig": signing.sign(signer, raw)}
    new = rewritten(whole, tmp_path / "new.zip", lambda name, data: changed.get(name, data))
    with pytest.raises(BundleRefusedError, match="update the till's program"):
        install(folder, new, [public_key(server)])
    assert nothing_used(folder)


def test_a_delta_needs_its_version(server: Catalog, whole: Path, folder: TillFolder) -> None:
    before = built(server)
    add(server, "S3", jpeg(3))
    delta = built(server, since=before.version)
    assert delta.since == before.version
    with pytest.raises(BundleRefusedError, match="fetch the whole archive"):
        install(folder, delta.path, [public_key(server)])
    assert nothing_used(folder)


def test_the_same_content_is_the_same_version(server: Catalog) -> None:
    first = built(server)
    shutil.rmtree(server.settings.data / "offline")
    again = built(server)
    assert again.version == first.version
    add(server, "S4", jpeg(4))
    assert built(server).version != first.version


def test_a_full_disk_is_a_typed_error(server: Catalog, small_disk: Path) -> None:
    whole = built(server).path
    with pytest.raises(StorageError, match="Make room on that disk"):
        install(TillFolder(small_disk / "till"), whole, [public_key(server)])
    assert TillFolder(small_disk / "till").current() == ""


def test_the_key_is_kept_or_follows_from_the_secret_key(tmp_path: Path) -> None:
    kept = Settings.from_env({"CATALOG_DATA": str(tmp_path / "a")})
    assert signing.public_text(signing.signing_key(kept)) == signing.public_text(signing.signing_key(kept))
    assert (tmp_path / "a" / signing.KEY_FILE).stat().st_mode & 0o077 == 0
    one, other = (
        Settings.from_env({"CATALOG_DATA": str(tmp_path / name), "CATALOG_SECRET_KEY": "a secret of two hosts"})
        for name in ("b", "c")
    )
    assert signing.public_text(signing.signing_key(one)) == signing.public_text(signing.signing_key(other))
    (tmp_path / "a" / signing.KEY_FILE).write_text("no key")
    with pytest.raises(ConfigError, match="holds no key"):
        signing.signing_key(kept)
    with pytest.raises(ConfigError, match="64 hex digits"):
        signing.checked_key("abc")


def test_a_shard_of_nothing_can_be_opened(tmp_path: Path) -> None:
    from catalog.gallery import collection_name

    (tmp_path / "points").mkdir()
    assert (build_shard(tmp_path / "gallery", collection_name("abc"), 8, tmp_path / "points")).is_dir()
