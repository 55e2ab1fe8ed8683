"""What a form makes is made once, and its secret is read once, by the session that sent it."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from catalog import accounts
from catalog.accounts import Form
from catalog.catalog import Catalog
from catalog.errors import ConflictError, FormSentError, InvalidInputError
from catalog.storage.tables import SentForm, now

GOOD = "correct horse battery"


@pytest.fixture
def form(catalog: Catalog) -> Form:
    """A form in a session of anna's."""
    accounts.add_user(catalog.database, "anna", GOOD, actor="cli")
    return form_of(catalog)


def form_of(catalog: Catalog) -> Form:
    signed_in = accounts.sign_in(catalog.database, "anna", GOOD)
    assert signed_in is not None
    return Form(signed_in[1], uuid.uuid4())


def test_a_key_is_read_once(catalog: Catalog, form: Form) -> None:
    made = accounts.add_key(catalog.database, "till 1", actor="anna", form=form)
    read = accounts.read_once(catalog.database, form)
    assert read is not None
    assert (read.name, read.secret) == ("till 1", made.key)
    assert accounts.read_once(catalog.database, form) is None


def test_a_form_sent_several_times_at_once_makes_one_key(catalog: Catalog, form: Form) -> None:
    def attempt(_: int) -> str | None:
        try:
            return accounts.add_key(catalog.database, "till 1", actor="anna", form=form).key
        except FormSentError:
            return None

    with ThreadPoolExecutor(4) as pool:
        (made,) = filter(None, pool.map(attempt, range(4)))
    assert len(accounts.list_keys(catalog.database)) == 1
    read = accounts.read_once(catalog.database, form)
    assert read is not None
    assert read.secret == made
    assert attempt(5) is None, "also after it was read"
    assert accounts.check_key(catalog.database, made)


def test_an_invitation_sent_twice_is_one(catalog: Catalog, form: Form) -> None:
    link = accounts.invite(catalog.database, "ben", "viewer", actor="anna", form=form)
    with pytest.raises(FormSentError):
        accounts.invite(catalog.database, "ben", "viewer", actor="anna", form=form)
    read = accounts.read_once(catalog.database, form)
    assert read is not None
    assert (read.name, read.secret) == ("ben", link.token)


def test_what_failed_may_be_sent_again(catalog: Catalog, form: Form) -> None:
    with pytest.raises(ConflictError):
        accounts.invite(catalog.database, "anna", "viewer", actor="anna", form=form)
    with pytest.raises(InvalidInputError):
        accounts.invite(catalog.database, "x" * 200, "viewer", actor="anna", form=form)
    accounts.invite(catalog.database, "ben", "viewer", actor="anna", form=form)


def test_no_other_session_reads_it(catalog: Catalog, form: Form) -> None:
    made = accounts.add_key(catalog.database, "till 1", actor="anna", form=form)
    other = form_of(catalog)
    assert accounts.read_once(catalog.database, Form(other.token, form.id)) is None
    assert accounts.read_once(catalog.database, Form(form.token, other.id)) is None
    read = accounts.read_once(catalog.database, form)
    assert read is not None
    assert read.secret == made.key


def test_the_secret_is_not_in_the_database(catalog: Catalog, form: Form) -> None:
    made = accounts.add_key(catalog.database, "till 1", actor="anna", form=form)
    with catalog.database.read() as session:
        row = session.scalars(select(SentForm)).one()
        assert row.secret is not None
        assert len(row.secret) == len(made.key)
        assert not any(made.key[at : at + 4].encode() in row.secret for at in range(len(made.key) - 4))
    accounts.read_once(catalog.database, form)
    with catalog.database.read() as session:
        assert session.scalars(select(SentForm.secret)).one() is None


def test_it_does_not_wait_for_ever(catalog: Catalog, form: Form) -> None:
    accounts.add_key(catalog.database, "till 1", actor="anna", form=form)
    with catalog.database.write() as session:
        session.execute(update(SentForm).values(created_at=now() - timedelta(minutes=6)))
    assert accounts.read_once(catalog.database, form) is None
    accounts.add_key(catalog.database, "till 2", actor="anna", form=Form(form.token, uuid.uuid4()))
    with catalog.database.read() as session:
        secrets = {row.name: row.secret for row in session.scalars(select(SentForm))}
    assert secrets["till 1"] is None
    assert secrets["till 2"] is not None


def test_it_goes_with_its_session(catalog: Catalog, form: Form) -> None:
    accounts.add_key(catalog.database, "till 1", actor="anna", form=form)
    accounts.end_session(catalog.database, form.token)
    assert accounts.read_once(catalog.database, form) is None
    with catalog.database.read() as session:
        assert session.scalars(select(SentForm)).all() == []


def test_a_form_of_a_session_that_has_ended_makes_nothing_and_says_so(catalog: Catalog, form: Form) -> None:
    accounts.end_session(catalog.database, form.token)
    with pytest.raises(InvalidInputError, match="session has ended"):
        accounts.add_key(catalog.database, "till 1", actor="anna", form=form)
    assert accounts.list_keys(catalog.database) == []
