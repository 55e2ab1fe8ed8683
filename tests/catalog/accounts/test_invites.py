"""Links that set a password: good once, for seven days."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from catalog import accounts
from catalog.catalog import Catalog
from catalog.errors import ConflictError, InvalidInputError, LinkGoneError, NotFoundError
from catalog.storage.tables import AuditEntry, Invitation, now

GOOD, NEW = "correct horse battery", "another battery"


@pytest.fixture
def anna(catalog: Catalog) -> Catalog:
    accounts.add_user(catalog.database, "anna", GOOD, actor="cli")
    return catalog


def test_the_invited_chooses_a_password_and_is_in(anna: Catalog) -> None:
    link = accounts.invite(anna.database, " ben ", "editor", actor="anna")
    assert accounts.invited(anna.database, link.token).name == link.name == "ben"
    user = accounts.accept(anna.database, link.token, NEW)
    token = accounts.start_session(anna.database, user)
    assert token is not None
    found = accounts.session_user(anna.database, token)
    assert found is not None
    assert (found.name, found.role) == ("ben", "editor")
    assert accounts.check_password(anna.database, "ben", NEW) is not None


def test_a_link_is_good_once(anna: Catalog) -> None:
    link = accounts.invite(anna.database, "ben", "editor", actor="anna")

    def attempt(number: int) -> bool:
        try:
            accounts.accept(anna.database, link.token, f"{GOOD} {number}")
            return True
        except LinkGoneError:
            return False

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(attempt, range(3)))
    assert sorted(done) == [False, False, True]
    assert accounts.check_password(anna.database, "ben", f"{GOOD} {done.index(True)}") is not None
    with pytest.raises(LinkGoneError):
        accounts.invited(anna.database, link.token)


def test_a_link_that_is_too_old(anna: Catalog) -> None:
    link = accounts.invite(anna.database, "ben", "editor", actor="anna")
    with anna.database.write() as session:
        session.execute(update(Invitation).values(created_at=now() - accounts.INVITED_FOR))
    with pytest.raises(LinkGoneError, match="too old"):
        accounts.accept(anna.database, link.token, NEW)
    with pytest.raises(LinkGoneError):
        accounts.invited(anna.database, link.token)


Ending = Callable[[Catalog], object]
ENDINGS: dict[str, Ending] = {
    "another link": lambda catalog: accounts.new_link(catalog.database, "ben", actor="anna"),
    "switched off": lambda catalog: accounts.set_active(catalog.database, "ben", False, actor="anna"),
    "off and on": lambda catalog: [
        accounts.set_active(catalog.database, "ben", active, actor="anna") for active in (False, True)
    ],
    "a password by hand": lambda catalog: accounts.set_password(catalog.database, "ben", GOOD, actor="anna"),
}


@pytest.mark.parametrize("what", ENDINGS)
def test_what_ends_a_link(anna: Catalog, what: str) -> None:
    link = accounts.invite(anna.database, "ben", "editor", actor="anna")
    ENDINGS[what](anna)
    with pytest.raises(LinkGoneError):
        accounts.accept(anna.database, link.token, NEW)


def test_a_new_link_for_a_lost_password(anna: Catalog) -> None:
    user = accounts.check_password(anna.database, "anna", GOOD)
    assert user is not None
    token = accounts.start_session(anna.database, user)
    assert token is not None
    link = accounts.new_link(anna.database, "anna", actor="ben")
    assert accounts.session_user(anna.database, token), "until the link is used, nothing changes"
    accounts.accept(anna.database, link.token, NEW)
    assert accounts.session_user(anna.database, token) is None
    assert accounts.check_password(anna.database, "anna", GOOD) is None
    with pytest.raises(NotFoundError):
        accounts.new_link(anna.database, "nobody", actor="anna")
    accounts.invite(anna.database, "ben", "viewer", actor="anna")
    accounts.set_active(anna.database, "ben", False, actor="anna")
    with pytest.raises(ConflictError, match="switched off"):
        accounts.new_link(anna.database, "ben", actor="anna")


@pytest.mark.parametrize("token", ["", "x" * 10_000, "\x00", "\ud800"])
def test_what_is_no_link(anna: Catalog, token: str) -> None:
    accounts.invite(anna.database, "ben", "editor", actor="anna")
    with pytest.raises(LinkGoneError):
        accounts.accept(anna.database, token, NEW)


def test_a_password_that_can_not_be_leaves_the_link(anna: Catalog) -> None:
    link = accounts.invite(anna.database, "ben", "editor", actor="anna")
    with pytest.raises(InvalidInputError):
        accounts.accept(anna.database, link.token, "short")
    accounts.accept(anna.database, link.token, NEW)


def test_who_can_not_be_invited(anna: Catalog) -> None:
    with pytest.raises(ConflictError, match="already"):
        accounts.invite(anna.database, "anna", "viewer", actor="anna")
    for name, role in (("", "viewer"), ("x" * 101, "viewer"), ("a\x00", "viewer"), ("ben", "owner")):
        with pytest.raises(InvalidInputError):
            accounts.invite(anna.database, name, role, actor="anna")
    assert [user.name for user in accounts.list_people(anna.database)] == ["anna"]


def test_links_are_in_the_audit_log_and_their_tokens_nowhere(anna: Catalog) -> None:
    links = [accounts.invite(anna.database, "ben", "editor", actor="anna")]
    links.append(accounts.new_link(anna.database, "ben", actor="carla"))
    accounts.accept(anna.database, links[1].token, NEW)
    with anna.database.read() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()[1:]
        stored = str([vars(row) for row in (*entries, *session.scalars(select(Invitation)))])
    assert [(e.actor, e.action, e.subject, e.after) for e in entries] == [
        ("anna", "user.invite", "ben", {"role": "editor"}),
        ("carla", "user.link", "ben", {"role": "editor"}),
        ("ben", "user.accept", "ben", None),
    ]
    assert not any(link.token in stored for link in links)
