"""The page of keys: a key is made once, shown once, renamed, and revoked after a question."""

from __future__ import annotations

import io
import re
import uuid

import pytest
from flask.testing import FlaskClient

from catalog import accounts
from catalog.catalog import Catalog
from tests.support import pictures
from tests.support.staff import Staff, field_of


def names(catalog: Catalog) -> list[str]:
    return [key.name for key in accounts.list_keys(catalog.database)]


def key_in(html: str) -> str | None:
    found = re.search(r"data-key>([^<]+)<", html)
    return found.group(1) if found else None


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
    assert staff.send(f"{page}/name", {"name": "Kasse 5"}, page=page).status_code == 302
    assert staff.send(f"{page}/name", {"name": " "}, page=page).status_code == 422
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
    for what in ("name", "revoke", "inbox"):
        assert staff.send(f"/keys/2000000000/{what}", {"name": "x"}, page="/keys/").status_code == 404


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
