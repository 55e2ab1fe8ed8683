"""Photos that are sent one by one before their form."""

from __future__ import annotations

import io
import uuid
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from catalog import accounts, products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto, early_uploads
from catalog.storage.tables import EarlyUpload
from tests.support.pictures import jpeg
from tests.support.staff import NAME, Staff
from web import routes
from web.security import limiter


def send(staff: Staff, data: bytes, name: str = "front.jpg") -> Any:
    return staff.send("/uploads/", {"photo": (io.BytesIO(data), name)}, page="/add/", script=True)


def add(staff: Staff, sku: str, *sent: str) -> Any:
    return staff.send("/add/", {"sku": sku, "sent": list(sent)}, script=True)


def test_a_form_names_photos_that_were_sent_before(staff: Staff, catalog: Catalog) -> None:
    ids = [send(staff, jpeg(seed), f"{seed}.jpg").json["id"] for seed in (9101, 9102)]
    assert add(staff, "EARLY-1", *ids).status_code == 201
    kept = products.get(catalog.database, "EARLY-1").photos
    assert [photo.filename for photo in kept] == ["9101.jpg", "9102.jpg"]
    assert catalog.photos.get(kept[0].sha256) == jpeg(9101)
    more = send(staff, jpeg(9103)).json["id"]
    form = {"sent": [more], "photos": (io.BytesIO(jpeg(9104)), "back.jpg")}
    reply = staff.send("/products/EARLY-1/photos", form, page="/products/EARLY-1", script=True)
    assert reply.status_code == 204
    assert len(products.get(catalog.database, "EARLY-1").photos) == 4


@pytest.mark.parametrize(("data", "status", "code"), [(b"text", 415, "not_an_image"), (b"", 422, "empty")])
def test_what_is_no_photo_is_said_at_once(staff: Staff, data: bytes, status: int, code: str) -> None:
    reply = send(staff, data, "notes.txt")
    assert (reply.status_code, reply.json["code"]) == (status, code)
    assert reply.json["photos"][0]["filename"] == "notes.txt"


def test_an_id_is_good_for_its_person_alone(staff: Staff, app: Flask, catalog: Catalog) -> None:
    sent = send(staff, jpeg(9105)).json["id"]
    accounts.add_user(catalog.database, "early-other", "a long password", actor="test")
    limiter.reset()
    other = Staff(app.test_client(), "early-other", "a long password")
    for who, name in ((other, sent), (staff, sent[:-2] + "xx"), (staff, ""), (staff, str(uuid.uuid4()))):
        reply = add(who, "EARLY-2", name)
        assert (reply.status_code, reply.json["field"]) == (422, "sent"), name
    assert not products.list_page(catalog.database, products.Filter("EARLY-2"), limit=1).products
    again = Staff(app.test_client())  # in another session, as after the password was asked for
    assert add(again, "EARLY-2", sent).status_code == 201


def test_a_page_keeps_what_was_chosen_when_a_photo_is_no_longer_here(staff: Staff, catalog: Catalog) -> None:
    """On a product's page, too, its script is told, in place of a page that would be loaded anew."""
    assert add(staff, "EARLY-5", send(staff, jpeg(9111)).json["id"]).status_code == 201
    form = {"sent": [str(uuid.uuid4())]}
    reply = staff.send("/products/EARLY-5/photos", form, page="/products/EARLY-5", script=True)
    assert (reply.status_code, reply.json["field"]) == (422, "sent")
    broken = send(staff, jpeg(9112)[:-800]).json["id"]  # the header is whole
    reply = staff.send("/products/EARLY-5/photos", {"sent": [broken]}, page="/products/EARLY-5", script=True)
    assert (reply.status_code, reply.json["code"]) == (422, "truncated")


def test_photos_whose_form_never_comes_are_gone_after_a_time(
    staff: Staff, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = list(catalog.photos.files())
    sent = send(staff, jpeg(9109)).json["id"]
    assert list(catalog.photos.files()) == stored, "no file waits for a form"
    early_uploads.trim(catalog.database)
    assert early_uploads.get(catalog.database, NAME, [uuid.UUID(sent)])[0].data == jpeg(9109)
    monkeypatch.setattr(early_uploads, "KEPT", timedelta(0))
    early_uploads.trim(catalog.database)
    assert add(staff, "EARLY-3", sent).status_code == 422


def test_of_one_person_the_newest_wait_and_no_more_than_so_many_bytes(
    staff: Staff, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(jpeg(9113))
    monkeypatch.setattr(early_uploads, "MOST", 3 * size + 2_000)
    of_other = early_uploads.put(catalog.database, "early-third", NewPhoto("a.jpg", jpeg(9113)))
    ids = [send(staff, jpeg(9113) + bytes(number)).json["id"] for number in range(5)]
    with catalog.database.read() as session:
        left = set(session.scalars(select(EarlyUpload.id).where(EarlyUpload.user.in_([NAME, "early-third"]))))
    assert left == {uuid.UUID(name) for name in ids[2:]} | {of_other}


def test_photos_of_a_form_are_no_more_than_a_request_may_have(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = send(staff, jpeg(9107)).json["id"]
    monkeypatch.setattr(routes, "MAX_REQUEST", len(jpeg(9107)) + 10)
    form = {"sku": "EARLY-4", "sent": [sent], "photos": (io.BytesIO(jpeg(9108)), "b.jpg")}
    reply = staff.send("/add/", form, script=True)
    assert (reply.status_code, reply.json["field"]) == (422, "photos")


def test_only_who_may_change_products_sends_photos(app: Flask, catalog: Catalog) -> None:
    accounts.add_user(catalog.database, "early-viewer", "a long password", actor="test", role=accounts.VIEWER)
    limiter.reset()
    viewer = Staff(app.test_client(), "early-viewer", "a long password")
    form = {"photo": (io.BytesIO(jpeg(9110)), "a.jpg")}
    assert viewer.send("/uploads/", form, page="/account/", script=True).status_code == 403
