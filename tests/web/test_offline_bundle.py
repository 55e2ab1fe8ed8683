"""The archive for offline tills by HTTP, and what they bring back."""

from __future__ import annotations

import io
import re
import shutil
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from catalog import accounts
from catalog.catalog import Catalog
from catalog.errors import BundleBuildingError
from catalog.offline import (
    Built,
    BundleRefusedError,
    OfflineBundles,
    ServerLink,
    Till,
    TillFolder,
    TillOptions,
    install,
)
from catalog.offline.packing import pack
from catalog.recognition import recognize
from tests.support.apps import open_app
from tests.support.offline import KEY, add, public_key, till_of
from tests.support.pictures import jpeg
from web.till import __main__ as program
from web.till.app import create_till_app

BUNDLE = "/api/v1/offline-bundle"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with open_app(tmp_path_factory.mktemp("offline")) as app:
        catalog: Catalog = app.config["CATALOG"]
        add(catalog, "S1", jpeg(1))
        add(catalog, "S2", jpeg(2))
        app.extensions["offline_bundles"] = OfflineBundles(catalog, pack)
        yield app


@pytest.fixture(scope="module")
def server(app: Flask) -> Catalog:
    found: Catalog = app.config["CATALOG"]
    return found


def client_of(app: Flask, *scopes: str) -> FlaskClient:
    client = app.test_client()
    key = accounts.add_key(app.config["CATALOG"].database, "till", scopes, actor="test").key
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


@pytest.fixture(scope="module")
def reader(app: Flask) -> FlaskClient:
    return client_of(app, "catalog:read", "feedback")


def fetched(client: FlaskClient, path: str = BUNDLE, **headers: str) -> TestResponse:
    """The reply, read and closed."""
    reply = client.get(path, headers=headers)
    assert reply.data is not None
    reply.close()
    return reply


def test_it_needs_a_key_that_may_read_the_catalog(app: Flask) -> None:
    assert app.test_client().get(BUNDLE).status_code == 401
    refused = client_of(app, "recognize", "feedback", "catalog:write").get(BUNDLE)
    assert (refused.status_code, refused.get_json(force=True)["code"]) == (403, "scope_missing")


def test_whole_unchanged_delta(reader: FlaskClient, server: Catalog, tmp_path: Path) -> None:
    first = fetched(reader)
    version = first.headers["Catalog-Version"]
    assert (first.status_code, first.headers["ETag"]) == (200, f'"{version}"')
    assert "Catalog-Since" not in first.headers
    assert f"catalog-{version}.zip" in first.headers["Content-Disposition"]
    (tmp_path / "whole.zip").write_bytes(first.data)
    part = fetched(reader, Range="bytes=100-199")
    assert (part.status_code, part.data) == (206, first.data[100:200])
    same = fetched(reader, **{"If-None-Match": f'"{version}"'})
    assert (same.status_code, same.data, same.headers["Catalog-Version"]) == (304, b"", version)
    add(server, "S3", jpeg(3))
    second = fetched(reader, f"{BUNDLE}?since={version}", **{"If-None-Match": f'"{version}"'})
    assert (second.status_code, second.headers["Catalog-Since"]) == (200, version)
    (tmp_path / "delta.zip").write_bytes(second.data)
    unknown = fetched(reader, f"{BUNDLE}?since=0000000000000000")
    assert "Catalog-Since" not in unknown.headers
    assert unknown.headers["Catalog-Version"] == second.headers["Catalog-Version"] != version
    folder, keys = TillFolder(tmp_path / "till"), [public_key(server)]
    install(folder, tmp_path / "whole.zip", keys)
    facts, changed = install(folder, tmp_path / "delta.zip", keys)
    assert (changed, facts.products) == (True, 3)


def test_bad_parameters_are_told(reader: FlaskClient) -> None:
    for query in ("thumbnails=perhaps", "sinse=abc"):
        reply = reader.get(f"{BUNDLE}?{query}")
        assert (reply.status_code, reply.get_json(force=True)["code"]) == (422, "invalid_input")


def test_while_it_is_built(app: Flask, reader: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def building(*_: object, **__: object) -> None:
        raise BundleBuildingError("The archive is being built.")

    monkeypatch.setattr(app.extensions["offline_bundles"], "get", building)
    monkeypatch.setattr(app.extensions["offline_bundles"], "version", lambda **_: None)
    reply = reader.get(BUNDLE)
    assert (reply.status_code, reply.get_json(force=True)["code"]) == (503, "offline_bundle_building")
    assert int(reply.headers["Retry-After"]) > 0


def test_a_new_till_waits_while_its_first_archive_is_built(
    app: Flask, server: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles: OfflineBundles = app.extensions["offline_bundles"]
    get, asked = bundles.get, []

    def building_first(**wanted: Any) -> Built:
        asked.append(wanted)
        if len(asked) < 3:
            raise BundleBuildingError("The archive is being built.")
        return get(**wanted)

    monkeypatch.setattr(bundles, "get", building_first)
    monkeypatch.setattr(bundles, "version", lambda **_: None)
    monkeypatch.setattr(program, "PAUSE", 0.01)
    key = accounts.add_key(server.database, "till", ("catalog:read",), actor="test").key
    folder = TillFolder(tmp_path / "till")
    listening = make_server("127.0.0.1", 0, app)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        link = ServerLink(f"http://127.0.0.1:{listening.port}", key)
        program.install_first(folder, link, [public_key(server)], thumbnails=False)
        link.close()
    finally:
        listening.shutdown()
    assert (len(asked), bool(folder.current())) == (3, True)


def an_answer(**changes: object) -> dict[str, object]:
    told = {"at": "2026-01-02T03:04:05+00:00", "correct": False, "sku": "S2", "note": "", "number": 1}
    return {
        "id": str(uuid.uuid4()),
        "at": "2026-01-02T03:04:05+00:00",
        "decision": "match",
        "decided_by": "embedding",
        "sku": "S1",
        "score": 0.9,
        "confidence": None,
        "bundle": "0123456789ab",
        "milliseconds": 9.5,
        "feedback": [told],
    } | changes


def test_answers_are_taken_once(reader: FlaskClient) -> None:
    good, gone = an_answer(), an_answer()
    gone["feedback"] = [{**gone["feedback"][0], "sku": "S9"}]  # type: ignore[index]
    for _ in range(2):
        reply = reader.post("/api/v1/offline-answers", json={"answers": [good, gone]})
        assert reply.status_code == 200, reply.data
        assert [one["code"] for one in reply.get_json()["refused"]] == ["not_found"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "no id"),
        ("at", "yesterday"),
        ("at", "2026-01-02T03:04:05"),
        ("decision", "perhaps"),
        ("bundle", "../../etc"),
        ("sku", "x" * 65),
        ("score", "much"),
        ("milliseconds", -1),
        ("more", 1),
    ],
)
def test_bad_answers_are_told_by_field(reader: FlaskClient, field: str, value: object) -> None:
    reply = reader.post("/api/v1/offline-answers", json={"answers": [an_answer(), an_answer(**{field: value})]})
    assert (reply.status_code, reply.get_json(force=True)["code"]) == (422, "invalid_input")
    assert reply.get_json(force=True)["errors"][0]["field"] == f"answers.1.{field}"


