"""Recognizing by the API: what is asked for, and what a till is shown."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image

from catalog import accounts, products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from tests.support.pictures import jpeg
from web.api import schemas

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
