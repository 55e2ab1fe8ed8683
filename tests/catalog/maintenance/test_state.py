"""The state of a catalog is what was put in; asking for it makes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select, update

from catalog import maintenance, products
from catalog.catalog import Catalog
from catalog.maintenance import GalleryState
from catalog.storage.tables import LOST, Enrollment, Photo, Product, Run, now
from tests.support.steps import create


def test_a_catalog_without_a_model(catalog: Catalog) -> None:
    state = maintenance.read_state(catalog.database)
    assert (state.products, state.photos, state.generation, state.runs) == (0, 0, None, ())
    assert (state.outbox.photos, state.outbox.removals, state.outbox.oldest, state.outbox.seconds) == (0, 0, None, 0)
    assert maintenance.ask_gallery(catalog) is None
    assert catalog.gallery.generations() == [], "looking makes nothing"


def test_a_catalog_in_which_all_is_searchable(catalog: Catalog) -> None:
    create(catalog, "A", 1, 2)
    state, live = maintenance.read_state(catalog.database), catalog.generations.live()
    assert (state.products, state.photos, state.outbox.photos, state.outbox.seconds) == (1, 2, 0, 0)
    assert state.generation is not None and not state.generation.is_refilling
    assert (state.generation.id, state.generation.bundle_id) == (live.generation_id, live.embedder.bundle.id)
    assert maintenance.ask_gallery(catalog) == GalleryState(2)


def test_what_is_pending_is_as_old_as_the_photo_whatever_is_tried(catalog: Catalog) -> None:
    create(catalog, "GONE", 3)
    catalog.gallery.on = False  # type: ignore[attr-defined]  # see conftest
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    products.set_active(catalog, "GONE", False, actor="anna")
    first = now() - timedelta(hours=2)
    with catalog.database.write() as session:
        photo = session.scalars(select(Photo.id).join(Product).where(Product.sku == "A")).one()
        session.execute(update(Photo).where(Photo.id == photo).values(created_at=first))
        session.execute(update(Enrollment).where(Enrollment.photo_id == photo).values(attempts=3))
    outbox = maintenance.read_state(catalog.database).outbox
    assert (outbox.photos, outbox.removals, outbox.failed) == (2, 1, 1)
    assert outbox.oldest == first and 7190 < outbox.seconds < 7800
    gallery = maintenance.ask_gallery(catalog)
    assert gallery is not None and (gallery.points, gallery.is_locked) == (None, False) and "off" in gallery.error


def test_a_lost_gallery_does_not_make_its_photos_old(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    with catalog.database.write() as session:
        session.execute(update(Photo).values(created_at=now() - timedelta(days=300)))
        session.execute(update(Enrollment).values(done=False, attempts=LOST))
    state = maintenance.read_state(catalog.database)
    assert state.generation is not None and state.generation.is_refilling
    assert state.outbox.photos == 1 and state.outbox.seconds < 600


def test_an_embedded_gallery_that_another_process_has(catalog: Catalog, open_catalog: Callable[[], Catalog]) -> None:
    create(catalog, "A", 1)
    gallery = maintenance.ask_gallery(open_catalog())
    assert gallery is not None and gallery.is_locked and gallery.points is None


def test_the_last_run_of_each_kind_that_came_to_its_end(catalog: Catalog) -> None:
    at = now() - timedelta(hours=5)

    def ran(kind: str, state: str, hours: int, **result: int) -> Run:
        ended = at + timedelta(hours=hours) if state != "running" else None
        return Run(kind=kind, state=state, actor="anna", ended_at=ended, message=f"{hours}", result={"counts": result})

    with catalog.database.write() as session:
        session.add_all([ran("doctor", "failed", 0), ran("doctor", "done", 1, defect=2), ran("doctor", "stopped", 2)])
        session.add_all([ran("doctor", "running", 3), ran("map", "done", 0), ran("map", "failed", 4)])
    runs = {run.kind: run for run in maintenance.read_state(catalog.database).runs}
    assert runs.keys() == {"doctor", "map"}
    assert (runs["doctor"].failed, runs["doctor"].message, runs["doctor"].counts) == (False, "1", {"defect": 2})
    assert (runs["map"].failed, runs["map"].message, runs["map"].counts) == (True, "4", {})
    assert runs["map"].ended_at == at + timedelta(hours=4)
