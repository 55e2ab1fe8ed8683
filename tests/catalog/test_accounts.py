from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from catalog import accounts
from catalog.catalog import Catalog
from catalog.errors import ConflictError, InvalidInputError, NotFoundError
from catalog.storage.tables import ApiKey, AuditEntry, User

GOOD = "correct horse battery"


def test_a_user_signs_in(catalog: Catalog) -> None:
    accounts.add_user(catalog.database, " anna ", GOOD, actor="cli")
    user = accounts.check_password(catalog.database, "anna", GOOD)
    assert user is not None
    assert user.name == "anna"
    assert GOOD not in user.password_hash
    assert user.password_hash.startswith("$argon2id$")
    found = accounts.find_user(catalog.database, user.id)
    assert found is not None
    assert found.name == "anna"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        *(("anna", GOOD + " "), ("anna", ""), ("Anna", GOOD), ("", ""), ("ben", GOOD)),
        *(("a\x00", GOOD), ("a\ud800", GOOD), ("anna", "\ud800"), ("anna", "x" * 10_000_000)),
    ],
)
def test_nobody_else_does(catalog: Catalog, name: str, password: str) -> None:
    accounts.add_user(catalog.database, "anna", GOOD, actor="cli")
    assert accounts.check_password(catalog.database, name, password) is None


def test_a_user_that_was_switched_off(catalog: Catalog) -> None:
    accounts.add_user(catalog.database, "anna", GOOD, actor="cli")
    user = accounts.check_password(catalog.database, "anna", GOOD)
    assert user is not None
    with catalog.database.write() as session:
        session.execute(update(User).values(active=False))
    assert accounts.check_password(catalog.database, "anna", GOOD) is None
    assert accounts.find_user(catalog.database, user.id) is None
    assert accounts.find_user(catalog.database, user.id + 1) is None


def test_a_name_is_taken_once(catalog: Catalog) -> None:
    def attempt(number: int) -> bool:
        try:
            accounts.add_user(catalog.database, "anna", f"{GOOD} {number}", actor="cli")
            return True
        except ConflictError:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [False, False, False, True]


@pytest.mark.parametrize(
    ("name", "password", "field"),
    [
        *(("", GOOD, "name"), (" ", GOOD, "name"), ("x" * 101, GOOD, "name"), ("a\nb", GOOD, "name")),
        *(("anna", "short", "password"), ("anna", "x" * 1001, "password"), ("anna", GOOD + "\ud800", "password")),
    ],
)
def test_what_is_no_user(catalog: Catalog, name: str, password: str, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        accounts.add_user(catalog.database, name, password, actor="cli")
    assert caught.value.field == field


def test_a_new_password(catalog: Catalog) -> None:
    accounts.add_user(catalog.database, "anna", GOOD, actor="cli")
    accounts.set_password(catalog.database, "anna", "another battery", actor="ben")
    assert accounts.check_password(catalog.database, "anna", GOOD) is None
    assert accounts.check_password(catalog.database, "anna", "another battery") is not None
    with pytest.raises(InvalidInputError):
        accounts.set_password(catalog.database, "anna", "short", actor="ben")
    for name in ("ben", "a\x00"):
        with pytest.raises(NotFoundError):
            accounts.set_password(catalog.database, name, GOOD, actor="ben")


def test_the_first_user_is_made_once(catalog: Catalog) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = [first for first in pool.map(accounts.first_user, [catalog.database] * 4) if first]
    assert len(made) == 1
    assert accounts.check_password(catalog.database, *made[0]) is not None
    assert accounts.first_user(catalog.database) is None


def test_no_first_user_where_there_are_users(catalog: Catalog) -> None:
    accounts.add_user(catalog.database, "anna", GOOD, actor="cli")
    assert accounts.first_user(catalog.database) is None


def test_a_key_opens_until_it_is_revoked(catalog: Catalog) -> None:
    first = accounts.add_key(catalog.database, " till 1 ", actor="cli")
    second = accounts.add_key(catalog.database, "till 2", actor="cli")
    row = accounts.check_key(catalog.database, first.key)
    assert row is not None
    assert (row.id, row.name, first.name) == (first.id, "till 1", "till 1")
    for wrong in ("", "pc_", first.key[:-1], first.key + "x", first.key.upper(), "\x00", "\ud800"):
        assert accounts.check_key(catalog.database, wrong) is None
    accounts.revoke_key(catalog.database, first.id, actor="cli")
    accounts.revoke_key(catalog.database, first.id, actor="cli")
    assert accounts.check_key(catalog.database, first.key) is None
    assert accounts.check_key(catalog.database, second.key) is not None
    with pytest.raises(NotFoundError):
        accounts.revoke_key(catalog.database, 99, actor="cli")
    assert [(key.name, key.revoked_at is None) for key in accounts.list_keys(catalog.database)] == [
        ("till 2", True),
        ("till 1", False),
    ]


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\x00"])
def test_a_key_needs_a_name(catalog: Catalog, name: str) -> None:
    with pytest.raises(InvalidInputError):
        accounts.add_key(catalog.database, name, actor="cli")


def test_no_secret_is_kept(catalog: Catalog) -> None:
    key = accounts.add_key(catalog.database, "till", actor="cli").key
    accounts.add_user(catalog.database, "anna", GOOD, actor="cli")
    accounts.set_password(catalog.database, "anna", "another battery", actor="cli")
    with catalog.database.read() as session:
        stored = [str(vars(row)) for table in (ApiKey, User, AuditEntry) for row in session.scalars(select(table))]
    for secret in (key, key[9:], GOOD, "another battery"):
        assert not any(secret in text for text in stored)


def test_accounts_are_in_the_audit_log(catalog: Catalog) -> None:
    accounts.add_user(catalog.database, "anna", GOOD, actor="cli")
    accounts.set_password(catalog.database, "anna", GOOD, actor="anna")
    key = accounts.add_key(catalog.database, "till", actor="anna")
    accounts.revoke_key(catalog.database, key.id, actor="ben")
    with catalog.database.read() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        assert [(e.actor, e.action, e.subject) for e in entries] == [
            ("cli", "user.add", "anna"),
            ("anna", "user.password", "anna"),
            ("anna", "key.add", "till"),
            ("ben", "key.revoke", "till"),
        ]
