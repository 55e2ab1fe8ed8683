"""The people page, one's own account, and links that are good once."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from catalog import accounts
from catalog.catalog import Catalog
from catalog.errors import DatabaseUnavailableError
from tests.support.staff import PASSWORD, Staff, csrf_of, field_of
from web.security import limiter

NEW = "another battery"


def text(reply: TestResponse) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", reply.get_data(as_text=True)).split())


def link_of(page: TestResponse) -> str:
    found = re.search(r"/invite/[\w-]+", page.get_data(as_text=True))
    assert found
    return found.group(0)


def number_of(catalog: Catalog, name: str) -> int:
    return accounts.get_person(catalog.database, name).id


@pytest.fixture
def member(app: Flask, catalog: Catalog, request: pytest.FixtureRequest) -> tuple[str, Staff]:
    """The name of an editor of this test's own, and the browser of that editor."""
    limiter.reset()
    name = f"of {request.node.name}"[:90]
    accounts.add_user(catalog.database, name, PASSWORD, role="editor", actor="test")
    return name, Staff(app.test_client(), name, PASSWORD)


def test_the_invited_chooses_a_password_and_is_in(staff: Staff, anybody: FlaskClient) -> None:
    page = staff.send_once("/people/", {"name": "berta <b>", "role": "viewer"})
    link = link_of(page)
    assert "A link for berta" in text(page) and "<b>" not in page.get_data(as_text=True).replace("<b></b>", "")
    assert link not in staff.get(page.request.full_path).get_data(as_text=True), "shown once"
    assert "invited" in text(staff.get("/people/"))

    token = csrf_of(anybody, link)
    short = anybody.post(link, data={"password": "short", "csrf_token": token})
    assert short.status_code == 422 and "10 to 1000" in text(short)
    done = anybody.post(link, data={"password": NEW, "csrf_token": token})
    assert (done.status_code, done.location) == (302, "/products/")
    assert anybody.get("/products/").status_code == 200 and anybody.get("/add/").status_code == 403
    gone = anybody.get(link)
    assert gone.status_code == 404 and "used already" in text(gone)


def test_an_invitation_sent_twice_is_one(staff: Staff, catalog: Catalog) -> None:
    html = staff.get("/people/").get_data(as_text=True)
    form = {
        "name": "cesar",
        "role": "viewer",
        "form": field_of(html, "form"),
        "csrf_token": field_of(html, "csrf_token"),
    }
    first, second = (staff.client.post("/people/", data=form) for _ in range(2))
    assert first.location == second.location
    assert "A link for cesar" in text(staff.get(second.location))
    assert [person.name for person in accounts.list_people(catalog.database)].count("cesar") == 1


@pytest.mark.parametrize(
    ("name", "role", "status", "said"),
    [("anna", "viewer", 409, "already"), (" ", "admin", 422, "1 to 100"), ("dora", "owner", 422, "A role is")],
)
def test_an_invitation_that_can_not_be_keeps_what_was_typed(
    staff: Staff, name: str, role: str, status: int, said: str
) -> None:
    page = staff.send_once("/people/", {"name": name, "role": role})
    assert page.status_code == status and said in text(page)
    assert f'value="{name}"' in page.get_data(as_text=True)
    if status != 422 or said != "A role is":
        assert re.search(rf'value="{role}" checked', page.get_data(as_text=True))


def test_switching_off_ends_everything_at_once(
    staff: Staff, catalog: Catalog, member: tuple[str, Staff], anybody: FlaskClient
) -> None:
    name, theirs = member
    number = number_of(catalog, name)
    link = link_of(staff.send_once(f"/people/{number}/link", {}, page=f"/people/{number}"))
    assert theirs.get("/products/").status_code == 200
    staff.send(f"/people/{number}/active", {"active": "0"}, page=f"/people/{number}")
    assert theirs.get("/products/").status_code == 302
    assert anybody.get(link).status_code == 404
    assert "Switch on" in text(staff.get(f"/people/{number}"))
    staff.send(f"/people/{number}/active", {"active": "1"}, page=f"/people/{number}")
    assert theirs.get("/products/").status_code == 302, "a session of before does not come back"


