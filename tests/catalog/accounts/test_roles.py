"""Roles, and that somebody can always manage people."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select, update

from catalog import accounts
from catalog.catalog import Catalog
from catalog.errors import InvalidInputError, LastAdminError, NotFoundError
from catalog.storage.tables import AuditEntry, User

GOOD = "correct horse battery"


def roles(catalog: Catalog) -> dict[str, str]:
    return {user.name: user.role for user in accounts.list_people(catalog.database) if user.active}


@pytest.fixture
def admins(catalog: Catalog) -> Catalog:
    """A catalog of two admins and an editor."""
    for name, role in (("anna", "admin"), ("ben", "admin"), ("carla", "editor")):
        accounts.add_user(catalog.database, name, GOOD, actor="cli", role=role)
    return catalog


def test_each_role_covers_those_before_it() -> None:
    covered = {(role, needed) for role in accounts.ROLES for needed in accounts.ROLES if accounts.covers(role, needed)}
    assert covered == {
        *(("viewer", "viewer"), ("editor", "viewer"), ("editor", "editor")),
        *(("admin", "viewer"), ("admin", "editor"), ("admin", "admin")),
    }
    assert not accounts.covers("", "viewer")
    assert not accounts.covers("owner", "viewer")


def test_who_was_there_before_roles_is_an_admin(catalog: Catalog) -> None:
    """As in a row that an older backup or an older version wrote."""
    with catalog.database.write() as session:
        session.execute(User.__table__.insert().values(name="anna", password_hash="x"))
    assert roles(catalog) == {"anna": "admin"}


def test_a_role_changes_at_once(admins: Catalog) -> None:
    user = accounts.check_password(admins.database, "carla", GOOD)
    assert user is not None
    token = accounts.start_session(admins.database, user)
    assert token is not None
    accounts.set_role(admins.database, "carla", "viewer", actor="anna")
    found = accounts.session_user(admins.database, token)
    assert found is not None
    assert found.role == "viewer"
    accounts.set_role(admins.database, found.id, "viewer", actor="anna")
    with admins.database.read() as session:
        changes = session.scalars(select(AuditEntry).where(AuditEntry.action == "user.role")).all()
        assert [(e.actor, e.subject, e.before, e.after) for e in changes] == [
            ("anna", "carla", {"role": "editor"}, {"role": "viewer"})
        ]


def test_what_is_no_role_and_nobody(admins: Catalog) -> None:
    for role in ("", "owner", "Admin", "\x00"):
        with pytest.raises(InvalidInputError):
            accounts.set_role(admins.database, "carla", role, actor="anna")
        with pytest.raises(InvalidInputError):
            accounts.add_user(admins.database, "dora", GOOD, actor="anna", role=role)
    for who in ("dora", "a\x00", -1, 99, 2**31, 10**30):
        with pytest.raises(NotFoundError):
            accounts.set_role(admins.database, who, "viewer", actor="anna")
    assert roles(admins) == {"anna": "admin", "ben": "admin", "carla": "editor"}


def test_the_last_admin_stays(admins: Catalog) -> None:
    accounts.set_active(admins.database, "ben", False, actor="anna")
    with pytest.raises(LastAdminError, match="only admin"):
        accounts.set_active(admins.database, "anna", False, actor="anna")
    with pytest.raises(LastAdminError):
        accounts.set_role(admins.database, "anna", "editor", actor="anna")
    accounts.set_active(admins.database, "carla", False, actor="anna")
    accounts.set_role(admins.database, "carla", "admin", actor="anna")
    with pytest.raises(LastAdminError):
        accounts.set_role(admins.database, "anna", "viewer", actor="anna")
    accounts.set_active(admins.database, "ben", True, actor="anna")
    accounts.set_role(admins.database, "anna", "viewer", actor="ben")
    assert roles(admins) == {"anna": "viewer", "ben": "admin"}


def test_an_admin_who_never_came_is_none(admins: Catalog) -> None:
    """Nobody can sign in as somebody who was invited only."""
    accounts.invite(admins.database, "dora", "admin", actor="anna")
    accounts.set_role(admins.database, "ben", "viewer", actor="anna")
    with pytest.raises(LastAdminError):
        accounts.set_active(admins.database, "anna", False, actor="anna")


@pytest.mark.parametrize("how", ["demoted", "switched off", "both"])
def test_two_admins_who_take_each_other_out_at_one_moment(admins: Catalog, how: str) -> None:
    for _ in range(5):
        together = Barrier(2)

        def attempt(name: str, together: Barrier = together) -> bool:
            together.wait()
            try:
                if how == "demoted" or (how == "both" and name == "ben"):
                    accounts.set_role(admins.database, name, "viewer", actor="test")
                else:
                    accounts.set_active(admins.database, name, False, actor="test")
                return True
            except LastAdminError:
                return False

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(attempt, ("anna", "ben"))) == [False, True]
        assert list(roles(admins).values()).count("admin") == 1
        with admins.database.write() as session:
            session.execute(update(User).where(User.name != "carla").values(role="admin", active=True))
