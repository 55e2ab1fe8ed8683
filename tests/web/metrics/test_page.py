"""Who may read /metrics, and what it says of what was asked."""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.generations import Generations
from catalog.storage import Database
from tests.support.catalogs import open_shared
from tests.support.exposed import value
from tests.support.pictures import jpeg
from tests.support.qdrants import silence
from tests.support.staff import Staff
from tests.support.steps import create
from web import create_app, routes

SECRET = "a key for tests only, long enough"


def app_of(catalog: Catalog, **env: str) -> Flask:
    """An app of the same catalog, with metrics of its own."""
    given = Settings.from_env(env)
    wanted = {"metrics": given.metrics, "trusted_proxies": given.trusted_proxies}
    return create_app(dataclasses.replace(catalog, settings=dataclasses.replace(catalog.settings, **wanted)), SECRET)


def status(app: Flask, address: str, **headers: str) -> int:
    return app.test_client().get("/metrics", environ_base={"REMOTE_ADDR": address}, headers=headers).status_code


@pytest.fixture
def fresh(catalog: Catalog) -> Flask:
    return app_of(catalog)


@pytest.fixture
def read(fresh: Flask) -> Callable[[], str]:
    return lambda: fresh.test_client().get("/metrics").get_data(as_text=True)


@pytest.fixture
def program(fresh: Flask, key: str) -> FlaskClient:
    client = fresh.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


