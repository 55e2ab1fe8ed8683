"""A form that was sent when its session had ended is not lost: by HTTP alone, as without JavaScript."""

from __future__ import annotations

import io
import re
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from catalog import accounts, products
from catalog.catalog import Catalog
from catalog.errors import DatabaseUnavailableError
from tests.support import pictures
from tests.support.staff import NAME, PASSWORD, Staff, csrf_of, facts_shown
from web import kept_form, routes
from web.security import limiter

OURS = {"Sec-Fetch-Site": "same-origin"}
SKU = "KEPT"


@pytest.fixture
def product(staff: Staff, catalog: Catalog) -> str:
    if SKU not in (found.sku for found in products.list_page(catalog.database, products.Filter(SKU)).products):
        staff.send("/add/", {"sku": SKU, "photos": [(io.BytesIO(pictures.jpeg(901)), "901.jpg")]})
    return f"/products/{SKU}"


def form_of(reply: TestResponse) -> tuple[str, dict[str, Any]]:
    """Address and fields of the page's form in its content, as a browser would send it."""
    html = reply.get_data(as_text=True)
    form = re.search(r'<form method="post" action="([^"]*)">(.*?)</form>', html[html.index("<main") :], re.DOTALL)
    assert form, html
    fields: dict[str, Any] = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form.group(2)):
        fields.setdefault(unescape(name), []).append(unescape(value))
    return unescape(form.group(1)), fields


def go_on(client: FlaskClient, asked: TestResponse) -> TestResponse:
    """Sign in where it is asked, after one wrong try; the page that then offers the form."""
    assert asked.status_code == 401 and "What you typed is still here" in asked.get_data(as_text=True)
    for password, status in (("wrong", 401), (PASSWORD, 200)):
        address, fields = form_of(asked)
        assert address == "/login"
        asked = client.post(address, data={**fields, "name": NAME, "password": password})
        assert asked.status_code == status
    return asked


@pytest.mark.parametrize("how", ["ended", "signed out", "cookie lost"])
def test_what_was_typed_comes_back_after_signing_in(app: Flask, catalog: Catalog, product: str, how: str) -> None:
    client = app.test_client()
    typed = {**facts_shown(Staff(client), product), "name": f'Tea "{how}" <b>\u0645', "label": ["a", "b"]}
    typed["csrf_token"] = csrf_of(client, product)
    if how == "ended":
        with client.session_transaction() as cookie:
            cookie["_user_id"] = "a session that has ended"
    elif how == "signed out":
        client.post("/logout", data={"csrf_token": typed["csrf_token"]})
    else:
        client.delete_cookie("session")
    offered = go_on(client, client.post(f"{product}/facts", data=typed, headers=OURS))
    assert products.get(catalog.database, SKU).name != typed["name"], "nothing is done yet"
    address, fields = form_of(offered)
    assert address == f"{product}/facts"
    reply = client.post(address, data=fields)
    assert reply.location == product
    found = products.get(catalog.database, SKU)
    assert found.name == typed["name"] and sorted(label.name for label in found.labels) == ["a", "b"]


def test_a_page_of_a_session_before_is_offered_again(app: Flask, staff: Staff, catalog: Catalog, product: str) -> None:
    """Signed in anew in another tab: the token of this page is of no use, what was typed is."""
    typed = {"sku": "KEPT-2", "csrf_token": "of another session"}
    offered = staff.client.post(f"{product}/rename", data=typed, headers=OURS)
    assert offered.status_code == 400 and "nothing was done yet" in offered.get_data(as_text=True)
    address, fields = form_of(offered)
    assert (address, fields["sku"]) == (f"{product}/rename", ["KEPT-2"])


