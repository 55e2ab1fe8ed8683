"""The OpenAPI description: complete, and in the form that generators of clients understand."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from catalog.catalog import Catalog
from catalog.client import models
from catalog.errors import NotFoundError
from tests.support import pictures
from web import create_app, problems
from web.api import client_models, describe, examples, schemas
from web.api.operation import operation, operation_of

TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")


@pytest.fixture(scope="module")
def described(app: Flask) -> dict[str, Any]:
    return describe.description(app)


def operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in described["paths"].values():
        for one in methods.values():
            yield one["operationId"], one


def parts(node: Any) -> Iterator[dict[str, Any]]:
    """All objects in a description."""
    if isinstance(node, dict):
        yield node
    for below in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from parts(below)


def test_the_description_is_served(anybody: FlaskClient, described: dict[str, Any]) -> None:
    assert anybody.get("/openapi/v1.json").get_json() == described
    assert described["openapi"] == "3.1.0" and described["servers"][0]["url"] == "/"
    assert described["info"]["license"]["identifier"] == "MIT" and len(described["info"]["description"]) > 200


def test_each_model_is_there_once_and_each_reference_leads_somewhere(described: dict[str, Any]) -> None:
    names = set(described["components"]["schemas"])
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]*", name) for name in names), "two models have one name"
    assert not {name for name in names if re.search(r"(Input|Output)$", name)}, "taken and given are not the same"
    referred = {part["$ref"] for part in parts(described) if isinstance(part.get("$ref"), str)}
    for reference in referred:
        _, _, kind, name = reference.split("/")
        assert name in described["components"][kind], reference
    used = {reference.rpartition("/")[2] for reference in referred}
    assert names <= used, "a model that nothing names"


def test_an_operation_has_a_name_a_group_a_scope_and_words(described: dict[str, Any]) -> None:
    names = [name for name, _ in operations(described)]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in described["tags"]}
    for name, one in operations(described):
        assert one["summary"] and one["description"] and set(one["tags"]) <= tags, name
        assert one["security"] == [{"key": [one["x-scope"]]}] and f"scope `{one['x-scope']}`" in one["description"], (
            name
        )


def test_an_operation_lists_exactly_its_problems(app: Flask, described: dict[str, Any]) -> None:
    for rule in app.url_map.iter_rules():
        said = operation_of(app.view_functions[rule.endpoint])
        if said is None:
            continue
        one = dict(operations(described))[rule.endpoint.rpartition(".")[2]]
        wanted = {*problems.ALWAYS, *said.problems, *(["not_found"] if rule.arguments else [])}
        told: dict[str, set[str]] = {}
        for status, answer in one["responses"].items():
            if "application/problem+json" in answer.get("content", {}):
                [(kind, body)] = answer["content"].items()
                assert (kind, body["schema"]) == (
                    "application/problem+json",
                    {"$ref": "#/components/schemas/Problem"},
                )
                schemas.Problem.model_validate(body["example"], extra="forbid")
                assert str(body["example"]["status"]) == status
                told[status] = set(re.findall(r"^- `(\w+)`: ", answer["description"], re.MULTILINE))
                retried = any(problems.KINDS[code].retry for code in told[status])
                assert ("Retry-After" in answer["headers"]) == retried
            assert "X-Request-Id" in answer["headers"]
        codes = set().union(*told.values())
        assert codes == set(problems.expanded(wanted)), rule.rule
        assert all(str(problems.KINDS[code].status) == status for status in told for code in told[status])


def test_the_headers_of_an_answer_are_described(till: FlaskClient, described: dict[str, Any]) -> None:
    adapter, seen = till.application.url_map.bind("localhost"), set()

    def ask(method: str, path: str, **more: Any) -> TestResponse:
        reply = till.open(path, method=method, **more)
        endpoint, _ = adapter.match(path, method)
        answer = dict(operations(described))[endpoint.rpartition(".")[2]]["responses"][str(reply.status_code)]
        sent = set(reply.headers.keys()) & set(described["components"]["headers"])
        assert sent <= set(answer["headers"]), (method, path, reply.status)
        seen.update(sent)
        return reply

    product, name = "/api/v1/products/HEADERS", {"Idempotency-Key": "headers of answers"}
    for _ in range(2):
        photos = {"sku": "HEADERS", "photos": (io.BytesIO(pictures.jpeg(4711)), "1.jpg")}
        made = ask("POST", "/api/v1/products", data=photos, headers=name)
        assert made.status_code == 201
    tag, photo = made.headers["ETag"], made.get_json()["photos"][0]
    for path in (product, f"{product}/photos", f"{product}/photos/{photo['id']}"):
        assert ask("GET", path, headers={"If-None-Match": tag}).status_code == 304
    thumbnail = f"/api/v1/photos/{photo['sha256']}/thumbnail"
    small = ask("GET", thumbnail)
    assert ask("GET", thumbnail, headers={"If-None-Match": small.headers["ETag"]}).status_code == 304
    ask("PUT", product, json={"brand": "Kibo"})
    ask("PATCH", product, json={"brand": ""})
    ask("PUT", f"{product}/photos/{photo['id']}", data={"photo": (io.BytesIO(pictures.jpeg(4712)), "2.jpg")})
    ask("POST", "/api/v1/products", data=b"", headers={"Content-Encoding": "br"})
    begun = ask("POST", "/api/v1/imports", data={"name": "headers"})
    till.post(f"{begun.headers['Location']}/cancel")
    assert ask("DELETE", product).status_code == 200
    till.environ_base.pop("HTTP_AUTHORIZATION")
    ask("GET", product)
    wanted = {"X-Request-Id", "ETag", "Location", "Idempotency-Replayed", "Accept-Encoding", "WWW-Authenticate"}
    assert wanted <= seen


def test_bodies_are_such_that_a_generated_client_can_send_them(described: dict[str, Any]) -> None:
    for name, one in operations(described):
        content = one.get("requestBody", {}).get("content", {})
        models = [body["schema"].get("$ref") for body in content.values() if "$ref" in body["schema"]]
        # Of two media types with one model, openapi-python-client sends both at once.
        assert len(set(models)) == len(models), name
        if "image/*" in content:  # which generators leave out
            assert "application/octet-stream" in content, name
        form = content.get("multipart/form-data")
        if form:
            fields = described["components"]["schemas"][form["schema"]["$ref"].rpartition("/")[2]]["properties"]
            files = {field for field, schema in fields.items() if "binary" in str(schema)}
            assert set(form.get("encoding", {})) == files, name
    recognize = dict(operations(described))["recognize"]
    assert {"multipart/form-data", "image/*", "application/octet-stream"} <= set(recognize["requestBody"]["content"])
    assert {given["name"] for given in recognize["parameters"] if given.get("in") == "query"} >= {"label", "sku"}
    assert described["components"]["schemas"]["RecognizeForm"]["properties"]["photo"]["format"] == "binary"


def test_schemas_have_types_that_there_are(described: dict[str, Any]) -> None:
    for schema in described["components"]["schemas"].values():
        for part in parts(schema.get("properties", {})):
            if isinstance(part.get("type"), str):
                assert part["type"] in TYPES
    assert described["components"]["schemas"]["FeedbackForm"]["properties"]["sku"]["maxLength"] == 64


@pytest.mark.parametrize("name", examples.EXAMPLES)
def test_an_example_is_one_of_its_model(name: str, described: dict[str, Any]) -> None:
    example = examples.EXAMPLES[name]
    model = getattr(schemas, name)
    dumped = model.model_validate(example, extra="forbid").model_dump(mode="json", exclude_unset=True)
    assert dumped == example
    required = described["components"]["schemas"][name].get("required", [])
    assert set(required) <= set(example)


def test_a_deprecated_operation_says_so_in_each_answer_and_in_the_description(catalog: Catalog, key: str) -> None:
    app = create_app(catalog, "a key for tests only, long enough")

    @operation("recognize", {200: "Recognition"}, deprecated=date(2026, 12, 1), sunset=date(2027, 12, 1))
    def ask_the_old_way(number: int) -> Response:
        """Ask as one did."""
        if number:
            raise NotFoundError("There is none.")
        return Response("{}")

    app.add_url_rule("/api/v1/old/<int:number>", "api.ask_the_old_way", ask_the_old_way)
    client = app.test_client()
    for number, headers, status in ((0, {"Authorization": f"Bearer {key}"}, 200), (0, {}, 401)):
        reply = client.get(f"/api/v1/old/{number}", headers=headers)
        assert reply.status_code == status
        assert reply.headers["Deprecation"] == "@1796083200"
        assert reply.headers["Sunset"] == "Wed, 01 Dec 2027 00:00:00 GMT"
    missing = client.get("/api/v1/old/1", headers={"Authorization": f"Bearer {key}"})
    assert (missing.status_code, missing.headers["Deprecation"]) == (404, "@1796083200")
    assert "Deprecation" not in client.get("/health").headers
    said = describe.description(app)["paths"]["/api/v1/old/{number}"]["get"]
    assert said["deprecated"] is True
    assert "Deprecated since 2026-12-01. It ends on 2027-12-01." in said["description"]
    assert {"Deprecation", "Sunset"} <= set(said["responses"]["200"]["headers"])


def test_the_answers_of_the_client_are_made_from_the_description() -> None:
    """`make reference` makes them anew."""
    assert Path(models.__file__).read_text() == client_models.models()
