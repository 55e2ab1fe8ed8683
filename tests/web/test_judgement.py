"""What a new model was judged, in the pages: held, looked at, switched to anyway or removed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select

from catalog import accounts, judging, maintenance
from catalog.catalog import Catalog
from catalog.runs import recording
from catalog.storage.tables import AuditEntry, Generation, JudgedQuery, Judgement
from embedder.bundle import Bundle
from tests.support.apps import open_app
from tests.support.judged import put_packs
from tests.support.staff import Staff

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, worse_bundle: Bundle) -> Iterator[Flask]:
    """An app whose new model is held."""
    with open_app(tmp_path_factory.mktemp("judged")) as app:
        catalog: Catalog = app.config["CATALOG"]
        put_packs(catalog, 4)
        assert maintenance.reembed(catalog, worse_bundle).held
        yield app


@pytest.fixture
def catalog(app: Flask) -> Catalog:
    found: Catalog = app.config["CATALOG"]
    return found


def text(staff: Staff, page: str) -> str:
    return staff.get(page).get_data(as_text=True)


def test_a_held_model_is_said_where_one_looks(staff: Staff, worse_bundle: Bundle) -> None:
    for page in ("/overview/", "/models/"):
        shown = text(staff, page)
        assert f"/models/{worse_bundle.id}/judgement" in shown and "CATALOG_SWITCH_WORSE" in shown, page
    assert ">held<" in text(staff, "/models/")


def test_the_page_shows_both_and_every_answer_that_got_worse(
    staff: Staff, catalog: Catalog, worse_bundle: Bundle
) -> None:
    found = judging.find_judgement(catalog.database, worse_bundle.id)
    assert found is not None
    shown = text(staff, f"/models/{worse_bundle.id}/judgement")
    for label, live, new in judging.side_by_side(found.report):
        assert f'<th scope="row">{label}</th><td>{live}</td><td>{new}</td>' in shown
    for product in found.report.products:
        assert f"<bdi>{product.sku}</bdi>" in shown
    worse = judging.list_worse(catalog.database, found.generation_id)
    assert worse.total == found.report.worse == shown.count('class="panel judged-query"')
    for query in worse.queries:
        assert query.picture and f"/photos/{query.picture}/thumbnail" in shown
    assert "Yes, switch to" in shown and "Yes, remove" in shown
    assert "Nothing more" in text(staff, f"/models/{worse_bundle.id}/judgement?page=7")


def test_a_till_photo_that_is_no_longer_kept_has_no_picture(
    staff: Staff, catalog: Catalog, worse_bundle: Bundle
) -> None:
    found = judging.find_judgement(catalog.database, worse_bundle.id)
    assert found is not None
    answers = {
        "live": {"decision": "unknown", "sku": "", "score": None, "by": "embedding", "right": True},
        "new": {"decision": "match", "sku": "GONE", "score": 0.9, "by": "embedding", "right": False},
    }
    with catalog.database.write() as session:
        row = JudgedQuery(generation_id=found.generation_id, number=999, kind="till", photo_id=uuid.uuid4(), **answers)
        session.add(row)
    shown = text(staff, f"/models/{worse_bundle.id}/judgement")
    assert "no longer kept" in shown and "Shows no product of the catalog" in shown
    with catalog.database.write() as session:
        session.delete(session.get_one(JudgedQuery, (found.generation_id, 999)))


def test_a_person_switches_anyway(staff: Staff, catalog: Catalog, worse_bundle: Bundle) -> None:
    page = f"/models/{worse_bundle.id}/judgement"
    assert staff.send(f"/models/{worse_bundle.id}/switch", {}, page=page).location == "/models/"
    run = recording.latest(catalog.database, "reembed")
    assert run is not None and run.options == {"bundle_id": worse_bundle.id, "switch_anyway": True}
    assert "Switch to the model that was held" in text(staff, "/jobs/")
    assert "decide when that is over" in text(staff, page) and "Yes, switch to" not in text(staff, page)
    recording.stop(catalog.database, run.id, actor="anna")
    staff.send(f"/models/{'0' * 12}/switch", {}, page=page)
    assert "not held any more" in text(staff, "/models/")


def test_a_viewer_only_looks(app: Flask, catalog: Catalog, worse_bundle: Bundle) -> None:
    accounts.add_user(catalog.database, "vera", "correct horse battery", role=accounts.VIEWER, actor="test")
    vera = Staff(app.test_client(), "vera")
    shown = text(vera, f"/models/{worse_bundle.id}/judgement")
    assert "An admin decides." in shown and "Yes, switch to" not in shown
    for what in ("switch", "remove"):
        assert vera.send(f"/models/{worse_bundle.id}/{what}", {}, page="/account/").status_code == 403


def test_a_held_model_is_removed_last(staff: Staff, catalog: Catalog, worse_bundle: Bundle) -> None:
    with catalog.database.alone("run-reembed"):
        staff.send(f"/models/{worse_bundle.id}/remove", {}, page="/models/")
        assert "Photos are being embedded" in text(staff, "/models/")
    staff.send(f"/models/{worse_bundle.id}/remove", {}, page="/models/")
    shown = text(staff, "/models/")
    assert "The model and its gallery are removed." in shown and ">held<" not in shown
    assert f'value="{worse_bundle.id}"' not in shown, "it is gone with its files"
    assert catalog.gallery.generations() == [catalog.generations.live().collection]
    with catalog.database.read() as session:
        assert session.scalars(select(Generation.bundle_id)).all() == [catalog.generations.live().embedder.bundle.id]
        assert session.scalars(select(Judgement)).all() == session.scalars(select(JudgedQuery)).all() == []
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "model.remove")).one()
    assert entry.subject == worse_bundle.id
    assert staff.get(f"/models/{worse_bundle.id}/judgement").status_code == 404
    assert "Model removed" in text(staff, "/audit/")
