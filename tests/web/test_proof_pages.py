"""Pages that show why: the photo that was tried beside the catalog's, and a new photo beside its look-alike."""

from __future__ import annotations

import base64
import io
import re

import pytest
from drawn import DRAWN, front, small_and_turned
from flask.testing import FlaskClient
from PIL import Image

from catalog import products
from catalog.facts import Facts
from catalog.products import NewPhoto
from catalog.service import Catalog

PACK = DRAWN[9]


@pytest.fixture(scope="module")
def known(catalog: Catalog) -> str:
    products.create(catalog, Facts("PROOF-1", "Proven"), [NewPhoto("front.jpg", front(PACK))], actor="test")
    return products.get(catalog, "PROOF-1").photos[0].sha256


@pytest.mark.parametrize("script", [False, True])
def test_the_photo_that_was_tried_stands_beside_the_catalogs(staff, known: str, script: bool) -> None:
    reply = staff.send("/try/", {"photo": (io.BytesIO(small_and_turned(PACK)), "q.jpg")}, script=script)
    html = reply.get_data(as_text=True)
    assert reply.status_code == 200 and "What is printed decided" in html
    assert re.search(r"\d+ printed details agree with Proven", html)
    encoded = re.search(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert encoded
    with Image.open(io.BytesIO(base64.b64decode(encoded[1]))) as picture:
        assert picture.format == "JPEG" and picture.width >= 600


def test_an_answer_by_the_vector_has_no_picture(staff, known: str) -> None:
    reply = staff.send("/try/", {"photo": (io.BytesIO(front(PACK)), "q.jpg")})
    html = reply.get_data(as_text=True)
    assert "The whole look of the photo was enough" in html and "data:image/jpeg" not in html


def test_a_new_photo_of_a_known_pack_is_said_and_both_are_shown(staff, known: str) -> None:
    form = {"sku": "PROOF-2", "photos": (io.BytesIO(front(PACK, 20, "gray")), "again.jpg")}
    reply = staff.send("/add/", form, script=True)
    html = reply.get_data(as_text=True)
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