def test_no_other_site_has_a_form_carried_on(app: Flask, staff: Staff, product: str) -> None:
    """A browser sends no cookie with another site's form: it must not look like one of ours whose session ended."""
    foreign: list[dict[str, str]] = [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}]
    for headers in (*foreign, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"}):
        for client in (app.test_client(), staff.client):
            page = client.post(f"{product}/delete", data={"sku": "of another site"}, headers=headers)
            assert page.status_code in (400, 401) and "of another site" not in page.get_data(as_text=True), headers
    ours = app.test_client().post(f"{product}/delete", data={"sku": "x"}, headers={"Origin": "http://localhost"})
    assert "What you typed is still here" in ours.get_data(as_text=True), "an older browser names the origin alone"


@pytest.mark.parametrize(
    "again", ["", "x", "[]", '["https://evil.example/", [], false]', '["//evil", [], 0]', "[" * 9999]
)
def test_what_carries_no_form_of_ours_is_ignored(app: Flask, again: str) -> None:
    limiter.reset()
    client = app.test_client()
    form = {"name": NAME, "password": PASSWORD, "again": again, "csrf_token": csrf_of(client, "/login")}
    assert client.post("/login", data=form).location == "/products/"


def test_passwords_and_files_are_not_carried(app: Flask) -> None:
    client = app.test_client()
    asked = client.post("/account/", data={"present": "secret one", "password": "secret two"}, headers=OURS)
    html = asked.get_data(as_text=True)
    assert asked.status_code == 401 and "Sign in, then do it again" in html and "secret" not in html
    limiter.reset()
    form = {"sku": "KEPT-3", "brand": "Acme", "photos": [(io.BytesIO(pictures.jpeg(902)), "902.jpg")]}
    offered = go_on(client, client.post("/add/", data=form, headers=OURS))
    assert "have to be chosen again" in offered.get_data(as_text=True)
    address, fields = form_of(offered)
    reply = client.post(address, data=fields)
    html = reply.get_data(as_text=True)
    assert reply.status_code == 422 and "at least one photo" in html and 'value="Acme"' in html


def test_any_address_and_query_can_be_carried(app: Flask) -> None:
    """A SKU with slashes, and parameters with names that Flask has for itself, or that are none."""
    client = app.test_client()
    query = "_scheme=x&sku=y&_external=1&endpoint=z&q=1%FF"
    sent = client.post(f"/products/a%252Fb%2520c/facts?{query}", headers=OURS)
    assert form_of(go_on(client, sent))[0] == f"/products/a%252Fb%20c/facts?{query}"
    too_large = app.test_client().post("/products/X/facts", data={"name": "x" * 200_000}, headers=OURS)
    assert too_large.status_code == 401 and "Sign in, then do it again" in too_large.get_data(as_text=True)


def test_half_of_a_character_is_no_form_of_a_page(app: Flask) -> None:
    limiter.reset()
    client = app.test_client()
    form = {"name": NAME, "password": "wrong", "again": '["/products/", [["name", "\\ud800"]], false]'}
    reply = client.post("/login", data={**form, "csrf_token": csrf_of(client, "/login")})
    assert reply.status_code == 401 and 'name="again"' not in reply.get_data(as_text=True)


@pytest.mark.parametrize("character", ["a", "\u0441", "\U0001f36b", '"', "\n"])
def test_the_longest_form_that_is_kept_can_be_carried(app: Flask, character: str) -> None:
    """Whatever its characters take: what is promised to be still here gets through the form for signing in."""
    client = app.test_client()
    length = kept_form.MOST - len("name")
    asked = client.post("/products/X/facts", data={"name": character * length}, headers=OURS)
    assert "What you typed is still here" in asked.get_data(as_text=True)
    _, fields = form_of(asked)
    assert len(urlencode({**fields, "name": "n" * 100, "password": "p" * 100}, doseq=True)) < routes.MAX_FORM_REQUEST


def test_a_database_that_is_away_is_said_to_an_old_page(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its session has ended can't be told, either."""
    client = Staff(app.test_client()).client

    def away(*arguments: object, **more: object) -> None:
        raise DatabaseUnavailableError("The database does not answer.")

    monkeypatch.setattr(accounts, "session_user", away)
    reply = client.post("/products/X/facts", data={"csrf_token": "old"}, headers=OURS)
    assert reply.status_code == 503 and "does not answer" in reply.get_data(as_text=True)
