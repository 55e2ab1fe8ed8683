from __future__ import annotations

import logging
import re

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from catalog.errors import DatabaseUnavailableError
from tests.support import pictures
from tests.support.served import environment, run, served
from web import create_app, request_ids

MADE = r"[0-9a-f]{32}"


def test_each_answer_has_an_id_and_each_a_new_one(anybody: FlaskClient) -> None:
    paths = ("/health", "/static/icon.svg", "/nothing", "/login", "/openapi/v1.json", "/api/v1/nothing")
    ids = []
    for path in paths:
        with anybody.get(path) as reply:
            ids.append(reply.headers[request_ids.HEADER])
    assert all(re.fullmatch(MADE, identity) for identity in ids) and len(set(ids)) == len(paths)


@pytest.mark.parametrize("sent", ["a", "till-3_2026.12.01", "A" * 64])
def test_a_harmless_id_of_the_client_is_taken(anybody: FlaskClient, sent: str) -> None:
    reply = anybody.post("/api/v1/recognize", headers={request_ids.HEADER: sent})
    assert reply.headers.getlist(request_ids.HEADER) == [sent]
    assert reply.get_json(force=True)["request_id"] == sent


@pytest.mark.parametrize("sent", ["", "A" * 65, "a b", "<b>", "a%0a", "ä", "a\x7f", "\u0661"])
def test_any_other_is_not(anybody: FlaskClient, sent: str) -> None:
    reply = anybody.get("/api/v1/nothing", headers={request_ids.HEADER: sent.encode().decode("latin-1")})
    assert re.fullmatch(MADE, reply.headers[request_ids.HEADER])
    assert reply.get_json(force=True)["request_id"] == reply.headers[request_ids.HEADER]


def test_what_is_logged_meanwhile_has_the_id(catalog: Catalog, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(catalog, "a key for tests only, long enough")

    def silent() -> str:
        raise DatabaseUnavailableError("It is silent.")

    app.add_url_rule("/health/silent", "health.silent", silent)
    caplog.handler.addFilter(request_ids.InEachLine())
    app.test_client().get("/health/silent", headers={request_ids.HEADER: "mine"})
    request_ids.end()
    logging.getLogger("web").error("later")
    assert [record.request for record in caplog.records] == [" [mine]", ""]


@pytest.mark.slow
def test_the_server_names_ids_in_its_own_refusals_and_in_its_log(tmp_path) -> None:
    log = tmp_path / "log"
    nowhere = environment(CATALOG_DATA=str(tmp_path / "data"), CATALOG_GALLERY="http://127.0.0.1:1")
    made = run(["key", "create", "till"], nowhere)
    with served(log, nowhere) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        headers = {request_ids.HEADER: "till-7"}
        refused = client.post("/api/v1/recognize", content=b"x" * 1000, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "key_missing")
        assert refused.headers[request_ids.HEADER] == refused.json()["request_id"] == "till-7"
        large = client.post("/health", content=b"x" * 300_000)
        assert (large.status_code, large.json()["code"]) == (413, "request_entity_too_large")
        assert re.fullmatch(MADE, large.json()["request_id"])
        assert large.headers[request_ids.HEADER] == large.json()["request_id"]
        key = {"Authorization": f"Bearer {made.stdout.split()[-1]}"}
        broken = client.post("/api/v1/recognize", content=pictures.jpeg(1), headers={**key, request_ids.HEADER: "mine"})
        assert (broken.status_code, broken.json()["request_id"]) == (503, "mine"), broken.text
        client.get("/health")
    lines = [line for line in log.read_text().splitlines() if "[mine]" in line]
    assert "recognize: gallery_unavailable" in lines[-1]


def test_the_id_ends_with_its_request(app: Flask) -> None:
    request_ids.begin("a")
    assert request_ids.current() == "a"
    request_ids.end()
    assert request_ids.current() == ""
