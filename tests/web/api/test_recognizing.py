"""Recognizing by the API: what is asked for, and what a till is shown."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from catalog import accounts, products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from tests.support.pictures import jpeg
from web.api import schemas
from web.gate import Gate
from web.serving import Head

#: Seeds of this module's pictures.
FIRST = 5000


@pytest.fixture(scope="module", autouse=True)
def stock(catalog: Catalog) -> None:
    for at in range(8):
        # The first two show the same picture: an ambiguous answer.
        seed = FIRST + max(at, 1)
        facts = Facts(f"ANSWER-{at}", f"Tea no {at}", labels=("answers",), attributes={"no": str(at)})
        products.create(catalog, facts, [NewPhoto(f"{at}.jpg", jpeg(seed))], Intake("test"))


def ask(till: FlaskClient, seed: int = FIRST + 1, **fields: Any):
    photo = (io.BytesIO(jpeg(seed)), "photo.jpg")
    return till.post("/api/v1/recognize", data={"photo": photo, "label": "answers", **fields})


def test_as_many_matches_as_are_asked_for(till: FlaskClient) -> None:
    everything = ask(till, k="20").get_json()["matches"]
    assert len(everything) == 8
    assert len(ask(till).get_json()["matches"]) == 5
    for k in (1, 3, 7):
        skus = [match["sku"] for match in ask(till, FIRST + 5, k=k).get_json()["matches"]]
        assert skus == [match["sku"] for match in ask(till, FIRST + 5, k="20").get_json()["matches"]][:k]
    body = till.post("/api/v1/recognize?k=2&label=answers", data=jpeg(FIRST + 5), content_type="image/jpeg").get_json()
    assert len(body["matches"]) == 2


@pytest.mark.parametrize("k", ["0", "21", "-1", "five", "", "2.0", "\u0662", "9" * 5000])
def test_a_number_of_matches_that_can_not_be(till: FlaskClient, k: str) -> None:
    reply = ask(till, k=k)
    assert (reply.status_code, reply.get_json(force=True)["field"]) == (422, "k")


def test_what_a_till_shows_its_cashier(till: FlaskClient, catalog: Catalog) -> None:
    answer = ask(till).get_json()
    assert schemas.Recognition.model_validate(answer, extra="forbid").model_dump(mode="json") == answer
    assert answer["decision"] == "ambiguous"
    first, second = answer["matches"][:2]
    assert {first["sku"], second["sku"]} == {"ANSWER-0", "ANSWER-1"}
    assert first["differs"]["facts"] == [
        {"fact": "name", "value": first["name"][-1], "other": second["name"][-1]},
        {"fact": "attribute:no", "value": first["sku"][-1], "other": second["sku"][-1]},
    ]
    for match in answer["matches"]:
        [photo] = products.get(catalog.database, match["sku"]).photos
        assert (match["photo"]["id"], match["photo"]["sha256"]) == (str(photo.id), photo.sha256)
        shown = till.get(match["photo"]["thumbnail"])
        assert (shown.status_code, shown.content_type) == (200, "image/jpeg")
        assert max(Image.open(io.BytesIO(shown.data)).size) <= 240


def test_a_small_picture_may_be_kept_and_asked_for_again(till: FlaskClient) -> None:
    path = ask(till).get_json()["matches"][0]["photo"]["thumbnail"]
    shown = till.get(path)
    assert shown.headers["Cache-Control"] == "private, max-age=86400"
    again = till.get(path, headers={"If-None-Match": shown.headers["ETag"]})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", shown.headers["ETag"])
    assert till.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_small_picture_of_what_is_in_no_product_is_not_shown(till: FlaskClient, catalog: Catalog) -> None:
    [added] = products.create(catalog, Facts("SEEN"), [NewPhoto("a.jpg", jpeg(FIRST + 20))], Intake("test")).photos
    path = f"/api/v1/photos/{added.sha256}/thumbnail"
    assert till.get(path).status_code == 200
    products.delete_product(catalog, "SEEN", actor="test")
    assert till.get(path).status_code == 404, "its bytes are still in the bin"
    for name in ("0" * 64, "..", "%00", "A" * 64):
        assert till.get(f"/api/v1/photos/{name}/thumbnail").status_code == 404


def test_the_small_pictures_need_the_key_of_a_till(till: FlaskClient, anybody: FlaskClient, catalog: Catalog) -> None:
    path = ask(till).get_json()["matches"][0]["photo"]["thumbnail"]
    assert anybody.get(path).status_code == 401
    made = accounts.add_key(catalog.database, "no till", ("catalog:write",), actor="test")
    reply = anybody.get(path, headers={"Authorization": f"Bearer {made.key}"})
    assert (reply.status_code, reply.get_json(force=True)["code"]) == (403, "scope_missing")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/octet-stream", "text/plain", ""])
def test_a_photo_as_the_body_whatever_it_is_called(till: FlaskClient, kind: str) -> None:
    reply = till.post("/api/v1/recognize?label=answers", data=jpeg(FIRST + 5), content_type=kind)
    assert reply.get_json()["matches"][0]["sku"] == "ANSWER-5"


def in_base64(seed: int) -> str:
    return base64.b64encode(jpeg(seed)).decode()


@pytest.mark.parametrize("prefix", ["", "data:image/jpeg;base64,", "\n"])
def test_a_photo_in_json(till: FlaskClient, prefix: str) -> None:
    body = {"photo": prefix + in_base64(FIRST + 6), "label": ["answers"], "k": 2}
    answer = till.post("/api/v1/recognize", json=body).get_json()
    assert answer["matches"][0]["sku"] == "ANSWER-6" and len(answer["matches"]) == 2
    reply = till.post("/api/v1/recognize?label=answers", json={"photo": in_base64(FIRST + 6), "sku": ["ANSWER-6"]})
    assert len(reply.get_json()["matches"]) == 5, "the address widens what the body names"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["photo"]),
        ({"photo": "no base64!"}, ["photo"]),
        ({"photo": 5, "labels": ["a"], "k": 21}, ["photo", "k", "labels"]),
        ({"photo": "", "k": "many", "sku": "A"}, ["sku", "k"]),
        ({"photo": "\u00fc"}, ["photo"]),
        ([], ["body"]),
    ],
)
def test_json_that_can_not_be(till: FlaskClient, body: Any, fields: list[str]) -> None:
    reply = till.post("/api/v1/recognize", json=body)
    assert reply.status_code == 422
    problem = reply.get_json(force=True)
    schemas.Problem.model_validate(problem, extra="forbid")
    assert [error["field"] for error in problem["errors"]] == fields
    assert "labels" not in fields or "Did you mean label?" in problem["errors"][2]["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"photo": "\\ud800"}'])
def test_a_body_that_is_no_json(till: FlaskClient, body: bytes) -> None:
    assert till.post("/api/v1/recognize", data=body, content_type="application/json").status_code == 422


def test_in_json_a_photo_may_be_as_large_as_elsewhere(app: Flask, till: FlaskClient) -> None:
    gate = Gate(app)
    headers = {"AUTHORIZATION": "Bearer KEY", "CONTENT_TYPE": "application/json; charset=utf-8"}
    whole = gate(Head("POST", "/api/v1/recognize", headers, 1)).max_body
    assert whole >= len(base64.b64encode(bytes(25 * 2**20))) + 1000
    assert whole < 36 * 2**20
    assert gate(Head("POST", "/api/v1/recognize", headers | {"CONTENT_TYPE": "image/jpeg"}, 1)).max_body == 26 * 2**20
    too_large = till.post("/api/v1/recognize", json={"photo": base64.b64encode(bytes(25 * 2**20 + 1)).decode()})
    assert (too_large.status_code, too_large.get_json(force=True)["code"]) == (413, "too_large")


def batch(till: FlaskClient, *photos: tuple[str, bytes], **fields: Any):
    files = [(io.BytesIO(data), name) for name, data in photos]
    return till.post("/api/v1/recognize/batch", data={"photos": files, "label": "answers", **fields})


def test_a_batch_has_one_answer_for_each_photo(till: FlaskClient) -> None:
    photos = [("6.jpg", jpeg(FIRST + 6)), ("bad.jpg", b"bad"), ("3.jpg", jpeg(FIRST + 3)), ("none.jpg", b"")]
    reply = batch(till, *photos, k="1")
    assert reply.status_code == 200
    body = reply.get_json()
    assert schemas.BatchAnswers.model_validate(body, extra="forbid").model_dump(mode="json", exclude_unset=True) == body
    six, bad, three, none = body["answers"]
    assert [answer["filename"] for answer in body["answers"]] == [name for name, _ in photos]
    for answer, sku in ((six, "ANSWER-6"), (three, "ANSWER-3")):
        [match] = answer["recognition"]["matches"]
        assert (match["sku"], answer["problem"]) == (sku, None)
        assert till.get(match["photo"]["thumbnail"]).status_code == 200
    for answer, status, code in ((bad, 415, "not_an_image"), (none, 422, "empty")):
        assert (answer["recognition"], answer["problem"]["status"], answer["problem"]["code"]) == (None, status, code)
        alone = ask_with(till, dict(photos)[answer["filename"]])
        assert (alone.status_code, alone.get_json(force=True)["code"]) == (status, code)


def ask_with(till: FlaskClient, data: bytes):
    return till.post("/api/v1/recognize", data=data, content_type="image/jpeg")


def test_a_batch_in_json(till: FlaskClient) -> None:
    body = {"photos": [in_base64(FIRST + 5), "", in_base64(FIRST + 4)], "label": ["answers"], "k": 1}
    five, none, four = till.post("/api/v1/recognize/batch", json=body).get_json()["answers"]
    assert [answer["filename"] for answer in (five, none, four)] == ["0", "1", "2"]
    assert [answer["recognition"]["matches"][0]["sku"] for answer in (five, four)] == ["ANSWER-5", "ANSWER-4"]
    assert none["problem"]["code"] == "empty"


def test_a_batch_that_can_not_be(till: FlaskClient) -> None:
    photo = ("a.jpg", jpeg(FIRST))
    for reply, field in (
        (batch(till), "photos"),
        (batch(till, *[("a.jpg", b"x")] * 51), "photos"),
        (batch(till, photo, sku="nobody"), "sku"),
        (batch(till, photo, k="0"), "k"),
        (batch(till, photo, photo="x"), "photo"),
        (till.post("/api/v1/recognize/batch", json={"photos": []}), "photos"),
        (till.post("/api/v1/recognize/batch", json={"photos": ["!"]}), "photos"),
        (till.post("/api/v1/recognize/batch", data=jpeg(FIRST), content_type="image/jpeg"), "photos"),
        (till.post("/api/v1/recognize/batch", data={"photos": "text"}, content_type="multipart/form-data"), "photos"),
    ):
        assert (reply.status_code, reply.get_json(force=True)["field"]) == (422, field)


def test_batches_are_answered_in_a_lane_of_their_own(app: Flask) -> None:
    headers = {"AUTHORIZATION": "Bearer KEY"}
    lanes = [Gate(app)(Head("POST", f"/api/v1/recognize{path}", headers, 1)).lane for path in ("", "/batch")]
    assert lanes == ["tills", "batches"]
