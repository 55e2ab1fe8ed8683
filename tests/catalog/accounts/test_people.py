from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from catalog import accounts
from catalog.catalog import Catalog
from catalog.errors import ConflictError, InvalidInputError, NotFoundError
from catalog.storage.tables import ApiKey, AuditEntry, SignIn, User

GOOD = "correct horse battery"


def test_a_user_signs_in(catalog: Catalog) -> None:
    accounts.add_user(catalog.database, " anna ", GOOD, actor="cli")
    user = accounts.check_password(catalog.database, "anna", GOOD)
    assert user is not None
    assert user.name == "anna"
    assert GOOD not in user.password_hash
    assert user.password_hash.startswith("$argon2id$")
    token = accounts.start_session(catalog.database, user)
    assert token is not None
    found = accounts.session_user(catalog.database, token)
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


def signed_in(catalog: Catalog, name: str = "anna", password: str = GOOD) -> str:
    """The token of a new session."""
    user = accounts.check_password(catalog.database, name, password)
    assert user is not None
    token = accounts.start_session(catalog.database, user)
    assert token is not None
    return token


def user_of(catalog: Catalog, token: str) -> str | None:
    user = accounts.session_user(catalog.database, token)
    return user.name if user else None


@pytest.fixture
def two(catalog: Catalog) -> Catalog:
    """A catalog of two users."""
    for name in ("anna", "ben"):
        accounts.add_user(catalog.database, name, GOOD, actor="cli")
    return catalog


def test_signing_out_ends_this_session_alone(two: Catalog) -> None:
    laptop, phone, other = signed_in(two), signed_in(two), signed_in(two, "ben")
    accounts.end_session(two.database, laptop)
    accounts.end_session(two.database, laptop)  # of two windows
    assert [user_of(two, token) for token in (laptop, phone, other)] == [None, "anna", "ben"]


def test_a_new_password_ends_all_sessions_of_the_user(two: Catalog) -> None:
    tokens = [signed_in(two), signed_in(two), signed_in(two, "ben")]
    accounts.set_password(two.database, "anna", "another battery", actor="cli")
    assert [user_of(two, token) for token in tokens] == [None, None, "ben"]
    assert user_of(two, signed_in(two, password="another battery")) == "anna"


def test_a_password_that_changes_while_its_user_signs_in(two: Catalog) -> None:
    proved = accounts.check_password(two.database, "anna", GOOD)
    assert proved is not None
    accounts.set_password(two.database, "anna", "another battery", actor="cli")
    assert accounts.start_session(two.database, proved) is None


def test_a_user_that_was_switched_off(two: Catalog) -> None:
    tokens = [signed_in(two), signed_in(two, "ben")]
    proved = accounts.check_password(two.database, "anna", GOOD)
    assert proved is not None
    accounts.set_active(two.database, "anna", False, actor="cli")
    assert [user_of(two, token) for token in tokens] == [None, "ben"]
    assert accounts.check_password(two.database, "anna", GOOD) is None
    assert accounts.start_session(two.database, proved) is None
    accounts.set_active(two.database, "anna", True, actor="cli")
    assert user_of(two, tokens[0]) is None, "a session of before does not come back"
    assert user_of(two, signed_in(two)) == "anna"
    with pytest.raises(NotFoundError):
        accounts.set_active(two.database, "nobody", False, actor="cli")


def test_a_user_switched_off_by_another_hand(two: Catalog) -> None:
    """In the table alone: the row of the session is still there, and worth nothing."""
    token = signed_in(two)
    with two.database.write() as session:
        session.execute(update(User).values(active=False))
    assert user_of(two, token) is None


@pytest.mark.parametrize("token", ["", "1", "x" * 10_000, "\x00", "\ud800"])
def test_what_is_no_session(two: Catalog, token: str) -> None:
    signed_in(two)
    assert user_of(two, token) is None
    accounts.end_session(two.database, token)


def test_no_token_is_stored(two: Catalog) -> None:
    token = signed_in(two)
    with two.database.read() as session:
        assert token not in session.scalars(select(SignIn.sha256)).one()


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


def test_the_first_admin_is_made_once(catalog: Catalog) -> None:
    def attempt(number: int) -> bool:
        try:
            accounts.first_admin(catalog.database, f"anna {number}", GOOD)
            return True
        except ConflictError:
            return False

    assert not accounts.has_staff(catalog.database)
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [False, False, False, True]
    (first,) = accounts.list_people(catalog.database)
    assert (first.role, first.active) == ("admin", True)
    assert accounts.has_staff(catalog.database)


def test_no_first_admin_where_there_are_users(catalog: Catalog) -> None:
    accounts.add_user(catalog.database, "anna", GOOD, actor="cli", role="viewer")
    with pytest.raises(ConflictError, match="sign in"):
        accounts.first_admin(catalog.database, "ben", GOOD)


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
    for number in (99, 0, -1, 2**31, 2**63, 10**30):
        with pytest.raises(NotFoundError):
            accounts.revoke_key(catalog.database, number, actor="cli")
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


def test_a_key_gets_another_name(catalog: Catalog) -> None:
    key = accounts.add_key(catalog.database, "till 1", actor="cli")
    accounts.rename_key(catalog.database, key.id, " till at the door ", actor="anna")
    accounts.rename_key(catalog.database, key.id, "till at the door", actor="anna")
    row = accounts.check_key(catalog.database, key.key)
    assert row is not None
    assert row.name == "till at the door"
    with pytest.raises(InvalidInputError):
        accounts.rename_key(catalog.database, key.id, "", actor="anna")
    for number in (99, -1, 2**31, 10**30):
        with pytest.raises(NotFoundError):
            accounts.rename_key(catalog.database, number, "till", actor="anna")
        with pytest.raises(NotFoundError):
            accounts.get_key(catalog.database, number)
    with catalog.database.read() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "key.rename")).all()
        assert [(e.before, e.after) for e in entries] == [({"name": "till 1"}, {"name": "till at the door"})]
