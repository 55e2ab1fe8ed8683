from __future__ import annotations

import io

from flask import Flask
from flask.testing import FlaskClient

from catalog import accounts, products
from catalog.catalog import Catalog
from tests.support.pictures import jpeg
from web.api.schemas import Changes


def follow(till: FlaskClient, after: str, **more: object) -> dict:
    reply = till.get("/api/v1/changes", query_string={"after": after, **more})
    assert reply.status_code == 200, reply.get_data(as_text=True)
    body = reply.get_json()
    assert Changes.model_validate(body).model_dump(mode="json").keys() == body.keys()
    return body


def test_another_system_follows_what_changes(till: FlaskClient, catalog: Catalog) -> None:
    start = follow(till, "latest")
    assert (start["changes"], start["more"]) == ([], False)
    form = {"sku": "FEED-1", "name": "Tea", "photos": (io.BytesIO(jpeg(9101)), "1.jpg")}
    assert till.post("/api/v1/products", data=form).status_code == 201
    products.change(catalog.database, products.Facts("FEED-1", "Green tea"), actor="Anna Miller")
    products.rename(catalog, "FEED-1", "FEED-2", actor="Anna Miller")
    found = follow(till, start["next"])
    assert [(change["type"], change["sku"], change["was"], change["fields"]) for change in found["changes"]] == [
        ("product.created", "FEED-1", None, []),
        ("product.changed", "FEED-1", None, ["name"]),
        ("product.renamed", "FEED-2", "FEED-1", []),
    ]
    assert [change["actor"] for change in found["changes"]] == ["key", "staff", "staff"]
    assert "Anna" not in str(found) and "till of the tests" not in str(found)
    one = follow(till, start["next"], limit=1)
    assert (one["changes"], one["more"]) == (found["changes"][:1], True)
    assert follow(till, one["next"])["changes"] == follow(till, one["changes"][0]["id"])["changes"]
    assert follow(till, found["next"]) == {"changes": [], "next": found["next"], "more": False}


def test_a_cursor_that_is_gone_and_one_that_is_none(till: FlaskClient) -> None:
    here = follow(till, "latest")["next"]
    gone = till.get(f"/api/v1/changes?after={here[:8]}-999999999")
    assert (gone.status_code, gone.get_json(force=True)["code"]) == (410, "cursor_gone")
    assert "read all products anew" in gone.get_json(force=True)["detail"]
    for query in ("after=x", "after=%00", "limit=0", "limit=1001", "limit=", "cursor=x"):
        reply = till.get(f"/api/v1/changes?{query}")
        assert (reply.status_code, reply.get_json(force=True)["code"]) == (422, "invalid_input"), query


def test_it_needs_its_scope(app: Flask, catalog: Catalog, anybody: FlaskClient) -> None:
    assert anybody.get("/api/v1/changes").status_code == 401
    key = accounts.add_key(catalog.database, "asks", actor="test").key
    reply = app.test_client().get("/api/v1/changes", headers={"Authorization": f"Bearer {key}"})
    assert (reply.status_code, reply.get_json(force=True)["code"]) == (403, "scope_missing")