def test_programs_of_this_machine_alone_may_read_it(catalog: Catalog) -> None:
    app = app_of(catalog)
    assert [status(app, address) for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")] == [200] * 4
    assert [status(app, address) for address in ("10.0.0.7", "2001:db8::1", "::ffff:10.0.0.7")] == [403] * 3
    refused = app.test_client().get("/metrics", environ_base={"REMOTE_ADDR": "10.0.0.7"})
    assert refused.content_type == "application/problem+json"
    assert "CATALOG_METRICS" in refused.get_json(force=True)["detail"]


def test_who_comes_through_a_proxy_is_not_this_machine(catalog: Catalog) -> None:
    """A proxy on this machine that nobody named forwards everybody from 127.0.0.1."""
    app = app_of(catalog)
    for header in ("X-Forwarded-For", "Forwarded", "X-Forwarded-Proto"):
        assert status(app, "127.0.0.1", **{header: "127.0.0.1"}) == 403
    named = app_of(catalog, CATALOG_TRUSTED_PROXIES="127.0.0.1")
    assert status(named, "127.0.0.1") == 200
    assert status(named, "127.0.0.1", **{"X-Forwarded-For": "203.0.113.9"}) == 403
    both = app_of(catalog, CATALOG_TRUSTED_PROXIES="127.0.0.1", CATALOG_METRICS="203.0.113.0/24")
    assert status(both, "127.0.0.1", **{"X-Forwarded-For": "203.0.113.9"}) == 200
    assert status(both, "127.0.0.1") == 403, "the loopback was not named"


def test_others_may_read_it_that_are_named_or_nobody(catalog: Catalog) -> None:
    app = app_of(catalog, CATALOG_METRICS="10.0.0.0/8 192.0.2.1")
    assert [status(app, address) for address in ("10.1.2.3", "192.0.2.1", "192.0.2.2")] == [200, 200, 403]
    assert status(app_of(catalog, CATALOG_METRICS="off"), "127.0.0.1") == 404


def test_a_session_and_a_key_open_nothing_here(catalog: Catalog, app: Flask, staff: Staff, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    assert staff.client.get("/metrics", environ_base={"REMOTE_ADDR": "10.0.0.7"}).status_code == 403
    assert status(app, "10.0.0.7", **headers) == 403


def test_it_waits_for_nothing_that_tills_wait_for(fresh: Flask) -> None:
    assert routes.lane(fresh.view_functions["metrics.show"]) == "ready"


def test_both_forms_of_prometheus(fresh: Flask) -> None:
    client = fresh.test_client()
    plain = client.get("/metrics")
    assert plain.content_type.startswith("text/plain; version=0.0.4")
    assert "# TYPE process_resident_memory_bytes gauge" in plain.get_data(as_text=True)
    assert "_created" not in plain.get_data(as_text=True)
    opened = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert opened.content_type.startswith("application/openmetrics-text")
    assert opened.get_data(as_text=True).endswith("# EOF\n")


def test_answers_count_by_decision_and_by_what_decided(
    catalog: Catalog, program: FlaskClient, read: Callable[[], str]
) -> None:
    create(catalog, "METRICS-1", 7001)
    said = [program.post("/api/v1/recognize", data=jpeg(seed)).get_json() for seed in (7001, 7001, 7002)]
    assert said[0]["decision"] == "match" and said[0]["matches"][0]["sku"] == "METRICS-1"
    text = read()
    for decision in {answer["decision"] for answer in said}:
        for by in ("embedding", "details", "barcode"):
            given = sum((answer["decision"], answer["decided_by"]) == (decision, by) for answer in said)
            labels = {"decision": decision, "decided_by": by}
            assert (value(text, "catalog_recognitions_total", **labels) or 0) == given
    assert value(text, "catalog_recognition_seconds_count", request="photo") == 3
    took = sum(answer["milliseconds"] for answer in said) / 1000
    assert value(text, "catalog_recognition_seconds_sum", request="photo") == pytest.approx(took, abs=1e-4)
    for step in ("decode", "embed", "search", "facts"):
        assert value(text, "catalog_recognition_step_seconds_count", step=step) == 3
        took = sum(answer["timings"][step] for answer in said) / 1000
        assert value(text, "catalog_recognition_step_seconds_sum", step=step) == pytest.approx(took, abs=1e-4)
    looked_twice = sum(answer["timings"]["second_look"] > 0 for answer in said)
    assert (value(text, "catalog_recognition_step_seconds_count", step="second_look") or 0) == looked_twice


def test_a_batch_counts_its_photos_and_not_those_that_are_refused(
    program: FlaskClient, read: Callable[[], str]
) -> None:
    body = {"photos": [(io.BytesIO(data), "1.jpg") for data in (jpeg(7003), jpeg(7004), b"no photo")]}
    assert program.post("/api/v1/recognize/batch", data=body).status_code == 200
    text = read()
    assert value(text, "catalog_recognition_seconds_count", request="batch") == 2
    assert value(text, "catalog_recognition_seconds_count", request="photo") is None
    assert value(text, "catalog_refusals_total", code="not_an_image") == 0, "the request was answered"
    assert value(text, "catalog_requests_total", endpoint="api.recognize_batch", method="POST", status="200") == 1


def test_requests_and_refusals(fresh: Flask, program: FlaskClient, read: Callable[[], str]) -> None:
    anybody = fresh.test_client()
    for _ in range(2):
        assert program.post("/api/v1/recognize", data=b"no photo").status_code == 415
    assert anybody.post("/api/v1/recognize", data=jpeg(1)).status_code == 401
    assert anybody.get("/nothing-here").status_code == 404
    assert anybody.get("/api/v1/nothing-here").status_code == 404
    assert anybody.open("/health", method="BREW").status_code == 405
    assert anybody.get("/health").status_code == 200
    text = read()
    assert value(text, "catalog_requests_total", endpoint="api.recognize", method="POST", status="415") == 2
    assert value(text, "catalog_requests_total", endpoint="none", method="GET", status="404") == 2
    assert value(text, "catalog_requests_total", method="other", status="405") == 1
    assert value(text, "catalog_requests_total", endpoint="health.alive", method="GET", status="200") == 1
    assert value(text, "catalog_refusals_total", code="not_an_image") == 2
    assert value(text, "catalog_refusals_total", code="key_missing") == 1
    assert value(text, "catalog_refusals_total", code="not_found") == 1, "a page of the staff is no problem"
    assert "BREW" not in text
    assert value(read(), "catalog_requests_total", endpoint="metrics.show", method="GET", status="200") == 1


def test_an_unexpected_error_counts(fresh: Flask) -> None:
    app = fresh
    app.add_url_rule("/health/broken", "health.broken", lambda: 1 / 0)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert app.test_client().get("/health/broken").status_code == 500
    text = app.test_client().get("/metrics").get_data(as_text=True)
    assert value(text, "catalog_requests_total", endpoint="health.broken", method="GET", status="500") == 1
    assert value(text, "catalog_refusals_total", code="internal_server_error") == 1


def test_a_silent_database_holds_up_no_scrape(catalog: Catalog) -> None:
    with silence() as url:
        database = Database(url.replace("http://", "postgresql://anna@") + "/catalog")
        generations = Generations(catalog.settings, database, catalog.gallery, open_shared)
        app = create_app(dataclasses.replace(catalog, database=database, generations=generations), SECRET)
        for most in (2.0, 0.5):
            began = time.monotonic()
            text = app.test_client().get("/metrics").get_data(as_text=True)
            assert time.monotonic() - began < most
            assert value(text, "catalog_database_up") == 0
            assert value(text, "catalog_products") is None
            assert value(text, "process_resident_memory_bytes") is not None
        database.close()
