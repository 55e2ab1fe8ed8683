"""The page of keys: a key is made once, shown once, renamed, and revoked after a question."""

from __future__ import annotations

import io
import re
import uuid
from datetime import datetime, timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from catalog import accounts
from catalog.catalog import Catalog
from catalog.storage.tables import ApiKey, now
from tests.support import pictures
from tests.support.staff import PASSWORD, Staff, field_of


def names(catalog: Catalog) -> list[str]:
    return [key.name for key in accounts.list_keys(catalog.database)]


def key_in(html: str) -> str | None:
    found = re.search(r"data-key>([^<]+)<", html)
    return found.group(1) if found else None


def typed_in(html: str, name: str) -> str:
    """What stands in a field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found
    return unescape(found.group(1))


def test_a_new_key_is_shown_once_and_a_reload_makes_no_other(staff: Staff, till: FlaskClient, catalog: Catalog) -> None:
    page = staff.send_once("/keys/", {"name": "till K1", "scope": "recognize"})
    key = key_in(page.get_data(as_text=True))
    assert key and key not in page.request.url
    cookie = staff.client.get_cookie("session")
    assert cookie is not None and key not in cookie.value
    assert accounts.check_key(catalog.database, key)
    again = staff.get(page.request.full_path).get_data(as_text=True)
    assert key_in(again) is None and key not in again
    assert names(catalog).count("till K1") == 1


def test_two_clicks_make_one_key(staff: Staff, catalog: Catalog) -> None:
    html = staff.get("/keys/").get_data(as_text=True)
    form = {
        "name": "till K2",
        "scope": "recognize",
        "form": field_of(html, "form"),
        "csrf_token": field_of(html, "csrf_token"),
    }
    first, second = (staff.client.post("/keys/", data=form) for _ in range(2))
    assert first.location == second.location
    assert key_in(staff.get(second.location).get_data(as_text=True))
    third = staff.client.post("/keys/", data=form)
    assert key_in(staff.get(third.location).get_data(as_text=True)) is None, "it was read"
    assert names(catalog).count("till K2") == 1


def test_another_session_does_not_see_it(app, staff: Staff) -> None:
    html = staff.get("/keys/").get_data(as_text=True)
    form = {
        "name": "till K3",
        "scope": "recognize",
        "form": field_of(html, "form"),
        "csrf_token": field_of(html, "csrf_token"),
    }
    shown = staff.client.post("/keys/", data=form).location
    other = Staff(app.test_client())
    assert key_in(other.get(shown).get_data(as_text=True)) is None
    assert key_in(staff.get(shown).get_data(as_text=True))


@pytest.mark.parametrize("form", ["", "x", "00000000", None])
def test_a_form_that_is_none_makes_nothing(staff: Staff, catalog: Catalog, form: str | None) -> None:
    before = names(catalog)
    reply = staff.send(
        "/keys/", {"name": "till K4", "scope": "recognize"} | ({"form": form} if form is not None else {})
    )
    assert reply.status_code == 422 and "no longer valid" in reply.get_data(as_text=True)
    assert names(catalog) == before


def test_a_name_that_can_not_be_is_kept_on_the_form(staff: Staff) -> None:
    page = staff.send_once("/keys/", {"name": "x" * 101, "scope": "recognize"})
    assert page.status_code == 422 and f'value="{"x" * 101}"' in page.get_data(as_text=True)


def test_a_key_is_renamed_and_asked_about_before_it_is_revoked(
    staff: Staff, catalog: Catalog, anybody: FlaskClient
) -> None:
    made = accounts.add_key(catalog.database, "till K5", actor="test")
    page = f"/keys/{made.id}"
    assert staff.send(f"{page}/change", {"name": "Kasse 5", "scope": "recognize"}, page=page).status_code == 302
    assert staff.send(f"{page}/change", {"name": " ", "scope": "recognize"}, page=page).status_code == 422
    shown = staff.get(page).get_data(as_text=True)
    assert "Kasse 5" in shown and "not used yet" in shown
    assert "/revoke" not in staff.get("/keys/").get_data(as_text=True), "the list has no button that revokes at once"
    assert re.search(r"<details.*?/revoke.*?Yes, revoke", shown, re.DOTALL)

    headers = {"Authorization": f"Bearer {made.key}"}
    assert anybody.post("/api/v1/recognize", data=pictures.jpeg(1), headers=headers).status_code == 200
    catalog.uses.flush()
    assert "last used <time datetime=" in staff.get(page).get_data(as_text=True)
    staff.send(f"{page}/revoke", {}, page=page)
    assert anybody.post("/api/v1/recognize", data=pictures.jpeg(1), headers=headers).status_code == 401
    assert "Yes, revoke" not in staff.get(page).get_data(as_text=True)
    assert staff.send(f"{page}/secret", {"form": str(uuid.uuid4())}, page="/keys/").location == page
    assert "is revoked: make another key" in staff.get(page).get_data(as_text=True)
    nobody = {"name": "x", "scope": "recognize", "form": str(uuid.uuid4())}
    for what in ("change", "secret", "end-old", "revoke", "inbox"):
        assert staff.send(f"/keys/2000000000/{what}", nobody, page="/keys/").status_code == 404


def test_what_was_typed_stays_where_a_key_is_made_and_where_it_is_changed(staff: Staff, catalog: Catalog) -> None:
    made = accounts.add_key(catalog.database, "till K8", actor="test")
    right = {"name": "till <K8>", "scope": ["feedback", "catalog:read"], "ends": "2099-12-31", "rate": "7/hour"}
    for wrong, field in (
        ({"name": ""}, "name"),
        ({"ends": "2020-01-01"}, "ends"),
        ({"ends": "31.12.2099"}, "ends"),
        ({"rate": "seven"}, "rate"),
        ({"scope": []}, "scope"),
    ):
        typed = right | wrong
        for target in ("/keys/", f"/keys/{made.id}/change"):
            page = "/keys/" if target == "/keys/" else f"/keys/{made.id}"
            form = typed | {"form": field_of(staff.get("/keys/").get_data(as_text=True), "form")}
            reply = staff.send(target, form, page=page)
            html = reply.get_data(as_text=True)
            assert reply.status_code == 422 and f'id="{field}-problem"' in html, (target, wrong)
            for name in ("name", "ends", "rate"):
                assert typed_in(html, name) == typed[name], (target, name)
            assert re.findall(r'name="scope" value="([^"]*)" checked', html) == typed["scope"]
    row = accounts.get_key(catalog.database, made.id)
    assert (row.name, row.scopes, row.expires_at, row.rate) == ("till K8", ["recognize"], None, None)
    assert "till <K8>" not in names(catalog)


def test_a_key_is_given_an_end_and_a_limit(staff: Staff, catalog: Catalog, anybody: FlaskClient) -> None:
    form = {"name": "till K9", "scope": "catalog:read", "ends": "2099-12-31", "rate": "off"}
    page = staff.send_once("/keys/", form).get_data(as_text=True)
    assert "may read the catalog, no limit, through 2099-12-31" in page
    (row,) = (key for key in accounts.list_keys(catalog.database) if key.name == "till K9")
    shown = staff.get(f"/keys/{row.id}").get_data(as_text=True)
    assert "It works until" in shown and "2100-01-01 00:00 UTC" in shown and field_of(shown, "ends") == "2099-12-31"
    staff.send(f"/keys/{row.id}/change", form | {"ends": "", "rate": "60/minute"}, page=f"/keys/{row.id}")
    row = accounts.get_key(catalog.database, row.id)
    assert (row.expires_at, row.rate) == (None, "60/minute")
    end(catalog, row.id, now())
    assert "It ended" in staff.get(f"/keys/{row.id}").get_data(as_text=True)
    assert ">ended<" in staff.get("/keys/").get_data(as_text=True)


def end(catalog: Catalog, key_id: int, at: datetime) -> None:
    """As if time had passed."""
    with catalog.database.write() as session:
        session.execute(update(ApiKey).where(ApiKey.id == key_id).values(expires_at=at))


def test_a_secret_is_rotated_and_the_old_one_ended(staff: Staff, catalog: Catalog, anybody: FlaskClient) -> None:
    def opens(secret: str) -> bool:
        headers = {"Authorization": f"Bearer {secret}"}
        return anybody.post("/api/v1/recognize", data=b"", headers=headers).status_code == 422

    made = accounts.add_key(catalog.database, "till K10", actor="test")
    page = f"/keys/{made.id}"
    for days in ("x", "400", "-1", "9" * 30, "٣"):
        html = staff.get(page).get_data(as_text=True)
        reply = staff.send(f"{page}/secret", {"form": field_of(html, "form"), "days": days}, page=page)
        assert reply.status_code == 422 and typed_in(reply.get_data(as_text=True), "days") == days
    form = {
        "form": field_of(html, "form"),
        "csrf_token": field_of(html, "csrf_token"),
        "days": field_of(html, "days"),
    }
    first, second = (staff.client.post(f"{page}/secret", data=form) for _ in range(2))
    assert first.location == second.location, "two clicks make one"
    shown = staff.get(first.location).get_data(as_text=True)
    new = key_in(shown)
    assert new and opens(new) and opens(made.key) and "Two secrets" in shown
    assert key_in(staff.get(first.location).get_data(as_text=True)) is None
    assert re.search(r"New: <code>.*not used yet", shown)
    catalog.uses.flush()
    assert len(re.findall(r"last used <time", staff.get(page).get_data(as_text=True))) == 2, "of both"
    assert ">two secrets<" in staff.get("/keys/").get_data(as_text=True)
    again = staff.send(f"{page}/secret", {"form": str(uuid.uuid4())}, page=page)
    assert again.location == page and "two secrets already" in staff.get(page).get_data(as_text=True)
    staff.send(f"{page}/end-old", {}, page=page)
    assert opens(new) and not opens(made.key)
    html = staff.get(page).get_data(as_text=True)
    assert "The old secret has ended." in html and "Two secrets" not in html
    log = staff.get("/audit/?search=till+K10").get_data(as_text=True)
    assert "New secret for a key" in log and "Old secret of a key ended" in log


def test_the_overview_says_what_ends(staff: Staff, app: Flask, catalog: Catalog) -> None:
    made = accounts.add_key(catalog.database, "till K11", actor="test")
    accounts.add_user(catalog.database, "reader of K11", PASSWORD, role="viewer", actor="test")
    viewer = Staff(app.test_client(), "reader of K11", PASSWORD)
    assert "till K11" not in staff.get("/overview/").get_data(as_text=True)
    end(catalog, made.id, now() + timedelta(days=13))
    for reader, link in ((staff, True), (viewer, False)):
        html = reader.get("/overview/").get_data(as_text=True)
        assert re.search(r"till K11</\w+>\s+ends <time", html) and (f"/keys/{made.id}" in html) == link
    end(catalog, made.id, now() - timedelta(days=1))
    assert re.search(r"till K11</a>\s+ended <time", staff.get("/overview/").get_data(as_text=True))
    end(catalog, made.id, now() + timedelta(days=15))
    accounts.rotate_key(catalog.database, made.id, actor="test")
    assert re.search(r"till K11</a>, the old secret,\s+ends <time", staff.get("/overview/").get_data(as_text=True))
    accounts.revoke_key(catalog.database, made.id, actor="test")
    assert "till K11" not in staff.get("/overview/").get_data(as_text=True)


def test_a_key_may_do_what_its_scopes_say_and_recognizes_alone_by_default(
    staff: Staff, catalog: Catalog, anybody: FlaskClient
) -> None:
    def status(key: str, path: str, **form: object) -> tuple[int, str]:
        reply = anybody.post(f"/api/v1/{path}", data=form, headers={"Authorization": f"Bearer {key}"})
        return reply.status_code, (reply.get_json(silent=True) or {}).get("code", "")

    def photo() -> tuple[io.BytesIO, str]:
        return io.BytesIO(pictures.jpeg(1)), "1.jpg"

    till = accounts.add_key(catalog.database, "till K6", actor="test").key
    assert status(till, "recognize", photo=photo())[0] == 200
    assert status(till, "products", sku="K6", photos=photo()) == (403, "scope_missing")
    assert status(till, f"recognitions/{uuid.uuid4()}/feedback", correct="true") == (403, "scope_missing")
    page = staff.send_once("/keys/", {"name": "ERP", "scope": ["feedback", "catalog:write"]})
    erp = key_in(page.get_data(as_text=True))
    assert erp and "may judge answers, add and change products" in page.get_data(as_text=True)
    assert status(erp, "recognize", photo=photo()) == (403, "scope_missing")
    assert status(erp, "products", sku="K6", photos=photo())[0] == 201
    assert status(erp, f"recognitions/{uuid.uuid4()}/feedback", correct="true") == (404, "not_found")
    for scopes in ([], ["everything"]):
        refused = staff.send_once("/keys/", {"name": "till K7", "scope": scopes})
        assert refused.status_code == 422 and "Choose what the key may do" in refused.get_data(as_text=True)
    assert "till K7" not in names(catalog)
