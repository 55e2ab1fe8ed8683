"""When a session of the staff ends: a cookie that was copied is worthless from then on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient
from sqlalchemy import select, update

from catalog import accounts
from catalog.catalog import Catalog
from catalog.storage.tables import SignIn, now
from tests.support.staff import csrf_of
from web.login import POLLED
from web.security import limiter

NAME, PASSWORD = "carla", "a password of the sessions"
PAGES = ["/products/", "/add/", "/try/", "/keys/", "/people/", "/audit/", "/account/"]


@pytest.fixture
def carla(catalog: Catalog) -> Iterator[str]:
    """A user whose password is PASSWORD."""
    limiter.reset()
    if accounts.check_password(catalog.database, NAME, PASSWORD) is None:
        accounts.add_user(catalog.database, NAME, PASSWORD, actor="test")
    yield NAME
    accounts.set_active(catalog.database, NAME, True, actor="test")
    accounts.set_password(catalog.database, NAME, PASSWORD, actor="test")


def sign_in(app: Flask) -> FlaskClient:
    client = app.test_client()
    form = {"name": NAME, "password": PASSWORD, "csrf_token": csrf_of(client, "/login")}
    assert client.post("/login", data=form).location == "/products/"
    return client


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("session")
    assert cookie is not None
    return cookie.value


def opens(app: Flask, cookie: str) -> bool:
    """Whether somebody with this cookie alone sees the staff's pages: all of them, or none."""
    thief = app.test_client()
    seen = set()
    for page in PAGES:
        thief.set_cookie("session", cookie)
        seen.add(thief.get(page).status_code)
    assert len(seen) == 1
    return seen == {200}


def test_signing_out_makes_a_copied_cookie_worthless(app: Flask, carla: str) -> None:
    laptop, phone = sign_in(app), sign_in(app)
    copied, other = cookie_of(laptop), cookie_of(phone)
    assert opens(app, copied) and opens(app, other)
    laptop.post("/logout", data={"csrf_token": csrf_of(laptop, "/products/")})
    assert not opens(app, copied)
    assert opens(app, other), "the phone stays signed in"
    assert laptop.get("/products/").status_code == 302


def test_a_new_password_ends_all_sessions(app: Flask, carla: str, catalog: Catalog) -> None:
    copied = [cookie_of(sign_in(app)) for _ in range(2)]
    accounts.set_password(catalog.database, carla, "another one of them", actor="test")
    assert not any(opens(app, cookie) for cookie in copied)


def test_who_is_switched_off_is_out(app: Flask, carla: str, catalog: Catalog) -> None:
    copied = cookie_of(sign_in(app))
    accounts.set_active(catalog.database, carla, False, actor="test")
    assert not opens(app, copied)
    accounts.set_active(catalog.database, carla, True, actor="test")
    assert not opens(app, copied)


def test_a_cookie_of_an_older_version_names_no_session(app: Flask, carla: str, catalog: Catalog) -> None:
    """It held the number of the user."""
    client = app.test_client()
    for number in ("1", "2", ""):
        with client.session_transaction() as session:
            session["_user_id"] = number
        assert client.get("/products/").status_code == 302


def test_a_page_that_looks_again_by_itself_is_no_use_of_the_session(app: Flask, catalog: Catalog, carla: str) -> None:
    """Who has left a page of jobs open is signed out in time."""
    client = sign_in(app)

    def seen() -> datetime | None:
        catalog.uses.flush()
        with catalog.database.read() as session:
            return session.scalar(select(SignIn.seen_at).order_by(SignIn.created_at.desc()).limit(1))

    an_hour_ago = now() - timedelta(hours=1)
    with catalog.database.write() as session:
        mine = select(SignIn.sha256).order_by(SignIn.created_at.desc()).limit(1).scalar_subquery()
        session.execute(update(SignIn).where(SignIn.sha256 == mine).values(seen_at=an_hour_ago))
    for page in sorted(POLLED - {"jobs.run_progress", "imports.progress"}):
        with app.test_request_context():
            address = url_for(page)
        assert client.get(address).status_code == 200
        assert seen() == an_hour_ago, page
    client.get("/products/")
    assert seen() != an_hour_ago
