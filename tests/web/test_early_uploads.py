"""Photos that are sent one by one before their form."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from flask import Flask

from catalog import accounts, maintenance, products
from catalog.catalog import Catalog
from catalog.maintenance.photo_checks import ORPHAN_AGE
from tests.support.pictures import jpeg
from tests.support.staff import Staff
from web import routes
from web.admin import early_uploads
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


def test_an_id_is_good_for_its_user_alone_and_can_not_be_made(staff: Staff, app: Flask, catalog: Catalog) -> None:
    sent = send(staff, jpeg(9105)).json["id"]
    accounts.add_user(catalog.database, "early-other", "a long password", actor="test")
    limiter.reset()
    other = Staff(app.test_client(), "early-other", "a long password")
    for who, name in ((other, sent), (staff, sent[:-2] + "xx"), (staff, "")):
        reply = add(who, "EARLY-2", name)
        assert (reply.status_code, reply.json["field"]) == (422, "sent"), name
    assert not products.list_page(catalog.database, products.Filter("EARLY-2"), limit=1).products


def test_an_id_expires_before_its_file_may_be_removed(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = send(staff, jpeg(9106)).json["id"]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + early_uploads.MAX_AGE + 1)
    # The session of this client has not expired.
    reply = add(staff, "EARLY-3", sent)
    assert (reply.status_code, reply.json["field"]) == (422, "sent")
    assert ORPHAN_AGE.total_seconds() >= 2 * early_uploads.MAX_AGE


def test_photos_of_a_form_are_no_more_than_a_request_may_have(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [send(staff, jpeg(seed)).json["id"] for seed in (9107, 9108)]
    monkeypatch.setattr(routes, "MAX_REQUEST", len(jpeg(9107)) + 10)
    reply = add(staff, "EARLY-4", *ids)
    assert (reply.status_code, reply.json["field"]) == (422, "photos")


def test_a_photo_whose_form_never_comes_is_no_finding_and_not_of_the_catalog(staff: Staff, catalog: Catalog) -> None:
    send(staff, jpeg(9109))
    assert not [one for one in maintenance.examine(catalog) if one.code == "file_orphaned"]


def test_only_who_may_change_products_sends_photos(app: Flask, catalog: Catalog) -> None:
    accounts.add_user(catalog.database, "early-viewer", "a long password", actor="test", role=accounts.VIEWER)
    limiter.reset()
    viewer = Staff(app.test_client(), "early-viewer", "a long password")
    form = {"photo": (io.BytesIO(jpeg(9110)), "a.jpg")}
    assert viewer.send("/uploads/", form, page="/account/", script=True).status_code == 403
