from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from catalog import accounts
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import ConfigError, GalleryLockedError
from catalog.gallery.edge import EdgeGallery
from catalog.generations import Generations
from catalog.storage import bundle_store
from catalog.storage.tables import Generation
from embedder.bundle import RELEASED, Bundle, load_bundle
from tests.support.catalogs import open_shared


def generations(catalog: Catalog) -> list[tuple[str, bool]]:
    with catalog.database.read() as session:
        return [(row.bundle_id, row.live) for row in session.scalars(select(Generation).order_by(Generation.id))]


def test_a_new_catalog_starts_with_the_configured_model(catalog: Catalog) -> None:
    bundle = load_bundle(RELEASED)
    assert generations(catalog) == []
    live = catalog.generations.ready()
    assert live.embedder.bundle.id == bundle.id
    assert live.collection == f"sku-gallery-{bundle.id}"
    assert catalog.gallery.generations() == [live.collection]
    assert generations(catalog) == [(bundle.id, True)]


def test_threads_that_ask_first_get_one_model(catalog: Catalog) -> None:
    with ThreadPoolExecutor(8) as pool:
        lives = list(pool.map(lambda _: catalog.generations.ready(), range(16)))
    assert len({id(live.embedder) for live in lives}) == 1
    assert len(generations(catalog)) == 1


def test_catalogs_that_start_at_once_get_one_model(open_catalog: Callable[[], Catalog], other_bundle: Bundle) -> None:
    catalogs = [open_catalog() for _ in range(4)]
    models = [catalog.generations for catalog in catalogs]
    for place, catalog in enumerate(catalogs[::2]):  # as hosts that were set up differently
        settings = replace(catalog.settings, model=other_bundle.path)
        models[2 * place] = Generations(settings, catalog.database, catalog.gallery, catalog.photos, open_shared)
    with ThreadPoolExecutor(4) as pool:
        lives = list(pool.map(Generations.live, models))
    assert len({live.collection for live in lives}) == 1
    with catalogs[0].database.read() as session:
        assert session.scalar(select(func.count()).select_from(Generation).where(Generation.live)) == 1


def test_live_is_quick(catalog: Catalog) -> None:
    catalog.generations.ready()
    times = []
    for _ in range(50):
        began = time.perf_counter()
        catalog.generations.ready()
        times.append(time.perf_counter() - began)
    assert sorted(times)[10] < 0.01  # asked for each photo; measured: 0.3 ms on SQLite, 0.7 ms on PostgreSQL


def test_the_model_in_use_is_the_catalogs_own_copy(
    env: dict[str, str], tmp_path: Path, open_catalog: Callable[[], Catalog]
) -> None:
    (tmp_path / "data" / "bundles").unlink()  # not the folder that tests share
    model = tmp_path / "model"
    shutil.copytree(RELEASED, model)
    env["CATALOG_MODEL"] = str(model)
    live = open_catalog().generations.ready()
    shutil.rmtree(model)
    assert open_catalog().generations.live().embedder.bundle.id == live.embedder.bundle.id


def test_a_lost_copy_is_taken_from_the_configured_model(
    env: dict[str, str], tmp_path: Path, open_catalog: Callable[[], Catalog], other_bundle: Bundle
) -> None:
    for folder in ("bundles", "photos/bundles"):  # not the folder that tests share
        (tmp_path / "data" / folder).unlink()
    first = open_catalog().generations.live()
    shutil.rmtree(tmp_path / "data" / "photos" / "bundles")
    shutil.rmtree(tmp_path / "data" / "bundles")
    assert open_catalog().generations.live().embedder.bundle.id == first.embedder.bundle.id
    shutil.rmtree(tmp_path / "data" / "bundles")
    env["CATALOG_MODEL"] = str(other_bundle.path)
    with pytest.raises(ConfigError, match=r"neither in .* nor in the photo store"):
        open_catalog().generations.live()


def test_a_damaged_copy_is_not_served(env: dict[str, str], tmp_path: Path, open_catalog: Callable[[], Catalog]) -> None:
    (tmp_path / "data" / "bundles").unlink()
    bundle = open_catalog().generations.live().embedder.bundle
    with (tmp_path / "data" / "bundles" / bundle.id / bundle.model_path.name).open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    with pytest.raises(ConfigError, match="damaged"):
        open_catalog().generations.live()


def test_a_bundle_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    bundle = load_bundle(RELEASED)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: bundle_store.keep(bundle, tmp_path / "bundles"), range(4)))
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [bundle.id]
    assert load_bundle(tmp_path / "bundles" / bundle.id).id == bundle.id
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't be kept"):
        bundle_store.keep(bundle, tmp_path / "file")


def test_a_second_program_is_told_who_holds_the_gallery(open_catalog: Callable[[], Catalog]) -> None:
    first, second = open_catalog(), open_catalog()
    first.generations.ready()
    second.gallery.real = EdgeGallery(second.settings.data / "gallery", lock_wait=0)
    with pytest.raises(GalleryLockedError, match="pid"):
        second.generations.ready()
    assert second.generations.live().collection == first.generations.ready().collection
    first.close()
    second.generations.ready()


def test_what_is_not_live_is_let_go_of(open_catalog: Callable[[], Catalog], other_bundle: Bundle) -> None:
    first, second = open_catalog(), open_catalog()
    first.generations.ready()
    other = first.generations.load(first.generations.add(other_bundle))
    first.generations.ensure_collection(other)
    first.generations.release_old()
    first.gallery.count(other.collection)  # a request that began before a switch opens it again
    first.generations.release_old()
    second.generations.ensure_collection(second.generations.load(second.generations.add(other_bundle)))
    first.generations.ready()


def test_a_model_that_is_not_live_any_more_is_forgotten(
    open_catalog: Callable[[], Catalog], other_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be a new one every night, and each takes some 100 MB."""
    catalog = open_catalog()
    live = catalog.generations.ready()
    catalog.generations.load(catalog.generations.add(other_bundle))
    catalog.generations.release_old()
    assert set(catalog.generations._embedders) == {live.embedder.bundle.id, other_bundle.id}, "answers may be in hand"
    monkeypatch.setattr("catalog.generations.KEPT_LOADED", 0.0)
    catalog.generations.release_old()
    assert set(catalog.generations._embedders) == {live.embedder.bundle.id}
    assert catalog.generations.load(catalog.generations.add(other_bundle)).embedder.bundle.id == other_bundle.id


#: Beside each a folder whose database it would share if the name were taken for a part of a URL.
NAMES = (
    *("a?b", "a?c", "a", "a#b", "a#c", "a%20b", "a b", "a%3Fb", "%41", "A", "%"),
    *("50% off", "ä?ö", "a'b;c", "a+b", "a:b@c"),
)


def test_two_folders_never_share_a_database(tmp_path: Path) -> None:
    for name in NAMES:
        with closing(Catalog.open(Settings.from_env({"CATALOG_DATA": str(tmp_path / name)}))) as catalog:
            assert not accounts.has_staff(catalog.database), f"{name} has users already"
            accounts.add_user(catalog.database, "anna", "correct horse battery", actor="test")
    assert {path.name for path in tmp_path.iterdir()} == set(NAMES)
    for name in NAMES:
        assert (tmp_path / name / "catalog.db").is_file()
