"""Two hosts of one catalog, each with a data folder of its own: one database, one photo store, one gallery."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import CliRunner

from catalog import maintenance
from catalog.backup import back_up, restore
from catalog.catalog import Catalog
from catalog.cli import main
from catalog.config import Settings
from catalog.errors import ConfigError, NotFoundError, StorageError
from catalog.storage import bundle_store
from embedder.bundle import META_FILE, RELEASED, Bundle, load_bundle, rewrite_bundle
from tests.support.catalogs import open_catalog
from tests.support.qdrants import HttpQdrant, http_qdrant
from tests.support.steps import all_found, create_each

FIRST = load_bundle(RELEASED)


class Hosts(Protocol):
    def __call__(self, name: str, **more: str) -> Catalog: ...


@pytest.fixture
def qdrant() -> Iterator[HttpQdrant]:
    with http_qdrant() as server:
        yield server


@pytest.fixture
def of_host(tmp_path: Path, database_url: str, qdrant: HttpQdrant) -> Callable[[str], dict[str, str]]:
    """The settings of a host of this name."""
    (tmp_path / "data").mkdir()  # of SQLite

    def settings(name: str) -> dict[str, str]:
        return {
            "CATALOG_DATA": str(tmp_path / name),
            "CATALOG_DATABASE": database_url,
            "CATALOG_GALLERY": qdrant.url,
            "CATALOG_PHOTOS": f"file:{tmp_path / 'photos'}",
        }

    return settings


@pytest.fixture
def host(of_host: Callable[[str], dict[str, str]]) -> Iterator[Hosts]:
    """Starts a host, as often as wanted."""
    opened: list[Catalog] = []

    def start(name: str, **more: str) -> Catalog:
        opened.append(open_catalog(Settings.from_env(of_host(name) | more)))
        return opened[-1]

    yield start
    for catalog in opened:
        catalog.close()


def live(catalog: Catalog) -> str:
    return catalog.generations.ready().embedder.bundle.id


def in_store(tmp_path: Path) -> set[str]:
    return {path.parent.name for path in (tmp_path / "photos" / "bundles").glob(f"*/{META_FILE}")}


def lose(tmp_path: Path, *bundles: Bundle) -> None:
    """What the store has of them."""
    for bundle in bundles:
        shutil.rmtree(tmp_path / "photos" / "bundles" / bundle.id)


def test_a_host_follows_the_other_to_a_model_that_it_never_had_and_back(
    host: Hosts, tmp_path: Path, other_bundle: Bundle
) -> None:
    here, there = host("here"), host("there")
    create_each(here, 1, 2)
    assert all_found(there, 1, 2)
    assert maintenance.reembed(here, other_bundle, switch_anyway=True).changed
    assert not (there.settings.bundles / other_bundle.id).exists()
    assert live(there) == other_bundle.id and all_found(there, 1, 2)
    assert load_bundle(there.settings.bundles / other_bundle.id).id == other_bundle.id
    create_each(there, 3)
    assert maintenance.rollback(there).changed
    assert live(here) == live(there) == FIRST.id and all_found(here, 1, 2, 3)
    third = host("a third")  # which has none of them, and rolls back to the one that it never loaded
    assert live(third) == FIRST.id
    assert in_store(tmp_path) == {FIRST.id, other_bundle.id}
    assert list(maintenance.examine(third)) == []


def test_hosts_that_share_a_bucket(host: Hosts, other_bundle: Bundle) -> None:
    pytest.importorskip("s3fs", reason="s3fs (extra `s3`) is not installed")
    url = os.environ.get("S3_TEST_URL")
    if not url:
        pytest.skip("S3_TEST_URL is not set")
    bucket = {"CATALOG_PHOTOS": f"{url}/{uuid.uuid4().hex}"}
    here, there = host("here", **bucket), host("there", **bucket)
    create_each(here, 1, 2)
    assert all_found(there, 1, 2)
    assert maintenance.reembed(here, other_bundle, switch_anyway=True).changed
    assert live(there) == other_bundle.id and all_found(there, 1, 2)
    assert list(maintenance.examine(there)) == []


def test_a_catalog_of_an_older_version_is_shared_by_what_starts_next(
    host: Hosts, of_host: Callable[[str], dict[str, str]], tmp_path: Path, other_bundle: Bundle
) -> None:
    here = host("here")
    create_each(here, 1)
    maintenance.reembed(here, other_bundle, switch_anyway=True)
    both = FIRST, other_bundle
    lose(tmp_path, *both)  # as an older version left it
    with pytest.raises(ConfigError, match=f"{other_bundle.id}.*neither in .* nor in the photo store") as caught:
        live(host("there"))
    assert "start a host that has it" in str(caught.value)

    assert CliRunner().invoke(main, ["init"], env=of_host("here")).exit_code == 0
    assert in_store(tmp_path) == {bundle.id for bundle in both}
    assert live(host("there")) == other_bundle.id

    lose(tmp_path, *both)
    assert not maintenance.reembed(here, other_bundle, switch_anyway=True).changed
    assert in_store(tmp_path) == {bundle.id for bundle in both}

    lose(tmp_path, *both)
    maintenance.rollback(here)
    assert FIRST.id in in_store(tmp_path)


def test_no_host_switches_to_a_model_that_the_others_can_not_get(
    host: Hosts, tmp_path: Path, other_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = host("here")
    create_each(here, 1)

    def full(name: str, data: bytes) -> None:
        raise StorageError("No space left on device.")

    monkeypatch.setattr(here.photos, "put_file", full)
    with pytest.raises(StorageError, match="No space left"):
        maintenance.reembed(here, other_bundle, switch_anyway=True)
    assert live(here) == FIRST.id and all_found(here, 1)
    monkeypatch.undo()
    assert maintenance.reembed(here, other_bundle, switch_anyway=True).changed
    monkeypatch.setattr(here.photos, "put_file", full)
    lose(tmp_path, FIRST)
    with pytest.raises(StorageError, match="No space left"):
        maintenance.rollback(here)
    assert live(here) == other_bundle.id


def test_a_store_that_is_away_keeps_no_catalog_from_its_first_model(
    host: Hosts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "photos").write_text("")  # every access fails
    here = host("here")
    with caplog.at_level(logging.WARNING):
        assert live(here) == FIRST.id
        here.generations.share_all()
    assert ["until the next start" in record.message for record in caplog.records] == [True, True]
    (tmp_path / "photos").unlink()
    here.generations.share_all()
    assert in_store(tmp_path) == {FIRST.id}


def test_a_store_that_does_not_answer_is_no_lost_model(
    host: Hosts, tmp_path: Path, other_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = host("here"), host("there")
    create_each(here, 1)
    maintenance.reembed(here, other_bundle, switch_anyway=True)

    def away(name: str) -> None:
        raise StorageError("The store is away.")

    monkeypatch.setattr(there.photos, "get_file", away)
    with pytest.raises(StorageError, match="away"):
        there.generations.live()
    monkeypatch.undo()
    assert live(there) == other_bundle.id


def test_damage_in_the_store_is_told_with_what_to_do(host: Hosts, tmp_path: Path, other_bundle: Bundle) -> None:
    here = host("here")
    create_each(here, 1)
    maintenance.reembed(here, other_bundle, switch_anyway=True)
    (tmp_path / "photos" / "bundles" / other_bundle.id / "model.tflite").write_bytes(b"damaged")
    there = host("there")
    with pytest.raises(ConfigError, match=f"damaged in the photo store.*Remove bundles/{other_bundle.id}"):
        live(there)
    lose(tmp_path, other_bundle)
    here.generations.share_all()
    assert live(there) == other_bundle.id


def test_models_that_another_host_added_are_known(host: Hosts, other_bundle: Bundle, tmp_path: Path) -> None:
    mine = rewrite_bundle(other_bundle, tmp_path / "mine", training={"by": "us"})  # it does not ship
    here, there = host("here"), host("there")
    create_each(here, 1)
    here.generations.add(mine)
    assert mine.id not in {bundle.id for bundle in maintenance.known_bundles(there.settings)}
    assert maintenance.known_bundle(there, mine.id).id == mine.id
    third = host("a third")
    assert [model.bundle and model.bundle.id for model in maintenance.list_models(third).models] == [mine.id, FIRST.id]
    assert mine.id in {bundle.id for bundle in maintenance.known_bundles(third.settings)}
    with pytest.raises(NotFoundError):
        maintenance.known_bundle(there, "0" * 12)


def kinds(catalog: Catalog, **options: Any) -> list[str]:
    return [finding.kind for finding in maintenance.examine(catalog, **options)]


def test_the_doctor_looks_for_a_way_back_in_the_store_and_leaves_it_alone(
    host: Hosts, tmp_path: Path, other_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = host("here"), host("there", CATALOG_MODEL=str(other_bundle.path))
    create_each(here, 1)
    maintenance.reembed(here, other_bundle, switch_anyway=True)
    assert live(there) == other_bundle.id

    def away(name: str) -> bytes | None:
        raise StorageError("The store is away.")

    monkeypatch.setattr(there.photos, "get_file", away)
    assert kinds(there) == ["photos_not_asked"]
    monkeypatch.undo()
    assert kinds(there, repair=True, remove_orphans=True) == []
    assert in_store(tmp_path) == {FIRST.id, other_bundle.id}
    lose(tmp_path, FIRST)
    shutil.rmtree(there.settings.bundles / FIRST.id)
    assert kinds(there) == ["bundle_missing"]


def test_a_backup_has_models_that_its_host_lacks_and_a_restore_shares_them(
    host: Hosts, target: Catalog, out: Path, other_bundle: Bundle, tmp_path: Path
) -> None:
    here, there = host("here"), host("there", CATALOG_MODEL=str(other_bundle.path))
    create_each(here, 1)
    maintenance.reembed(here, other_bundle, switch_anyway=True)
    assert back_up(there, out).left_out == []
    restore(target, out, actor="test")
    for bundle in (FIRST, other_bundle):
        assert load_bundle(target.settings.bundles / bundle.id).id == bundle.id
        assert bundle_store.is_shared(target.photos, bundle.id)
    lose(tmp_path, FIRST)
    (lacking,) = back_up(there, out.with_name("other.tar")).left_out
    assert FIRST.id in lacking