@pytest.fixture(scope="module")
def till(server: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Till]:
    archive = OfflineBundles(server, pack).get(wait=120).path
    with till_of(server, archive, tmp_path_factory.mktemp("till") / "data") as opened:
        yield opened


@pytest.fixture
def local(till: Till) -> FlaskClient:
    client = create_till_app(till).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {KEY}"
    return client


def test_a_till_answers_as_the_server(app: Flask, local: FlaskClient) -> None:
    server = client_of(app, "recognize")
    for data in (jpeg(1), jpeg(2), jpeg(9), b"no image", b"", jpeg(1)[:500]):
        replies = []
        for client in (server, local):
            reply = client.post("/api/v1/recognize", data={"photo": (io.BytesIO(data), "a.jpg")})
            body = reply.get_json(force=True)
            for name in ("id", "milliseconds", "timings", "request_id"):
                body.pop(name, None)
            replies.append((reply.status_code, reply.content_type, body))
        assert replies[0] == replies[1]


def test_a_till_asks_for_its_key(till: Till) -> None:
    client = create_till_app(till).test_client()
    assert client.post("/api/v1/recognize", data=jpeg(1), content_type="image/jpeg").status_code == 401
    wrong = client.post("/api/v1/recognize", data=jpeg(1), headers={"Authorization": "Bearer pc_other"})
    assert (wrong.status_code, wrong.get_json(force=True)["code"]) == (401, "key_unknown")
    assert client.get("/health").get_json() == {"status": "ok"}


def test_a_till_explains_its_problems(till: Till) -> None:
    client = create_till_app(till).test_client()
    kind = client.post("/api/v1/recognize", data=jpeg(1), content_type="image/jpeg").get_json(force=True)["type"]
    page = client.get(kind)
    assert page.status_code == 200 and "<h1>" in page.text
    for loaded in re.findall(r'<link [^>]*href="([^"]+)"', page.text):
        assert client.get(loaded, buffered=True).status_code == 200, loaded
    assert client.get(kind, headers={"Accept": "application/json"}).get_json()["type"] == kind
    assert client.get("/problems/").status_code == 200


def test_a_till_takes_feedback(till: Till, local: FlaskClient) -> None:
    till.answers.flush()
    before = till.answers.count_waiting()
    answer = local.post("/api/v1/recognize", data={"photo": (io.BytesIO(jpeg(1)), "a.jpg")}).get_json()
    path = f"/api/v1/recognitions/{answer['id']}/feedback"
    assert local.post(path, data={"correct": "false", "sku": "S2"}).status_code == 204
    assert local.post(path, data={"correct": "false", "sku": "S9"}).status_code == 404
    assert till.answers.count_waiting() == before + 1
    health = local.get("/health/ready").get_json()
    assert (health["status"], health["version"], health["waiting"]) == ("ok", till.facts.version, before + 1)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/products/"),
        ("GET", "/login"),
        ("POST", "/api/v1/products"),
        ("GET", BUNDLE),
        ("POST", "/api/v1/offline-answers"),
        ("GET", "/openapi/v1.json"),
    ],
)
def test_a_till_serves_nothing_else(local: FlaskClient, method: str, path: str) -> None:
    reply = local.open(path, method=method)
    assert reply.status_code == 404
    assert reply.content_type == "application/problem+json"
    assert reply.get_json(force=True)["code"] == "not_found"


def test_a_till_whose_data_is_damaged_says_what_to_do(server: Catalog, tmp_path: Path) -> None:
    archive = OfflineBundles(server, pack).get(wait=120).path
    with till_of(server, archive, tmp_path / "till") as opened:
        folder, version = opened.folder, opened.facts.version
    for damage in ("gallery", "facts.json"):
        path = folder.version_folder(version) / damage
        shutil.rmtree(path) if path.is_dir() else path.write_text("{")
        with pytest.raises(BundleRefusedError, match=f"Remove the file {tmp_path}/till/current"):
            Till(folder, TillOptions(KEY))
        (folder.root / "current").unlink()
        with till_of(server, archive, folder.root) as again:
            assert recognize(again.catalog, jpeg(1)).matches[0].sku == "S1"
