from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto, Worker, outbox, run_pending
from catalog.enrollment import worker as worker_module
from catalog.errors import GalleryMismatchError, GalleryRefillingError, GalleryUnavailableError
from catalog.gallery.edge import EdgeGallery
from catalog.products import Facts, Intake
from catalog.recognition import recognize
from catalog.storage.tables import Enrollment, Photo
from tests.support.pictures import jpeg
from tests.support.spawning import line, spawn
from tests.support.steps import all_found, create_each


def wait_until(condition: Callable[[], bool], seconds: float) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited too long"
        time.sleep(0.02)
    return time.monotonic() - began


def stored_file(catalog: Catalog, seed: int) -> Path:
    sha256 = products.get(catalog.database, f"S{seed}").photos[0].sha256
    return next((catalog.settings.data / "photos").rglob(sha256))


def test_a_photo_is_kept_while_the_gallery_is_away(catalog: Catalog) -> None:
    create_each(catalog, 1)
    catalog.gallery.on = False
    added = products.create(catalog, Facts("S2"), [NewPhoto("2.jpg", jpeg(2))], Intake("anna"))
    assert [(photo.state, photo.reason) for photo in added.photos] == [("pending", "The gallery is switched off.")]
    assert not added.searchable
    assert products.counts(catalog.database).pending == 1
    with pytest.raises(GalleryUnavailableError):
        recognize(catalog, jpeg(2))
    with pytest.raises(GalleryUnavailableError):
        run_pending(catalog)
    catalog.gallery.on = True
    assert run_pending(catalog) == 1
    assert run_pending(catalog) == 0
    assert all_found(catalog, 1, 2)
    assert products.counts(catalog.database).pending == 0


def test_the_first_photo_of_all_is_kept_while_the_gallery_is_away(catalog: Catalog) -> None:
    catalog.gallery.on = False
    create_each(catalog, 1)
    catalog.gallery.on = True
    assert run_pending(catalog) == 1
    assert all_found(catalog, 1)


def test_the_worker_makes_it_searchable_within_five_seconds(catalog: Catalog) -> None:
    catalog.generations.ready()
    catalog.gallery.on = False
    worker = Worker(catalog, every=0.5)
    worker.start()
    create_each(catalog, 1)
    time.sleep(1.2)  # the worker tries meanwhile, and waits longer each time
    catalog.gallery.on = True
    assert wait_until(lambda: products.counts(catalog.database).pending == 0, 5) < 5
    worker.stop()
    assert all_found(catalog, 1)


