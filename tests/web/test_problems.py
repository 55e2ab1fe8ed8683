"""Each problem that is answered anywhere is in the registry, and says what to do."""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from waitress import utilities

from catalog import errors as catalog_errors
from tests.support import pictures
from web import errors, problems
from web.api.operation import operation_of
from web.api.schemas import Problem

ROOT = Path(__file__).parents[2]
#: What is called with a code -> where.
CALLS = (
    ("problem", "web/**/*.py"),
    ("Refused", "web/serving/*.py"),
    ("Refused", "web/gate.py"),
    ("ImageError", "embedder/**/*.py"),
)
#: Base classes, of which nothing is raised.
INNER = {"catalog_error"}


def said_at(function: str, files: str) -> Iterator[str]:
    """Literal codes with which a function or class is called in files."""
    for path in sorted(ROOT.glob(files)):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == function and node.args:
                code = node.args[0]
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    yield code.value


def used() -> set[str]:
    """Codes that the code can answer."""
    kinds = [kind for kind in vars(catalog_errors).values() if isinstance(kind, type)]
    of_classes = {kind.code for kind in kinds if issubclass(kind, catalog_errors.CatalogError)} - INNER
    of_server = {
        problems.code_of(kind.code, kind.reason)
        for kind in vars(utilities).values()
        if isinstance(kind, type) and issubclass(kind, utilities.Error) and kind is not utilities.Error
    }
    said = {code for call in CALLS for code in said_at(*call)}
    return of_classes | of_server | said


def test_a_code_that_is_used_is_registered_and_the_other_way_round(app: Flask) -> None:
    assert all(set(said_at(*call)) for call in CALLS), "nothing is called so any more"
    of_http = {"csrf", "method_not_allowed", "too_many_requests", "unsupported_media_type"}
    assert used() | of_http == set(problems.KINDS)


def test_an_operation_names_problems_that_there_are(app: Flask) -> None:
    for view in app.view_functions.values():
        if said := operation_of(view):
            assert set(said.problems) <= set(problems.KINDS) | set(problems.GROUPS), view.__name__


def test_a_class_without_a_code_of_its_own_has_the_status_of_the_next() -> None:
    class Stranger(catalog_errors.GalleryFullError):
        code = "strange"

    assert errors.status_of(Stranger("")) == 503
    assert errors.status_of(catalog_errors.CatalogError("")) == 500
    assert errors.status_of(catalog_errors.PhotoRejectedError("not_an_image", "", "")) == 415


@pytest.mark.parametrize("code", problems.KINDS)
def test_the_type_of_a_problem_is_answered(anybody: FlaskClient, code: str) -> None:
    page = anybody.get(problems.path_of(code), headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.status_code == 200 and page.mimetype == "text/html" and code in page.get_data(as_text=True)
    said = anybody.get(problems.path_of(code), headers={"Accept": "application/json"}).get_json()
    kind = problems.KINDS[code]
    assert (said["code"], said["status"], said["means"], said["do"]) == (code, kind.status, kind.means, kind.do)


def test_all_problems_are_listed(anybody: FlaskClient) -> None:
    listed = anybody.get("/problems/", headers={"Accept": "application/json"}).get_json()["problems"]
    assert [problem["code"] for problem in listed] == list(problems.KINDS)
    assert anybody.get("/problems/").get_data(as_text=True).count("<dt>") == len(problems.KINDS)
    assert anybody.get("/problems/none").status_code == 404
    unknown = anybody.get("/problems/none", headers={"Accept": "application/json"})
    assert unknown.status_code == 404 and unknown.get_json(force=True)["type"] == "/problems/not_found"


def test_every_field_at_fault_is_named_with_its_index(till: FlaskClient) -> None:
    form = {
        "sku": "..",
        "name": "n" * 201,
        "brand": "b\x00",
        "barcode": ["4006381333931", "4006381333932", "x"],
    }
    reply = till.post("/api/v1/products", data=form)
    assert reply.status_code == 422
    body = Problem.model_validate(reply.get_json(force=True), extra="forbid")
    assert body.field == "sku" and body.errors
    assert [error.field for error in body.errors] == ["sku", "name", "brand", "barcode.1", "barcode.2", "photos"]
    assert all(error.detail in body.detail for error in body.errors)


def test_every_photo_at_fault_is_named_with_its_index(till: FlaskClient) -> None:
    photos = [
        (io.BytesIO(data), name)
        for data, name in ((pictures.jpeg(5), "a.jpg"), (b"no", "b.jpg"), (pictures.jpeg(6), "c.jpg"), (b"", "d.jpg"))
    ]
    body = till.post("/api/v1/products", data={"sku": "FAULTS", "photos": photos}).get_json(force=True)
    assert [(photo["index"], photo["filename"], photo["code"]) for photo in body["photos"]] == [
        (1, "b.jpg", "not_an_image"),
        (3, "d.jpg", "empty"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/api/v1/recognize", {"POST", "OPTIONS"}), ("POST", "/health", {"GET", "HEAD", "OPTIONS"})],
)
def test_405_names_what_is_allowed(till: FlaskClient, method: str, path: str, allowed: set[str]) -> None:
    reply = till.open(path, method=method)
    assert reply.status_code == 405
    assert set(reply.headers["Allow"].split(", ")) == allowed


def test_who_is_to_come_again_is_told_when(app: Flask) -> None:
    with app.test_request_context("/api/v1/recognize"):
        for code, kind in problems.KINDS.items():
            headers = errors.problem(code, "").headers
            assert ("Retry-After" in headers) == kind.retry, code
            assert int(headers.get("Retry-After", 1)) >= 1
        assert errors.problem("overloaded", "", retry_after=7).headers["Retry-After"] == "7"
