"""Photos of products over the API: list, show, get, add, replace, delete."""

from __future__ import annotations

import io
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from catalog.storage import content_hash
from tests.support.pictures import encode, jpeg, picture
from tests.support.sending import files, problem, sent, wrong_fields
from tests.support.steps import create, first
from web.api import schemas

PATH = "/api/v1/products"


def photos_of(till: FlaskClient, sku: str) -> list[dict[str, Any]]:
    reply = till.get(f"{PATH}/{sku}/photos")
    body: dict[str, Any] = reply.get_json()
    schemas.PhotoList.model_validate(body, extra="forbid")
    assert reply.headers["ETag"] == till.get(f"{PATH}/{sku}").headers["ETag"]
    return list(body["photos"])


def test_photos_are_listed_and_shown(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "PH-1", 2001, 2002)
    listed = photos_of(till, "PH-1")
    assert [photo["cover"] for photo in listed] == [True, False]
    reply = till.get(listed[1]["url"])
    assert reply.get_json() == listed[1] and reply.headers["ETag"]
    assert till.get(listed[1]["url"], headers={"If-None-Match": reply.headers["ETag"]}).status_code == 304
    problem(till.get(f"{PATH}/PH-1/photos/{uuid.uuid4()}"), 404, "not_found")
    problem(till.get(f"{PATH}/PH-1/photos/nonsense"), 404, "not_found")
    problem(till.get(f"{PATH}/NOBODY/photos"), 404, "not_found")


@pytest.mark.parametrize(("kind", "media"), [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tiff")])
def test_the_bytes_are_those_that_were_sent(till: FlaskClient, catalog: Catalog, kind: str, media: str) -> None:
    data = encode(picture(2010), kind)
    form = {"sku": f"FILE-{kind}", "photos": (io.BytesIO(data), "x")}
    assert till.post(PATH, data=form).status_code == 201
    (photo,) = photos_of(till, f"FILE-{kind}")
    reply = till.get(photo["file_url"])
    assert (reply.get_data(), reply.content_type) == (data, f"image/{media}")
    assert reply.headers["ETag"] == f'"{content_hash(data)}"' and reply.headers["X-Content-Type-Options"] == "nosniff"
    again = till.get(photo["file_url"], headers={"If-None-Match": reply.headers["ETag"]})
    assert (again.status_code, again.get_data()) == (304, b"")


def test_photos_are_added_by_form_and_json(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "ADD-1", 2020)
    reply = till.post(f"{PATH}/ADD-1/photos", data={"photos": files(2020, 2021)})
    body = reply.get_json()
    schemas.Added.model_validate(body, extra="forbid")
    assert reply.status_code == 201 and reply.headers["ETag"] == till.get(f"{PATH}/ADD-1").headers["ETag"]
    assert [(photo["duplicate"], photo["state"]) for photo in body["photos"]] == [
        (True, "searchable"),
        (False, "searchable"),
    ]
    reply = till.post(f"{PATH}/ADD-1/photos", json={"photos": [sent(2022)]})
    assert reply.status_code == 201 and first(catalog, 2022) == "ADD-1"
    assert {photo["source"] for photo in photos_of(till, "ADD-1")} == {"", "api"}
    assert wrong_fields(till.post(f"{PATH}/ADD-1/photos", json={"photos": [], "stict": True})) == ["photos", "stict"]
    problem(till.post(f"{PATH}/ADD-1/photos", data={}), 422, "invalid_input")
    problem(till.post(f"{PATH}/NOBODY/photos", data={"photos": files(1)}), 404, "not_found")


def test_strict_refuses_what_is_questionable(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "STRICT-1", 2030)
    create(catalog, "STRICT-2", 2031)
    (photo,) = photos_of(till, "STRICT-2")
    for reply in (
        till.post(f"{PATH}/STRICT-2/photos", data={"photos": files(2030), "strict": "true"}),
        till.post(f"{PATH}/STRICT-2/photos", json={"photos": [sent(2030)], "strict": True}),
        till.put(photo["url"], data={"photo": files(2030)[0], "strict": "true"}),
        till.put(f"{photo['url']}?strict=true", data=jpeg(2030), content_type="image/jpeg"),
        till.put(f"{PATH}/STRICT-2", json={"photos": [sent(2030)], "strict": True}),
    ):
        (refused,) = problem(reply, 422, "photo_questionable")["photos"]
        assert refused["warnings"][0]["sku"] == "STRICT-1"
    assert [each["id"] for each in photos_of(till, "STRICT-2")] == [photo["id"]]
    body = till.put(photo["url"], data=jpeg(2030), content_type="image/jpeg").get_json()
    assert body["warnings"][0]["code"] == "same_picture" and body["state"] == "searchable"


def test_a_photo_is_replaced(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "SWAP-1", 2040)
    (photo,) = photos_of(till, "SWAP-1")
    reply = till.put(photo["url"], data={"photo": files(2041)[0]})
    body = reply.get_json()
    schemas.Photo.model_validate(body, extra="forbid")
    assert reply.status_code == 200 and body["state"] == "searchable"
    (now,) = photos_of(till, "SWAP-1")
    assert (now["id"], now["url"], now["cover"]) == (body["id"], reply.headers["Location"], True)
    assert first(catalog, 2041) == "SWAP-1" and first(catalog, 2040) != "SWAP-1"
    problem(till.get(photo["file_url"]), 404, "not_found")
    problem(till.put(photo["url"], data=jpeg(2042), content_type="image/jpeg"), 404, "not_found")
    problem(till.put(now["url"], data=b"no photo", content_type="image/jpeg"), 415, "not_an_image")
    problem(till.put(f"{now['url']}?strict=maybe", data=jpeg(1), content_type="image/jpeg"), 422, "invalid_input")
    (still,) = photos_of(till, "SWAP-1")
    assert still == now


def test_a_photo_is_deleted_and_restored(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "DROP-1", 2050, 2051)
    photo = photos_of(till, "DROP-1")[0]
    gone = till.delete(photo["url"]).get_json()
    schemas.Deleted.model_validate(gone, extra="forbid")
    assert len(photos_of(till, "DROP-1")) == 1 and first(catalog, 2050) != "DROP-1"
    problem(till.delete(photo["url"]), 404, "not_found")
    restored = till.post(gone["restore_url"]).get_json()
    assert len(restored["photos"]) == 2 and first(catalog, 2050) == "DROP-1"


def test_photos_of_a_product_that_was_changed_meanwhile_are_left_alone(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "OLD-PH", 2060)
    (photo,) = photos_of(till, "OLD-PH")
    stale = {"If-Match": till.get(photo["url"]).headers["ETag"]}
    till.post(f"{PATH}/OLD-PH/photos", data={"photos": files(2061)})
    for reply in (
        till.post(f"{PATH}/OLD-PH/photos", data={"photos": files(2062)}, headers=stale),
        till.put(photo["url"], data=jpeg(2062), content_type="image/jpeg", headers=stale),
        till.delete(photo["url"], headers=stale),
    ):
        problem(reply, 412, "precondition_failed")
    assert len(photos_of(till, "OLD-PH")) == 2
    fresh = {"If-Match": till.get(photo["url"]).headers["ETag"]}
    assert till.delete(photo["url"], headers=fresh).status_code == 200