def test_the_worker_leaves_what_is_being_enrolled_to_who_added_it(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.gallery.on = False
    create_each(catalog, 1)
    catalog.gallery.on = True
    with catalog.database.write() as session:  # as it is while the one who adds it writes to the gallery
        session.execute(update(Enrollment).values(error=""))
    assert run_pending(catalog, fresh=False) == 0
    monkeypatch.setattr(outbox, "FRESH", 0.0)
    assert run_pending(catalog, fresh=False) == 1


def test_a_worker_outlives_what_it_does_not_know(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "UNKNOWN_WAIT", 0.05)
    failures = iter([RuntimeError("never seen"), RuntimeError("again")])
    real = catalog.generations.release_old

    def fail() -> None:
        error = next(failures, None)
        if error:
            raise error
        real()

    monkeypatch.setattr(catalog.generations, "release_old", fail)
    catalog.gallery.on = False
    create_each(catalog, 1)
    catalog.gallery.on = True
    worker = Worker(catalog, every=0.01)
    worker.start()
    wait_until(lambda: products.counts(catalog.database).pending == 0, 5)
    worker.stop()


@pytest.mark.slow
def test_a_lost_gallery_is_made_anew(open_catalog: Callable[[], Catalog]) -> None:
    catalog = open_catalog()
    create_each(catalog, *range(40))
    products.set_active(catalog, "S39", False, actor="anna")
    catalog.close()
    shutil.rmtree(catalog.settings.data / "gallery")
    again = open_catalog()
    with pytest.raises(GalleryRefillingError):
        recognize(again, jpeg(1))
    assert products.counts(again.database).pending == 39
    worker = Worker(again, every=0.05)
    worker.start()
    wait_until(lambda: products.counts(again.database).pending == 0, 20)
    worker.stop()
    assert all_found(again, *range(39))
    assert again.gallery.count(again.generations.ready().collection) == 39


@pytest.mark.parametrize("how", ["dropped elsewhere", "folder removed"])
def test_a_gallery_that_is_lost_while_it_is_open_is_made_anew(catalog: Catalog, how: str) -> None:
    create_each(catalog, 1, 2)
    if how == "folder removed":
        shutil.rmtree(catalog.settings.data / "gallery")
    else:  # as another program can, on a server
        elsewhere = EdgeGallery(catalog.settings.data / "gallery")
        catalog.gallery.release(catalog.generations.ready().collection)
        elsewhere.drop(catalog.generations.ready().collection)
        elsewhere.close()
    worker = Worker(catalog, every=0.05)
    worker.start()
    create_each(catalog, 3)
    wait_until(lambda: products.counts(catalog.database).pending == 0, 10)
    worker.stop()
    assert all_found(catalog, 1, 2, 3)


def test_a_lost_gallery_is_noticed_by_a_query(catalog: Catalog) -> None:
    create_each(catalog, 1)
    catalog.gallery.drop(catalog.generations.ready().collection)
    with pytest.raises(GalleryMismatchError, match="has to be built first"):
        recognize(catalog, jpeg(1))
    while run_pending(catalog):
        pass
    assert all_found(catalog, 1)


def test_a_damaged_photo_does_not_stop_the_others(catalog: Catalog) -> None:
    catalog.gallery.on = False
    create_each(catalog, *range(6))
    stored_file(catalog, 0).write_bytes(b"damaged")
    stored_file(catalog, 1).unlink()
    catalog.gallery.on = True
    assert run_pending(catalog, limit=4) + run_pending(catalog, limit=4) + run_pending(catalog, limit=4) == 4
    assert all_found(catalog, 2, 3, 4, 5)
    for sku, reason in (("S0", "damaged"), ("S1", "not in the store")):
        assert reason in next(
            iter(products.pending_photos(catalog.database, products.get(catalog.database, sku)).values())
        )
    for _ in range(outbox.ATTEMPTS):
        assert run_pending(catalog) == 0
    with catalog.database.read() as session:  # no longer tried at each turn
        assert session.scalar(select(func.max(Enrollment.attempts))) == outbox.ATTEMPTS


def test_a_photo_that_failed_gets_another_chance(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.gallery.on = False
    create_each(catalog, 1)
    catalog.gallery.on = True
    file = stored_file(catalog, 1)
    file.write_bytes(b"damaged")
    for _ in range(outbox.ATTEMPTS + 1):
        run_pending(catalog)
    file.write_bytes(jpeg(1))
    assert run_pending(catalog) == 0  # it rests
    monkeypatch.setattr(outbox, "REST", 0.0)
    assert run_pending(catalog) == 1
    assert all_found(catalog, 1)


def test_sending_the_photo_again_mends_it(catalog: Catalog) -> None:
    create_each(catalog, 1)
    stored_file(catalog, 1).write_bytes(b"damaged")
    with catalog.database.write() as session:
        session.execute(update(Enrollment).values(done=False, attempts=99))
    added = products.add_photos(catalog, "S1", [NewPhoto("1.jpg", jpeg(1))], Intake("anna"))
    assert (added.photos[0].state, added.photos[0].duplicate) == ("searchable", True)
    assert stored_file(catalog, 1).read_bytes() == jpeg(1)


def test_an_outage_is_not_the_photos_fault(catalog: Catalog) -> None:
    catalog.generations.ready()
    catalog.gallery.on = False
    create_each(catalog, 1)
    for _ in range(outbox.ATTEMPTS + 2):
        with pytest.raises(GalleryUnavailableError):
            run_pending(catalog)
    catalog.gallery.on = True
    assert run_pending(catalog) == 1


def test_a_retired_product_owes_nothing(catalog: Catalog) -> None:
    catalog.gallery.on = False
    create_each(catalog, 1, 2)
    products.set_active(catalog, "S1", False, actor="anna")
    catalog.gallery.on = True
    while run_pending(catalog):
        pass
    assert catalog.gallery.count(catalog.generations.ready().collection) == 1


@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_acknowledged(env: dict[str, str], open_catalog: Callable[[], Catalog]) -> None:
    chance = random.Random(7)
    acknowledged: list[int] = []
    for turn in range(4):
        with spawn("adding", 100 * turn, env=env) as child:
            for _ in range(chance.randrange(2, 8)):
                seed, searchable = line(child).split()
                assert searchable == "True"
                acknowledged.append(int(seed))
            time.sleep(chance.random() * 0.05)
            child.kill()
            rest = child.communicate()[0].splitlines()
            acknowledged += [int(text.split()[0]) for text in rest if text.endswith("True")]
        catalog = open_catalog()
        while run_pending(catalog):
            pass
        assert all_found(catalog, *acknowledged)
        with catalog.database.read() as session:
            photos = session.scalar(select(func.count()).select_from(Photo))
        assert products.counts(catalog.database).pending == 0
        assert (
            catalog.gallery.count(catalog.generations.ready().collection)
            == photos
            == products.counts(catalog.database).products
        )
        catalog.close()
