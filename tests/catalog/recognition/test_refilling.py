"""A gallery that was lost: while it is filled again, a till is told so and never "unknown"."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog import backup, maintenance, products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto, run_pending
from catalog.errors import GalleryMismatchError, GalleryRefillingError
from catalog.maintenance import rebuilding
from catalog.products import Facts, Intake
from catalog.recognition import recognize
from catalog.storage.tables import Generation
from tests.support import bars
from tests.support.pictures import jpeg
from tests.support.steps import all_found, create, create_each


def lose(catalog: Catalog) -> None:
    live = catalog.generations.live()
    catalog.gallery.drop(live.collection)
    catalog.generations.release(live.collection)


def refused(catalog: Catalog, seed: int) -> bool:
    try:
        recognize(catalog, jpeg(seed))
    except GalleryRefillingError:
        return True
    return False


def test_no_answer_until_the_last_photo_is_back(catalog: Catalog) -> None:
    create_each(catalog, 1, 2, 3)
    lose(catalog)
    asked = [refused(catalog, 1)]
    for _ in range(3):
        assert run_pending(catalog, limit=1) == 1
        asked.append(refused(catalog, 1))
    assert asked == [True, True, True, False]
    assert all_found(catalog, 1, 2, 3)


def test_one_that_is_lost_while_it_is_open(catalog: Catalog) -> None:
    create_each(catalog, 1)
    catalog.gallery.drop(catalog.generations.live().collection)
    with pytest.raises(GalleryMismatchError):
        recognize(catalog, jpeg(1))
    assert refused(catalog, 1)
    run_pending(catalog)
    assert all_found(catalog, 1)


def test_a_new_photo_is_no_loss(catalog: Catalog) -> None:
    assert recognize(catalog, jpeg(1)).decision == "unknown"  # an empty catalog
    create_each(catalog, 1)
    catalog.gallery.on = False  # type: ignore[attr-defined]  # see conftest
    create_each(catalog, 2)
    catalog.gallery.on = True  # type: ignore[attr-defined]
    assert not refused(catalog, 1)


def test_an_outage_of_the_gallery_meanwhile(catalog: Catalog) -> None:
    create_each(catalog, 1)
    lose(catalog)
    assert refused(catalog, 1)
    catalog.gallery.on = False  # type: ignore[attr-defined]  # see conftest
    added = products.create(catalog, Facts("S2"), [NewPhoto("2.jpg", jpeg(2))], Intake("anna"))
    assert not added.searchable
    catalog.gallery.on = True  # type: ignore[attr-defined]
    assert refused(catalog, 1)
    while run_pending(catalog):
        pass
    assert all_found(catalog, 1, 2)


@pytest.mark.parametrize("lost", ["a photo", "the store"])
def test_a_photo_that_can_not_be_read_is_not_waited_for(catalog: Catalog, lost: str) -> None:
    create_each(catalog, 1, 2)
    store = catalog.settings.data / "photos"
    sha256 = products.get(catalog.database, "S1").photos[0].sha256
    file = store if lost == "the store" else next(store.rglob(sha256))
    aside = file.with_name("aside")
    file.rename(aside)
    if lost == "the store":
        file.write_bytes(b"no folder")  # the store can't be used, whichever photo is asked for
    lose(catalog)
    assert refused(catalog, 2)
    while run_pending(catalog):
        pass
    assert refused(catalog, 2) == (lost == "the store")
    file.unlink(missing_ok=True)
    aside.rename(file)
    while run_pending(catalog):
        pass
    assert not refused(catalog, 2)


def test_one_that_is_rebuilt_on_purpose(catalog: Catalog) -> None:
    create_each(catalog, 1, 2)
    seen: list[bool] = []
    maintenance.rebuild(catalog, lambda done, total: seen.append(refused(catalog, 1)), actor="anna")
    assert seen == [False]  # the only batch was written
    assert all_found(catalog, 1, 2)
    with catalog.database.read() as session:
        row = session.get_one(Generation, catalog.generations.live().generation_id)
    rebuilding.empty(catalog, row, actor="anna")
    assert refused(catalog, 1)


def test_one_that_is_restored(catalog: Catalog, target: Catalog, out: Path) -> None:
    create_each(catalog, 1, 2)
    backup.back_up(catalog, out)
    backup.restore(target, out, actor="anna")
    assert refused(target, 1)
    while run_pending(target):
        pass
    assert all_found(target, 1, 2)


def test_a_barcode_needs_no_gallery(catalog: Catalog) -> None:
    create(catalog, "S1", 1)
    products.barcode_owners.add(catalog.database, "S1", bars.EAN13, actor="anna")
    lose(catalog)
    assert refused(catalog, 1)
    assert recognize(catalog, bars.photo(9, bars.EAN13)).decision == "match"


def test_it_is_ready_and_says_that_it_is_refilled(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.maintenance.readiness.PATIENCE", 30.0)  # a busy machine makes a collection slowly
    create_each(catalog, 1)
    lose(catalog)
    assert maintenance.Readiness(catalog).check().refilling
    run_pending(catalog)
    assert not maintenance.Readiness(catalog).check().refilling
