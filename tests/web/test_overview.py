"""The overview and the models in the pages."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import date

import pytest
from flask import Flask

from catalog import maintenance
from catalog.catalog import Catalog
from catalog.storage.tables import RecognitionEntry
from embedder.bundle import Bundle
from tests.support.apps import open_app
from tests.support.staff import Staff
from tests.support.steps import create
from web.admin import overview


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with open_app(tmp_path_factory.mktemp("overview")) as app:
        yield app


@pytest.fixture
def catalog(app: Flask) -> Catalog:
    found: Catalog = app.config["CATALOG"]
    return found


def test_an_empty_catalog_has_an_overview_and_no_model(staff: Staff) -> None:
    page = staff.get("/overview/").get_data(as_text=True)
    assert "0 in 30 days" in page and "none yet" in page and "<rect" not in page
    assert "No model is loaded yet" in staff.get("/models/").get_data(as_text=True)


def test_every_figure_links_to_a_page_that_there_is(staff: Staff, catalog: Catalog) -> None:
    create(catalog, "A", 1)
    with catalog.database.write() as session:
        for decision, count in (("match", 3), ("unknown", 1)):
            session.add_all(
                RecognitionEntry(
                    id=uuid.uuid4(), decision=decision, decided_by="embedding", bundle_id="x", milliseconds=7.6
                )
                for _ in range(count)
            )
    page = staff.get("/overview/").get_data(as_text=True)
    assert "4 in 30 days, 75 % of them a match" in page and page.count("<rect") == 2 and "8 ms" in page
    links = re.findall(r'class="figure[^"]*" href="([^"]+)"', page)
    assert len(links) == 9
    for target in set(links):
        assert staff.get(target).status_code == 200, target
    assert "style=" not in page and "<table" in page


def test_the_bars_of_a_day_stand_on_one_another() -> None:
    days = [overview.Day(date(2026, 1, 1), 2, 0, 1), overview.Day(date(2026, 1, 2), 0, 0, 0)]
    bars = overview.bars_of(days)
    assert [(bar.decision, bar.y, bar.height) for bar in bars] == [("match", 33.33, 66.67), ("unknown", 0.0, 33.33)]


def test_models_and_the_way_back_asked_once(staff: Staff, catalog: Catalog, other_bundle: Bundle) -> None:
    catalog.generations.ready()
    page = staff.get("/models/").get_data(as_text=True)
    assert "live" in page and "Yes, switch back" not in page
    before = catalog.generations.live().embedder.bundle
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    page = staff.get("/models/").get_data(as_text=True)
    assert f"Yes, switch back to {before.id}" in page and f'name="live" value="{other_bundle.id}"' in page
    assert f"{before.training['second_look']['rates']['known']['right']:.1%}"[:-1] in page
    reply = staff.send("/models/rollback", {"live": before.id}, page="/models/")
    assert (reply.status_code, reply.location) == (302, "/models/")
    assert "Another model is live by now" in staff.get("/models/").get_data(as_text=True)


def test_nobody_sees_them_without_signing_in(app: Flask) -> None:
    for path in ("/overview/", "/models/"):
        assert app.test_client().get(path).status_code == 302
    assert app.test_client().post("/models/rollback", data={"live": "x"}).status_code == 401
