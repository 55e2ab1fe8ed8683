from __future__ import annotations

import io

from flask import Flask
from flask.testing import FlaskClient

from tests.support import pictures
from web.api import schemas
from web.api.operation import FILE, operation_of


def operations(app: Flask):
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("api."):
            yield rule.endpoint, operation_of(app.view_functions[rule.endpoint])


def test_each_view_of_the_api_is_an_operation(app: Flask) -> None:
    assert [endpoint for endpoint, said in operations(app) if said is None] == []


def test_what_is_described_is_what_is_taken(app: Flask) -> None:
    for endpoint, said in operations(app):
        models = {model for media, model in said.bodies.items() if "json" not in media} - {FILE}
        models |= {said.query} - {""}
        described = {field for model in models for field in getattr(schemas, model).model_fields}
        assert described == set(said.takes), endpoint


def test_an_unknown_field_is_refused_with_the_nearest_name(till: FlaskClient) -> None:
    photo = (io.BytesIO(pictures.jpeg(1)), "1.jpg")
    reply = till.post("/api/v1/recognize?skus=A", data={"photo": photo, "labels": "bakery", "zzz": "1"})
    assert reply.status_code == 422
    body = reply.get_json(force=True)
    assert body["code"] == "invalid_input"
    assert [error["field"] for error in body["errors"]] == ["skus", "labels", "zzz"]
    assert [error["detail"].rpartition("here. ")[2] for error in body["errors"]] == [
        "Did you mean sku?",
        "Did you mean label?",
        "It is one of: photo, label, sku, k.",
    ]
