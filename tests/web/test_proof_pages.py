"""Pages that show why: the photo that was tried beside the catalog's, and a new photo beside its look-alike."""

from __future__ import annotations

import base64
import io
import re

import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.errors import NotFoundError
from catalog.products import Facts, Intake
from tests.support.drawn import DRAWN, front, small_and_turned
from tests.support.pictures import encode, jpeg, picture

PACK = DRAWN[9]


@pytest.fixture(scope="module")
def known(catalog: Catalog) -> str:
    products.create(catalog, Facts("PROOF-1", "Proven"), [NewPhoto("front.jpg", front(PACK))], Intake("test"))
    return products.get(catalog.database, "PROOF-1").photos[0].sha256


@pytest.mark.parametrize("script", [False, True])
def test_the_photo_that_was_tried_stands_beside_the_catalogs(staff, known: str, script: bool) -> None:
    reply = staff.send("/try/", {"photo": (io.BytesIO(small_and_turned(PACK)), "q.jpg")}, script=script)
    html = reply.get_data(as_text=True)
    assert reply.status_code == 200 and "What is printed decided" in html
    assert re.search(r"\d+ printed details agree with <bdi>Proven", html)
    encoded = re.search(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert encoded
    with Image.open(io.BytesIO(base64.b64decode(encoded[1]))) as picture:
        assert picture.format == "JPEG" and picture.width >= 600


def test_an_answer_by_the_vector_has_no_picture(staff, known: str) -> None:
    reply = staff.send("/try/", {"photo": (io.BytesIO(front(PACK)), "q.jpg")})
    html = reply.get_data(as_text=True)
    assert "The whole look of the photo was enough" in html and "data:image/jpeg" not in html


def test_a_new_photo_of_a_known_pack_is_asked_about_then_said_and_both_are_shown(
    staff, catalog: Catalog, known: str
) -> None:
    def again() -> tuple[io.BytesIO, str]:
        return io.BytesIO(front(PACK, 20, "gray")), "again.jpg"

    form = {"sku": "PROOF-2"}
    asked = staff.send("/add/", {**form, "photos": again()}, script=True, anyway=False)
    question = asked.get_data(as_text=True)
    assert asked.status_code == 422 and asked.mimetype == "text/html" and "Save anyway" in question
    assert "the same pack as Proven (PROOF-1)" in question and f'src="/photos/{known}/thumbnail"' in question
    with pytest.raises(NotFoundError):
        products.get(catalog.database, "PROOF-2")  # it was only asked
    reply = staff.send("/add/", {**form, "photos": again()}, script=True)
    html = reply.get_data(as_text=True)
    (kept,) = products.get(catalog.database, "PROOF-2").photos
    assert (kept.status, kept.warnings) == ("overruled", ["same_pack"])
    assert reply.status_code == 201 and "is in the catalog as" in html and "PROOF-1" in html
    address = re.search(r'src="(/photos/[0-9a-f]+/compare/[0-9a-f]+)"', html)
    assert address
    picture = staff.get(address[1])
    assert (picture.status_code, picture.mimetype) == (200, "image/jpeg")
    with Image.open(io.BytesIO(picture.data)) as shown:
        assert shown.width >= 600


def test_pictures_of_photos_that_are_not_there(staff, anybody: FlaskClient, known: str) -> None:
    assert anybody.get(f"/photos/{known}/compare/{known}").status_code == 302
    assert staff.get(f"/photos/{known}/compare/{'0' * 64}").status_code == 404
    assert staff.get(f"/photos/{known}/compare/nothing").status_code == 404


def test_the_api_says_what_an_answer_rests_on_and_names_look_alikes(till: FlaskClient, known: str) -> None:
    answer = till.post("/api/v1/recognize", data=small_and_turned(PACK), content_type="image/jpeg").get_json()
    assert answer["decided_by"] == "details" and answer["confidence"] > 0.5
    assert answer["matches"][0]["evidence"]["points"] >= 10
    form = {"sku": "PROOF-3", "photos": (io.BytesIO(front(PACK)), "same.jpg")}
    (photo,) = till.post("/api/v1/products", data=form, content_type="multipart/form-data").get_json()["photos"]
    assert photo["like"] == {"sku": "PROOF-1", "name": "Proven", "photo": known, "points": None}
    (warning,) = photo["warnings"]
    assert (warning["code"], warning["sku"], warning["closeness"]) == ("same_picture", "PROOF-1", 1.0)


def test_strict_refuses_what_something_speaks_against_and_lists_all_of_it(
    till: FlaskClient, catalog: Catalog, known: str
) -> None:
    def send(strict: str) -> TestResponse:
        files = [(io.BytesIO(front(PACK)), "same.jpg"), (io.BytesIO(front(PACK, 25, "gray")), "pack.jpg")]
        form = {"sku": "PROOF-4", "strict": strict, "photos": files}
        return till.post("/api/v1/products", data=form, content_type="multipart/form-data")

    problem = send("true")
    said = problem.get_json(force=True)
    assert (problem.status_code, said["code"], said["field"]) == (422, "photo_questionable", "photo")
    found = {photo["filename"]: [warning["code"] for warning in photo["warnings"]] for photo in said["photos"]}
    assert found == {"same.jpg": ["same_picture"], "pack.jpg": ["same_pack"]}
    with pytest.raises(NotFoundError):
        products.get(catalog.database, "PROOF-4")
    assert send("perhaps").get_json(force=True)["field"] == "strict"
    assert send("false").status_code == 201


def test_the_form_without_a_script_asks_and_keeps_what_was_typed(staff, catalog: Catalog, known: str) -> None:
    form = {"sku": "PROOF-5", "name": "Typed", "photos": (io.BytesIO(front(PACK)), "same.jpg")}
    reply = staff.send("/add/", form, anyway=False)
    html = reply.get_data(as_text=True)
    assert reply.status_code == 422 and 'value="Typed"' in html and "The same picture is in the catalog" in html
    assert 'name="anyway"' in html


def test_the_product_page_asks_its_script_and_shows_what_was_overruled(staff, catalog: Catalog) -> None:
    dark = encode(picture(7).point(lambda value: value * 0.2))
    products.create(catalog, Facts("PROOF-6", "Dark"), [NewPhoto("1.jpg", jpeg(6))], Intake("test"))
    page = "/products/PROOF-6"
    form = {"photos": (io.BytesIO(dark), "dark.jpg")}
    asked = staff.send(f"{page}/photos", form, page=page, script=True, anyway=False)
    assert asked.status_code == 422 and "too dark" in asked.get_data(as_text=True)
    assert len(products.get(catalog.database, "PROOF-6").photos) == 1
    form = {"photos": (io.BytesIO(dark), "dark.jpg")}
    assert staff.send(f"{page}/photos", form, page=page, script=True).status_code == 204
    assert '<span class="state wait">too dark</span>' in staff.get(page).get_data(as_text=True)
