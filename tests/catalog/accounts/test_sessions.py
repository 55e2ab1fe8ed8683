"""When sessions end by themselves, one's own password, and what the audit log says of signing in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from catalog import accounts
from catalog.catalog import Catalog
from catalog.config import SessionLimits
from catalog.errors import InvalidInputError, NotFoundError
from catalog.storage import last_uses
from catalog.storage.tables import AuditEntry, SignIn, User, now

GOOD, NEW = "correct horse battery", "another battery"
LIMITS = SessionLimits(idle=timedelta(hours=2), longest=timedelta(days=3))
MOMENT = timedelta(seconds=30)


@pytest.fixture
def anna(catalog: Catalog) -> Catalog:
    accounts.add_user(catalog.database, "anna", GOOD, actor="cli")
    return catalog


def signed_in(catalog: Catalog, password: str = GOOD) -> str:
    """The token of a new session."""
    found = accounts.sign_in(catalog.database, "anna", password, address="10.0.0.1", limits=LIMITS)
    assert found is not None
    return found[1]


def lives(catalog: Catalog, token: str) -> bool:
    return accounts.session_user(catalog.database, token, limits=LIMITS) is not None


def turn_back(catalog: Catalog, **columns: timedelta) -> None:
    """Set these columns of all sessions to so long ago."""
    with catalog.database.write() as session:
        session.execute(update(SignIn).values({name: now() - ago for name, ago in columns.items()}))


def log(catalog: Catalog) -> list[tuple[str, str, str]]:
    """(actor, action, subject) of each entry."""
    with catalog.database.read() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(entry.actor, entry.action, entry.subject) for entry in entries]


def test_a_session_that_is_not_used_ends(anna: Catalog) -> None:
    token = signed_in(anna)
    turn_back(anna, seen_at=LIMITS.idle - MOMENT)
    assert lives(anna, token)
    turn_back(anna, seen_at=LIMITS.idle + MOMENT)
    assert not lives(anna, token)


def test_a_session_that_is_used_ends_all_the_same(anna: Catalog) -> None:
    token = signed_in(anna)
    turn_back(anna, created_at=LIMITS.longest - MOMENT)
    assert lives(anna, token)
    turn_back(anna, created_at=LIMITS.longest + MOMENT, seen_at=MOMENT)
    assert not lives(anna, token)


def test_a_session_of_before_its_use_was_noted(anna: Catalog) -> None:
    token = signed_in(anna)
    with anna.database.write() as session:
        session.execute(update(SignIn).values(seen_at=None))
    assert lives(anna, token)
    turn_back(anna, created_at=LIMITS.idle + MOMENT)
    with anna.database.write() as session:
        session.execute(update(SignIn).values(seen_at=None))
    assert not lives(anna, token)


def test_a_request_keeps_a_session_alive(anna: Catalog) -> None:
    token = signed_in(anna)
    turn_back(anna, seen_at=LIMITS.idle - MOMENT)
    assert accounts.session_user(anna.database, token, limits=LIMITS, uses=anna.uses)
    anna.uses.flush()
    with anna.database.read() as session:
        seen = session.scalars(select(SignIn.seen_at)).one()
    assert seen is not None
    assert now() - seen < MOMENT


def test_what_has_ended_is_not_used_again(anna: Catalog) -> None:
    token = signed_in(anna)
    turn_back(anna, seen_at=LIMITS.idle + MOMENT)
    assert accounts.session_user(anna.database, token, limits=LIMITS, uses=anna.uses) is None
    anna.uses.flush()
    assert not lives(anna, token)


def test_rows_of_old_sessions_go_with_the_next_sign_in(anna: Catalog) -> None:
    for column in ("created_at", "seen_at"):
        signed_in(anna)
        turn_back(anna, **{column: LIMITS.longest + MOMENT})
        signed_in(anna)
        with anna.database.read() as session:
            assert session.scalar(select(func.count()).select_from(SignIn)) == 1


def test_a_use_is_written_once_a_minute(anna: Catalog) -> None:
    key = accounts.add_key(anna.database, "till", actor="cli")

    def used() -> object:
        anna.uses.flush()
        return accounts.get_key(anna.database, key.id).last_used_at

    assert used() is None
    assert accounts.check_key(anna.database, key.key, anna.uses)
    first = used()
    assert first is not None
    assert accounts.check_key(anna.database, key.key, anna.uses)
    assert used() == first
    other = last_uses.LastUses(anna.database)  # of another process
    assert accounts.check_key(anna.database, key.key, other)
    other.flush()
    assert used() == first


def test_the_last_sign_in(anna: Catalog) -> None:
    assert accounts.get_person(anna.database, "anna").last_sign_in_at is None
    signed_in(anna)
    seen = accounts.get_person(anna.database, "anna").last_sign_in_at
    assert seen is not None
    assert now() - seen < MOMENT


def test_ones_own_password(anna: Catalog) -> None:
    here, there = signed_in(anna), signed_in(anna)
    link = accounts.new_link(anna.database, "anna", actor="ben")
    accounts.change_password(anna.database, here, GOOD, NEW)
    assert lives(anna, here)
    assert not lives(anna, there)
    assert accounts.check_password(anna.database, "anna", GOOD) is None
    signed_in(anna, NEW)
    with pytest.raises(NotFoundError):
        accounts.invited(anna.database, link.token)
    assert log(anna)[-2:] == [("anna", "user.password", "anna"), ("anna", "user.sign_in", "anna")]


@pytest.mark.parametrize(
    ("present", "new", "field"),
    [
        *((GOOD + " ", NEW, "present"), ("", NEW, "present"), ("x" * 10_000_000, NEW, "present")),
        *((GOOD, "short", "password"), (GOOD, NEW + "\ud800", "password")),
    ],
)
def test_a_password_that_does_not_change(anna: Catalog, present: str, new: str, field: str) -> None:
    here, there = signed_in(anna), signed_in(anna)
    with pytest.raises(InvalidInputError) as caught:
        accounts.change_password(anna.database, here, present, new)
    assert caught.value.field == field
    assert lives(anna, here)
    assert lives(anna, there)
    signed_in(anna)


def test_who_signs_in_and_out_is_in_the_audit_log(anna: Catalog) -> None:
    token = signed_in(anna)
    assert accounts.sign_in(anna.database, "anna", "guess", address="10.0.0.2") is None
    accounts.end_session(anna.database, token)
    accounts.end_session(anna.database, token)
    assert log(anna)[1:] == [
        ("anna", "user.sign_in", "anna"),
        ("anna", "user.sign_in_failed", "anna"),
        ("anna", "user.sign_out", "anna"),
    ]


def test_a_password_in_the_wrong_field_is_not_logged(anna: Catalog) -> None:
    for name in (GOOD, "anna\x00", "\ud800", ""):
        assert accounts.sign_in(anna.database, name, "guess", address="10.0.0.2") is None
    assert log(anna)[1:] == [("somebody", "user.sign_in_failed", "")] * 4


def test_wrong_passwords_do_not_flood_the_audit_log(anna: Catalog) -> None:
    for number in range(14):
        assert accounts.sign_in(anna.database, f"name {number}", "x") is None
    assert len(log(anna)) == 1 + 10
    with anna.database.write() as session:
        session.execute(update(AuditEntry).values(at=now() - timedelta(minutes=2)))
    assert accounts.sign_in(anna.database, "anna", "x") is None
    assert log(anna)[-1] == ("anna", "user.sign_in_failed", "anna")
    assert len(log(anna)) == 1 + 11


def test_a_name_with_no_password_yet(anna: Catalog) -> None:
    accounts.invite(anna.database, "ben", "viewer", actor="anna")
    for password in ("", "x", GOOD):
        assert accounts.check_password(anna.database, "ben", password) is None
    with anna.database.read() as session:
        assert session.scalars(select(User.password_hash).where(User.name == "ben")).one() == ""
