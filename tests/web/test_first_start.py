"""The link of the first start: it makes the first admin, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from catalog import accounts
from catalog.catalog import Catalog
from catalog.config import Settings
from tests.support.staff import PASSWORD, csrf_of
from web import create_app, links
from web.security import limiter


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Flask]:
    """An app on a catalog that nobody can sign in to."""
    catalog = Catalog.open(Settings.from_env({"CATALOG_DATA": str(tmp_path)}))
    app = create_app(catalog, "a key for tests only, long enough")
    limiter.reset()
    yield app
    catalog.close()


def people(app: Flask) -> list[tuple[str, str]]:
    return [(person.name, person.role) for person in accounts.list_people(app.config["CATALOG"].database)]


def start(client: FlaskClient, link: str, token: str, **form: str):
    return client.post(link, data={"name": "anna", "password": PASSWORD, "csrf_token": token} | form)


def test_the_link_makes_the_first_admin_once(fresh: Flask) -> None:
    link = links.first_start(fresh)
    assert link
    client, second = fresh.test_client(), fresh.test_client()
    assert "the server printed" in client.get("/login").get_data(as_text=True)
    token, other = csrf_of(client, link), csrf_of(second, link)
    short = start(client, link, token, password="short")
    assert short.status_code == 422 and 'value="anna"' in short.get_data(as_text=True)
    assert people(fresh) == []

    done = start(client, link, token)
    assert (done.status_code, done.location) == (302, "/account/welcome")
    shown = client.get(done.location).get_data(as_text=True)
    assert "Add your first product" in shown and 'href="/add/"' in shown
    assert people(fresh) == [("anna", "admin")]
    late = start(second, link, other, name="mallory")
    assert late.status_code == 404 and "used already" in late.get_data(as_text=True)
    assert people(fresh) == [("anna", "admin")]
    assert "the server printed" not in second.get("/login").get_data(as_text=True)
    assert links.first_start(fresh) is None


def test_a_restart_makes_another_link(fresh: Flask) -> None:
    before = links.first_start(fresh)
    after = links.first_start(fresh)
    assert before and after and before != after
    client = fresh.test_client()
    assert client.get(before).status_code == 404
    assert client.get(after).status_code == 200


def test_without_a_link_nothing_opens(fresh: Flask) -> None:
    client = fresh.test_client()
    for token in ("", "x", "None", "%00", "%ed%a0%80"):
        assert client.get(f"/start/{token}").status_code == 404
        reply = start(client, f"/start/{token}", csrf_of(client, "/login"))
        assert reply.status_code in (404, 405), token
    assert people(fresh) == []


def test_an_account_made_by_other_means_ends_the_link(fresh: Flask) -> None:
    link = links.first_start(fresh)
    assert link
    client = fresh.test_client()
    token = csrf_of(client, link)
    accounts.add_user(fresh.config["CATALOG"].database, "ben", PASSWORD, actor="cli")
    assert start(client, link, token).status_code == 404
    assert people(fresh) == [("ben", "admin")]