def test_a_role_is_changed(staff: Staff, catalog: Catalog, member: tuple[str, Staff]) -> None:
    name, theirs = member
    number = number_of(catalog, name)
    reply = staff.send(f"/people/{number}/role", {"role": "viewer"}, page=f"/people/{number}")
    assert reply.location == f"/people/{number}"
    assert theirs.get("/add/").status_code == 403
    assert f"{name} : Role changed by" in text(staff.get("/audit/"))


def test_the_last_admin_is_told_so(catalog: Catalog, staff: Staff) -> None:
    others = [p.id for p in accounts.list_people(catalog.database) if p.role == "admin" and p.name != "anna"]
    number = number_of(catalog, "anna")
    try:
        for other in others:
            accounts.set_role(catalog.database, other, "editor", actor="test")
        for target, form in (("role", {"role": "viewer"}), ("active", {"active": "0"})):
            reply = staff.send(f"/people/{number}/{target}", form, page=f"/people/{number}")
            assert "anna is the only admin" in text(staff.get(reply.location))
        anna = accounts.get_person(catalog.database, "anna")
        assert (anna.role, anna.active) == ("admin", True)
    finally:  # others of these tests are admins, too
        for other in others:
            accounts.set_role(catalog.database, other, "admin", actor="test")


def test_nobody_there(staff: Staff) -> None:
    for number in ("0", "2000000000", "99999999999999999999"):
        assert staff.get(f"/people/{number}").status_code == 404
        for what in ("role", "active"):
            form = {"role": "viewer", "active": "0"}
            assert staff.send(f"/people/{number}/{what}", form, page="/people/").status_code == 404


def test_ones_own_password(app: Flask, catalog: Catalog, member: tuple[str, Staff]) -> None:
    name, here = member
    there = Staff(app.test_client(), name, PASSWORD)
    wrong = here.send("/account/", {"present": "guess", "password": NEW})
    assert wrong.status_code == 422 and "not your present password" in text(wrong)
    done = here.send("/account/", {"present": PASSWORD, "password": NEW})
    assert done.status_code == 302 and "Your password is changed" in text(here.get(done.location))
    assert there.get("/products/").status_code == 302
    limiter.reset()
    Staff(app.test_client(), name, NEW)


def test_the_present_password_is_not_guessed(member: tuple[str, Staff]) -> None:
    _, here = member
    replies = [here.send("/account/", {"present": "guess", "password": NEW}).status_code for _ in range(11)]
    assert replies == [422] * 10 + [429]
    limiter.reset()


def test_signing_in_is_in_the_audit_log_with_the_address(
    app: Flask, staff: Staff, member: tuple[str, Staff], anybody: FlaskClient
) -> None:
    name, theirs = member
    form = {"name": name, "password": "guess", "csrf_token": csrf_of(anybody, "/login")}
    assert anybody.post("/login", data=form).status_code == 401
    theirs.send("/logout", {}, page="/products/")
    log = text(staff.get(f"/audit/?search={name}"))
    for action in ("Signed in", "Signing in failed", "Signed out"):
        assert f"{name} : {action}" in log
    assert "address 127.0.0.1" in log


def test_no_log_holds_the_token_of_a_link(
    anybody: FlaskClient, catalog: Catalog, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = accounts.invite(catalog.database, "logged", "viewer", actor="test").token

    def away(*_: object) -> None:
        raise DatabaseUnavailableError("The database does not answer.")

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    anybody.application.config["PROPAGATE_EXCEPTIONS"] = False
    for fault, status, said in ((away, 503, "database_unavailable"), (broken, 500, "Exception on /invite/...")):
        monkeypatch.setattr(accounts, "invited", fault)
        assert anybody.get(f"/invite/{token}").status_code == status
        assert said in caplog.text
    assert token not in caplog.text
