"""What tills, staff and load balancers are told while the gallery is silent or is filled again: by HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from catalog import accounts
from catalog.catalog import Catalog
from catalog.config import ServerOptions
from catalog.enrollment import run_pending
from catalog.gallery import open_gallery
from tests.support.catalogs import with_gallery
from tests.support.pictures import jpeg
from tests.support.qdrants import silence
from tests.support.steps import create
from web import create_app

TIMEOUT, MARGIN = 2, 5.0


def client_of(catalog: Catalog) -> FlaskClient:
    app: Flask = create_app(catalog, "a key for tests only, long enough")
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = (
        f"Bearer {accounts.add_key(catalog.database, 'till', accounts.SCOPES, actor='test').key}"
    )
    return client


@pytest.fixture
def silent(open_catalog: Any) -> Iterator[FlaskClient]:
    """A till of a catalog whose gallery is silent."""
    catalog: Catalog = open_catalog()
    catalog.generations.live().embedder.embed_bytes(jpeg(1))
    with silence() as url:
        gallery = open_gallery(url, options=ServerOptions(timeout=TIMEOUT))
        yield client_of(with_gallery(catalog, gallery))
        gallery.close()


def test_tills_and_health_are_answered(silent: FlaskClient) -> None:
    def ask(what: str) -> tuple[int, str, float]:
        began = time.monotonic()
        client = silent.application.test_client()
        client.environ_base |= silent.environ_base
        if what == "recognize":
            reply = client.post("/api/v1/recognize", data=jpeg(1), content_type="image/jpeg")
        elif what == "add":
            form = {"sku": f"S{began}", "photos": (BytesIO(jpeg(2)), "2.jpg")}
            reply = client.post("/api/v1/products", data=form)
        else:
            reply = client.get(what)
        body = reply.get_json()
        return (
            reply.status_code,
            body.get("code") or body.get("status") or str(body["searchable"]),
            (time.monotonic() - began),
        )

    asked = ["recognize"] * 8 + ["add"] * 3 + ["/health", "/health/ready"] * 4
    with ThreadPoolExecutor(len(asked)) as pool:
        told = list(zip(asked, pool.map(ask, asked), strict=True))
    expected = {
        "recognize": (503, "gallery_unavailable", TIMEOUT + MARGIN),
        "add": (201, "False", TIMEOUT + MARGIN),
        "/health": (200, "ok", MARGIN),
        "/health/ready": (503, "gallery_unavailable", MARGIN),
    }
    for what, (status, code, seconds) in told:
        assert (status, code) == expected[what][:2], what
        assert seconds < expected[what][2], what


def test_a_till_is_told_that_the_gallery_is_filled_again(open_catalog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.maintenance.readiness.PATIENCE", 30.0)  # for a busy machine
    catalog: Catalog = open_catalog()
    create(catalog, "S1", 1)
    live = catalog.generations.live()
    catalog.gallery.drop(live.collection)
    catalog.generations.release(live.collection)
    till = client_of(catalog)
    ask = lambda: till.post("/api/v1/recognize", data=jpeg(1), content_type="image/jpeg")  # noqa: E731
    refused = ask()
    assert (refused.status_code, refused.get_json()["code"]) == (503, "gallery_refilling")
    assert int(refused.headers["Retry-After"]) > 0
    assert till.get("/health/ready").get_json()["status"] == "refilling"
    while run_pending(catalog):
        pass
    assert ask().get_json()["matches"][0]["sku"] == "S1"
    assert till.get("/health/ready").get_json()["status"] == "ok"
