"""What keys may do, until when and how often; and changing over to another secret."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, update

from catalog import accounts
from catalog.accounts import Form, NewKey
from catalog.catalog import Catalog
from catalog.errors import (
    CatalogError,
    ConflictError,
    FormSentError,
    InvalidInputError,
    KeyExpiredError,
    NotFoundError,
)
from catalog.storage.tables import ApiKey, AuditEntry, now

TODAY = now().date()
DAY = timedelta(days=1)


def make(catalog: Catalog, **more: object) -> NewKey:
    return accounts.add_key(catalog.database, "till", actor="cli", **more)  # type: ignore[arg-type]


def change(catalog: Catalog, key: NewKey, **more: object) -> None:
    row = accounts.get_key(catalog.database, key.id)
    kept = {"name": row.name, "scopes": row.scopes, "ends": accounts.last_day(row.expires_at), "rate": row.rate or ""}
    accounts.change_key(catalog.database, key.id, actor="anna", **(kept | more))  # type: ignore[arg-type]


def put(catalog: Catalog, key: NewKey, **values: object) -> None:
    """As if time had passed."""
    with catalog.database.write() as session:
        session.execute(update(ApiKey).where(ApiKey.id == key.id).values(values))


def opens(catalog: Catalog, secret: str) -> bool:
    try:
        return accounts.check_key(catalog.database, secret, catalog.uses) is not None
    except KeyExpiredError:
        return False


def log(catalog: Catalog) -> list[tuple[object, ...]]:
    with catalog.database.read() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(entry.actor, entry.action, entry.before, entry.after) for entry in entries]


def test_a_key_works_through_its_last_day(catalog: Catalog) -> None:
    key = make(catalog, ends=TODAY)
    assert opens(catalog, key.key)
    ends = accounts.get_key(catalog.database, key.id).expires_at
    assert ends == datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC) + DAY
    assert accounts.last_day(ends) == TODAY
    put(catalog, key, expires_at=now())
    with pytest.raises(KeyExpiredError, match="ended at 20"):
        accounts.check_key(catalog.database, key.key)
    change(catalog, key, ends=TODAY + DAY)
    assert opens(catalog, key.key), "it can be given more time"
    change(catalog, key, ends=None)
    assert accounts.get_key(catalog.database, key.id).expires_at is None


@pytest.mark.parametrize("ends", [TODAY - DAY, date.min, date.max, TODAY.replace(year=TODAY.year + 101, day=1)])
def test_a_key_ends_in_the_future(catalog: Catalog, ends: date) -> None:
    with pytest.raises(InvalidInputError) as caught:
        make(catalog, ends=ends)
    assert caught.value.field == "ends"
    assert accounts.list_keys(catalog.database) == []


def test_what_ended_can_be_renamed_as_it_is(catalog: Catalog) -> None:
    key = make(catalog)
    put(catalog, key, expires_at=now() - 30 * DAY)
    change(catalog, key, name="old till")
    row = accounts.get_key(catalog.database, key.id)
    assert (row.name, accounts.last_day(row.expires_at)) == ("old till", (now() - 30 * DAY).date())


@pytest.mark.parametrize(
    ("text", "day"), [("2027-01-31", date(2027, 1, 31)), (" 2028-02-29 ", date(2028, 2, 29)), ("", None), ("  ", None)]
)
def test_a_day_in_words(text: str, day: date | None) -> None:
    assert accounts.day_of(text) == day


@pytest.mark.parametrize(
    "text", ["2027-02-29", "2027-1-1", "20270101", "2027-W01-1", "0000-01-01", "tomorrow", "٢٠٢٧-01-01"]
)
def test_no_day(text: str) -> None:
    with pytest.raises(InvalidInputError, match="2027-01-31"):
        accounts.day_of(text)


def test_its_own_limit(catalog: Catalog) -> None:
    assert accounts.get_key(catalog.database, make(catalog).id).rate is None
    for given, kept in (("60 per minute", "60/minute"), ("OFF", "off"), (" ", None)):
        assert accounts.get_key(catalog.database, make(catalog, rate=given).id).rate == kept
    with pytest.raises(InvalidInputError) as caught:
        make(catalog, rate="many")
    assert caught.value.field == "rate"


def test_what_is_changed_is_in_the_audit_log(catalog: Catalog) -> None:
    key = make(catalog, ends=TODAY, rate="5/second")
    day = TODAY.isoformat()
    assert log(catalog)[0][3] == {
        "prefix": key.key[:9], "scopes": ["recognize"], "ends": day, "rate": "5/second"
    }  # fmt: skip
    change(catalog, key)
    assert len(log(catalog)) == 1, "nothing was changed"
    change(catalog, key, name="ERP", scopes=["catalog:write", "catalog:read"], ends=None)
    assert log(catalog)[1:] == [
        (
            "anna",
            "key.change",
            {"name": "till", "scopes": ["recognize"], "ends": day},
            {"name": "ERP", "scopes": ["catalog:read", "catalog:write"], "ends": None},
        )
    ]


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"scopes": []}, {"scopes": ["everything"]}, {"ends": TODAY - DAY}, {"rate": "1/week"}]
)
def test_a_wrong_change_changes_nothing(catalog: Catalog, wrong: dict[str, object]) -> None:
    key = make(catalog, ends=TODAY)
    before = vars(accounts.get_key(catalog.database, key.id))
    with pytest.raises(InvalidInputError):
        change(catalog, key, **{"name": "other", "scopes": ["feedback"], "ends": TODAY + DAY, "rate": "1/day"} | wrong)
    after = vars(accounts.get_key(catalog.database, key.id))
    assert {name: after[name] for name in before if name != "_sa_instance_state"} == {
        name: before[name] for name in before if name != "_sa_instance_state"
    }


def test_both_secrets_work_until_the_old_one_is_ended(catalog: Catalog) -> None:
    first = make(catalog)
    second = accounts.rotate_key(catalog.database, first.id, actor="anna", days=None)
    assert (second.id, second.name) == (first.id, "till") and second.key != first.key
    rows = [accounts.check_key(catalog.database, secret.key) for secret in (first, second)]
    assert [row.id for row in rows if row] == [first.id, first.id]
    accounts.end_old_secret(catalog.database, first.id, actor="ben")
    accounts.end_old_secret(catalog.database, first.id, actor="ben")
    assert accounts.check_key(catalog.database, first.key) is None
    assert opens(catalog, second.key)
    prefixes = first.key[:9], second.key[:9]
    assert log(catalog)[1:] == [
        ("anna", "key.rotate", {"prefix": prefixes[0]}, {"prefix": prefixes[1], "old_ends": None}),
        ("ben", "key.end_old", {"prefix": prefixes[0]}, None),
    ]


def test_the_old_secret_ends_by_itself(catalog: Catalog) -> None:
    first = make(catalog)
    second = accounts.rotate_key(catalog.database, first.id, actor="anna", days=2)
    row = accounts.get_key(catalog.database, first.id)
    assert row.old_ends_at and timedelta(days=1.9) < row.old_ends_at - now() <= 2 * DAY
    assert opens(catalog, first.key)
    put(catalog, first, old_ends_at=now())
    with pytest.raises(KeyExpiredError, match="replaced"):
        accounts.check_key(catalog.database, first.key)
    assert opens(catalog, second.key)
    third = accounts.rotate_key(catalog.database, first.id, actor="anna", days=0)
    assert [opens(catalog, key.key) for key in (first, second, third)] == [False, False, True]


def test_a_key_has_two_secrets_at_most(catalog: Catalog) -> None:
    first = make(catalog)
    second = accounts.rotate_key(catalog.database, first.id, actor="anna")
    with pytest.raises(ConflictError, match="two secrets already"):
        accounts.rotate_key(catalog.database, first.id, actor="anna")
    assert opens(catalog, first.key) and opens(catalog, second.key)


def test_two_people_who_rotate_at_once(catalog: Catalog) -> None:
    first = make(catalog)

    def attempt(_: int) -> str | None:
        try:
            return accounts.rotate_key(catalog.database, first.id, actor="anna").key
        except ConflictError:
            return None

    with ThreadPoolExecutor(4) as pool:
        (made,) = filter(None, pool.map(attempt, range(4)))
    assert opens(catalog, made) and opens(catalog, first.key)


def test_a_form_that_is_sent_twice_rotates_once(catalog: Catalog) -> None:
    accounts.add_user(catalog.database, "anna", "correct horse battery", actor="cli")
    signed_in = accounts.sign_in(catalog.database, "anna", "correct horse battery")
    assert signed_in
    form, first = Form(signed_in[1], uuid.uuid4()), make(catalog)
    second = accounts.rotate_key(catalog.database, first.id, actor="anna", form=form)
    with pytest.raises(FormSentError):
        accounts.rotate_key(catalog.database, first.id, actor="anna", form=form)
    read = accounts.read_once(catalog.database, form)
    assert read and (read.name, read.secret) == ("till", second.key)


@pytest.mark.parametrize("days", [-1, 366, 10**12])
def test_days_that_can_not_be(catalog: Catalog, days: int) -> None:
    key = make(catalog)
    with pytest.raises(InvalidInputError):
        accounts.rotate_key(catalog.database, key.id, actor="anna", days=days)
    assert accounts.get_key(catalog.database, key.id).old_sha256 is None


def test_revoking_ends_both_secrets_for_good(catalog: Catalog) -> None:
    first = make(catalog)
    second = accounts.rotate_key(catalog.database, first.id, actor="anna")
    accounts.revoke_key(catalog.database, first.id, actor="anna")
    assert not opens(catalog, first.key) and not opens(catalog, second.key)
    with pytest.raises(ConflictError, match="revoked"):
        accounts.rotate_key(catalog.database, first.id, actor="anna")


def test_an_end_of_the_key_ends_both_secrets(catalog: Catalog) -> None:
    first = make(catalog)
    second = accounts.rotate_key(catalog.database, first.id, actor="anna")
    put(catalog, first, expires_at=now())
    assert not opens(catalog, first.key) and not opens(catalog, second.key)


def test_each_secret_has_a_last_use_of_its_own(catalog: Catalog) -> None:
    def used() -> tuple[bool, bool]:
        row = accounts.get_key(catalog.database, first.id)
        return row.last_used_at is not None, row.old_used_at is not None

    first = make(catalog)
    opens(catalog, first.key)  # noted, and not written yet when the key is rotated
    second = accounts.rotate_key(catalog.database, first.id, actor="anna")
    catalog.uses.flush()
    assert used() == (False, True), "the use was of the secret that is the old one by now"
    opens(catalog, second.key)
    catalog.uses.flush()
    assert used() == (True, True)


def test_no_secret_of_a_changeover_is_kept(catalog: Catalog) -> None:
    first = make(catalog)
    second = accounts.rotate_key(catalog.database, first.id, actor="anna")
    with catalog.database.read() as session:
        stored = [str(vars(row)) for table in (ApiKey, AuditEntry) for row in session.scalars(select(table))]
    for secret in (first.key[9:], second.key[9:]):
        assert not any(secret in text for text in stored)


@pytest.mark.parametrize("number", [99, 0, -1, 2**31, 10**30])
def test_no_such_key(catalog: Catalog, number: int) -> None:
    key = NewKey(number, "", "")
    for attempt in (
        lambda: accounts.rotate_key(catalog.database, number, actor="anna"),
        lambda: accounts.end_old_secret(catalog.database, number, actor="anna"),
        lambda: change(catalog, key),
        lambda: accounts.change_key(
            catalog.database, number, name="x", scopes=["recognize"], ends=None, rate="", actor="anna"
        ),
    ):
        with pytest.raises(NotFoundError):
            attempt()


def test_what_ends_soon(catalog: Catalog) -> None:
    soon, later, never, over, long_over, gone = (make(catalog, ends=ends) for ends in (
        *(TODAY + 13 * DAY, TODAY + 15 * DAY, None, TODAY, TODAY, TODAY),
    ))  # fmt: skip
    put(catalog, over, expires_at=now() - DAY)
    put(catalog, long_over, expires_at=now() - 15 * DAY)
    accounts.revoke_key(catalog.database, gone.id, actor="cli")
    accounts.rotate_key(catalog.database, never.id, actor="cli", days=3)
    accounts.rotate_key(catalog.database, later.id, actor="cli", days=None)
    found = accounts.list_ending(catalog.database)
    assert [(each.id, each.old, each.is_over) for each in found] == [
        (over.id, False, True),
        (never.id, True, False),
        (soon.id, False, False),
    ]


def test_a_wrong_secret_opens_nothing_however_near_it_is(catalog: Catalog) -> None:
    first = make(catalog)
    second = accounts.rotate_key(catalog.database, first.id, actor="anna")
    row = accounts.get_key(catalog.database, first.id)
    for near in (*(key.key[:-1] for key in (first, second)), first.key.upper(), f" {second.key}", row.sha256, ""):
        assert accounts.check_key(catalog.database, near) is None
    assert issubclass(KeyExpiredError, CatalogError)
