"""The gauges of a catalog are what is in it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from catalog import products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.gallery import open_gallery
from catalog.runs import recording
from catalog.storage.tables import InboxPhoto, Run, Webhook, now
from catalog.webhooks import add_webhook
from tests.support import catalogs
from tests.support.exposed import value
from tests.support.offline import KEY, add, built, till_of
from tests.support.pictures import jpeg
from tests.support.qdrants import http_qdrant
from tests.support.served import environment
from tests.support.steps import create
from web.metrics import CatalogState, lookout
from web.till.app import create_till_app


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read now is of now."""
    monkeypatch.setattr(lookout, "KEPT", 0.0)
    monkeypatch.setattr(lookout, "PATIENCE", 30.0)


@pytest.fixture
def catalog(open_catalog: Callable[[], Catalog]) -> Catalog:
    """A catalog of the test's own."""
    return open_catalog()


def read(state: CatalogState) -> str:
    registry = CollectorRegistry()
    registry.register(state)
    return generate_latest(registry).decode()


def test_a_new_catalog(catalog: Catalog) -> None:
    text = read(CatalogState(catalog))
    assert value(text, "catalog_database_up") == 1
    for name in ("products", "photos", "outbox_photos", "outbox_oldest_photo_seconds", "inbox_photos"):
        assert value(text, f"catalog_{name}") == 0
    for name in ("catalog_generation_info", "catalog_gallery_up", "catalog_last_run_failed", "catalog_doctor_defects"):
        assert value(text, name) is None
    free, size = value(text, "catalog_data_free_bytes"), value(text, "catalog_data_size_bytes")
    assert free is not None and size is not None and 0 < free <= size


def test_what_is_there_and_what_waits(catalog: Catalog) -> None:
    create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    known = {"decision": "unknown", "bundle_id": "x", "vector": b"", "size": 1, "data": b"1"}
    group = uuid.uuid4()
    with catalog.database.write() as session:
        session.add_all(InboxPhoto(id=uuid.uuid4(), group_id=group, ours=True, **known) for _ in range(3))
    state = CatalogState(catalog)
    text = read(state)
    assert value(text, "catalog_gallery_up") == 1 and value(text, "catalog_gallery_points") == 3
    assert (value(text, "catalog_products"), value(text, "catalog_photos")) == (2, 3)
    assert (value(text, "catalog_inbox_photos"), value(text, "catalog_inbox_groups")) == (3, 1)
    live = catalog.generations.live()
    assert value(text, "catalog_generation_info", bundle=live.embedder.bundle.id, generation="1") == 1
    since = value(text, "catalog_generation_live_timestamp_seconds")
    assert since is not None and abs(since - now().timestamp()) < 600
    catalog.gallery.on = False  # type: ignore[attr-defined]  # see conftest
    create(catalog, "C", 4)
    products.set_active(catalog, "B", False, actor="anna")
    text = read(state)
    assert value(text, "catalog_gallery_up") == 0 and value(text, "catalog_gallery_points") is None
    assert value(text, "catalog_products") == 2, "SQL is read all the same"
    assert (value(text, "catalog_outbox_photos"), value(text, "catalog_outbox_removals")) == (1, 1)
    oldest = value(text, "catalog_outbox_oldest_photo_seconds")
    assert oldest is not None and 0 < oldest < 600


def test_runs_and_webhooks(catalog: Catalog) -> None:
    at = now() - timedelta(hours=3)
    told = {"options": {}, "actor": "every night", "created_at": at}
    with catalog.database.write() as session:
        session.add(Run(kind="doctor", state="failed", message="no", ended_at=at - timedelta(days=1), **told))
        session.add(Run(kind="doctor", state="done", ended_at=at, result={"counts": {"defect": 2, "waste": 1}}, **told))
        session.add(Run(kind="coverage", state="done", ended_at=at - timedelta(days=2), **told))
        session.add(Run(kind="coverage", state="failed", message="no", ended_at=at, **told))
        session.add(Run(kind="reembed", state="stopped", ended_at=at, **told))
    recording.start(catalog.database, "doctor", actor="anna")
    for name in ("a", "b", "c", "d"):
        add_webhook(catalog.database, name, "https://example.org", ["products"], actor="anna")
    with catalog.database.write() as session:
        rows = {row.name: row for row in session.query(Webhook)}
        rows["b"].failing_since, rows["c"].paused, rows["d"].paused = now() - timedelta(hours=2), "staff", "dead"
    text = read(CatalogState(catalog))
    assert value(text, "catalog_last_run_failed", kind="doctor") == 0
    assert value(text, "catalog_last_run_failed", kind="coverage") == 1
    assert value(text, "catalog_last_run_failed", kind="reembed") is None, "it was stopped by somebody"
    for kind in ("doctor", "coverage"):
        assert value(text, "catalog_last_run_timestamp_seconds", kind=kind) == pytest.approx(at.timestamp(), abs=1)
    assert value(text, "catalog_doctor_defects") == 2
    for state in ("taken", "failing", "paused", "dead"):
        assert value(text, "catalog_webhooks", state=state) == 1
    assert value(text, "catalog_webhook_behind_seconds") == pytest.approx(7200, abs=60)


def test_a_gallery_that_was_lost(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    with http_qdrant() as server:
        empty = catalogs.with_gallery(catalog, open_gallery(server.url))
        text = read(CatalogState(empty))
        assert value(text, "catalog_gallery_up") == 0, "its collection is not there"
        empty.generations.ready()
        text = read(CatalogState(empty))
        assert (value(text, "catalog_gallery_up"), value(text, "catalog_gallery_refilling")) == (1, 1)
        empty.gallery.close()


def test_a_till_says_what_it_has(tmp_path: Path) -> None:
    catalog = catalogs.open_catalog(Settings.from_env(environment(CATALOG_DATA=str(tmp_path / "server"))))
    add(catalog, "S1", jpeg(1), jpeg(2))
    with till_of(catalog, built(catalog).path, tmp_path / "till") as till:
        readers = Settings.from_env({}).metrics
        client = create_till_app(till, readers).test_client()
        headers = {"Authorization": f"Bearer {KEY}"}
        assert client.post("/api/v1/recognize", data=jpeg(1), headers=headers).status_code == 200
        till.answers.flush()
        text = client.get("/metrics").get_data(as_text=True)
        assert value(text, "catalog_recognition_seconds_count", request="photo") == 1
        assert (value(text, "catalog_products"), value(text, "catalog_photos")) == (1, 2)
        assert value(text, "catalog_till_info", version=till.facts.version, bundle=till.facts.bundle) == 1
        assert value(text, "catalog_till_answers_waiting") == 1
        made = value(text, "catalog_till_made_timestamp_seconds")
        assert made is not None and abs(made - now().timestamp()) < 600
        assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403
        assert client.get("/metrics", environ_base={"REMOTE_ADDR": "10.0.0.7"}).status_code == 403
        assert create_till_app(till).test_client().get("/metrics").status_code == 404
    catalog.close()
