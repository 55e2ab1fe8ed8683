"""The page of the gallery map: who may see and make it, its points, and what it says."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import delete

pytest.importorskip("openTSNE", reason="openTSNE (extra `map`) is not installed")

from catalog import accounts, gallery_map, products
from catalog.catalog import Catalog
from catalog.gallery_map import computing, layout
from catalog.runs import RunWorker, recording
from catalog.storage.tables import GalleryMap, Run
from tests.support.apps import open_app
from tests.support.maps import fill
from tests.support.margins import APPLE, PEAR, put_look_alikes
from tests.support.staff import PASSWORD, Staff
from web.security import limiter


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """With a catalog of its own: what is on the map is all that there is."""
    with open_app(tmp_path_factory.mktemp("map")) as app:
        yield app


@pytest.fixture(scope="module")
def catalog(app: Flask) -> Catalog:
    found: Catalog = app.config["CATALOG"]
    return found


@pytest.fixture(scope="module")
def products_there(catalog: Catalog) -> None:
    fill(catalog, 4)
    put_look_alikes(catalog)


@pytest.fixture
def no_map(catalog: Catalog, products_there: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No map, and no run that other tests have asked for; computed in this process."""
    monkeypatch.setattr(computing, "compute_apart", computing.compute)
    forget(catalog)
    yield
    forget(catalog)


def forget(catalog: Catalog) -> None:
    with catalog.database.write() as session:
        session.execute(delete(GalleryMap))
        session.execute(delete(Run))


@pytest.fixture
def mapped(catalog: Catalog, no_map: None) -> None:
    gallery_map.map_gallery(catalog)


def called(catalog: Catalog, name: str) -> None:
    products.change(catalog.database, products.Facts(APPLE, name), actor="anna")


def head_of(data: bytes) -> dict[str, object]:
    (size,) = struct.unpack_from("<I", data)
    found: dict[str, object] = json.loads(data[4 : 4 + size])
    return found


def test_a_map_is_asked_for_made_and_shown(staff: Staff, catalog: Catalog, no_map: None) -> None:
    page = staff.get("/map/").get_data(as_text=True)
    assert "There is no map yet" in page and "data-map" not in page
    assert staff.send("/map/make", {}, page="/map/").location == "/map/"
    page = staff.get("/map/").get_data(as_text=True)
    assert "It waits until a process comes to it." in page and "Make the map" not in page
    run = recording.latest(catalog.database, "map")
    assert run is not None
    assert f'data-refresh="/jobs/{run.id}/progress" data-reload' in page and "jobs.js" in page
    assert '<a href="/map/">Map</a>' in staff.get(f"/jobs/{run.id}").get_data(as_text=True)
    assert RunWorker(catalog).step()
    page = staff.get("/map/").get_data(as_text=True)
    assert "data-map" in page and "jobs.js" not in page and "Update the map" in page and "Lay out anew" in page
    assert f"Name of {APPLE}" in page and f"Name of {PEAR}" in page
    lists = staff.get("/map/?list=apart").get_data(as_text=True)
    assert "Nearer to another product (0.85) than to the others of its own (0.50)." in lists


def test_laying_out_anew_is_asked_for(staff: Staff, catalog: Catalog, mapped: None) -> None:
    staff.send("/map/make", {"anew": "1"}, page="/map/")
    run = recording.latest(catalog.database, "map")
    assert run is not None and run.options == {"anew": True}
    page = staff.send("/map/make", {}, page="/map/")
    assert "It was asked for already" in staff.get(page.location).get_data(as_text=True)
    assert staff.send(f"/jobs/{run.id}/stop", {"back": "/map/"}, page="/map/").location == "/map/"
    run = recording.latest(catalog.database, "map")
    assert run is not None and run.state == "stopped"


def test_points_have_a_version_and_are_kept_nowhere(staff: Staff, catalog: Catalog, mapped: None) -> None:
    first = staff.get("/map/points")
    assert first.status_code == 200 and first.headers["Cache-Control"] == "no-store"
    photos = gallery_map.state_of(catalog.database).photos
    assert head_of(first.data)["photos"] == photos >= 16
    again = staff.client.get("/map/points", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    called(catalog, "Another name")
    changed = staff.client.get("/map/points", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200 and changed.headers["ETag"] != first.headers["ETag"]
    assert b"Another name" in changed.data
    called(catalog, f"Name of {APPLE}")


def test_a_viewer_looks_and_an_editor_makes(app: Flask, catalog: Catalog, mapped: None) -> None:
    limiter.reset()
    accounts.add_user(catalog.database, "looks at maps", PASSWORD, role="viewer", actor="test")
    viewer = Staff(app.test_client(), "looks at maps", PASSWORD)
    page = viewer.get("/map/").get_data(as_text=True)
    assert "data-map" in page and "Lay out anew" not in page
    assert viewer.get("/map/points").status_code == 200
    assert viewer.send("/map/make", {}, page="/account/").status_code == 403
    assert app.test_client().get("/map/points").status_code == 302
    assert recording.latest(catalog.database, "map") is None
    run = recording.start(catalog.database, "map", actor="anna")
    page = viewer.get("/map/").get_data(as_text=True)
    assert "data-refresh" in page and "Stop" not in page
    assert viewer.send(f"/jobs/{run}/stop", {}, page="/account/").status_code == 403


def test_a_name_of_another_direction_does_not_turn_what_is_around_it(
    staff: Staff, catalog: Catalog, mapped: None
) -> None:
    called(catalog, "תפוח")
    page = staff.get("/map/").get_data(as_text=True)
    called(catalog, f"Name of {APPLE}")
    assert f"<bdi>תפוח</bdi> <code>{APPLE}</code>" in page
    assert page.count("תפוח") == page.count("<bdi>תפוח</bdi>")


def test_without_the_extra_the_page_names_it(
    staff: Staff, catalog: Catalog, mapped: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_map, "is_installed", lambda: False)
    page = staff.get("/map/").get_data(as_text=True)
    assert "photo-catalog[map]" in page and "Lay out anew" not in page
    assert "data-map" in page, "a map that is there is shown"
    monkeypatch.setattr(layout, "is_installed", lambda: False)
    recording.start(catalog.database, "map", actor="anna")
    RunWorker(catalog).step()
    assert "install photo-catalog[map]" in staff.get("/map/").get_data(as_text=True)
    run = recording.latest(catalog.database, "map")
    assert run is not None and run.state == "failed"


@pytest.mark.parametrize("address", ["/map/?page=99", "/map/?list=apart&page=99", "/map/?list=what&page=-1"])
def test_pages_that_are_not_there_are_empty_or_the_first(staff: Staff, mapped: None, address: str) -> None:
    assert staff.get(address).status_code == 200
