"""The API keys of tills and programs: what each may do, until when, and how often. Their secrets: key_secrets.py."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from catalog import rates
from catalog.accounts import forms
from catalog.accounts.passwords import new_token, token_hash
from catalog.accounts.people import checked_name
from catalog.errors import InvalidInputError, NotFoundError
from catalog.normalization import MOST
from catalog.storage import Database, audit_log
from catalog.storage.tables import ApiKey, now

#: What a key may do: scope -> in words. A till needs the first alone. None includes another one.
SCOPES = {
    "recognize": "recognize photos",
    "feedback": "judge answers",
    "catalog:read": "read the catalog",
    "catalog:write": "add and change products",
}
RECOGNIZE = ("recognize",)
#: A key ends within so many years, or never.
MOST_YEARS = 100
#: The staff are told so long before a key or an old secret ends, and for as long afterwards.
WARNED = timedelta(days=14)
_START = 9


@dataclass(frozen=True)
class NewKey:
    """A new secret of an API key: `key` is shown this once, only its hash is stored."""

    id: int
    name: str
    key: str


@dataclass(frozen=True)
class Ending:
    """A key that ends soon or has ended, at `at`; `old`: the old secret of its changeover does."""

    id: int
    name: str
    at: datetime
    old: bool

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.at <= now()


def new_secret() -> tuple[str, str, str]:
    """A new secret, its start that people may see, and the hash to store."""
    key = "pc_" + new_token()
    return key, key[:_START], token_hash(key)


def add_key(
    database: Database,
    name: str,
    scopes: Collection[str] = RECOGNIZE,
    *,
    actor: str,
    ends: date | None = None,
    rate: str = "",
    form: forms.Form | None = None,
) -> NewKey:
    """Create an API key that may do what `scopes` say.

    `ends`: the last day, in UTC, on which it works; None: it never ends. `rate`: its own limit, as "600/minute" or
    "off"; "": that of CATALOG_KEY_RATE. `form`: see forms.py. Raises InvalidInputError for an invalid name, day or
    limit, for an unknown scope or none, FormSentError for a form that has made its key already.
    """
    name, granted = checked_name(name), _checked_scopes(scopes)
    expires_at, own = _checked_end(ends), _checked_rate(rate)
    key, prefix, sha256 = new_secret()
    with database.write() as session:
        row = ApiKey(name=name, prefix=prefix, sha256=sha256, scopes=granted, expires_at=expires_at, rate=own)
        session.add(row)
        if form:
            forms.keep(session, form, name, key)
        session.flush()
        audit_log.record(session, actor, "key.add", name, after={"prefix": prefix} | _facts(row))
        return NewKey(row.id, name, key)


def change_key(
    database: Database,
    key_id: int,
    *,
    name: str,
    scopes: Collection[str],
    ends: date | None,
    rate: str,
    actor: str,
) -> None:
    """Change what a key is called, may do, until when and how often: see `add_key`. Effective with its next request.

    A day that stays may be in the past. Raises NotFoundError or InvalidInputError; nothing is changed then.
    """
    name, granted, own = checked_name(name), _checked_scopes(scopes), _checked_rate(rate)
    with database.write() as session:
        row = found(session, key_id, lock=True)
        before = {"name": row.name} | _facts(row)
        if ends != last_day(row.expires_at):
            row.expires_at = _checked_end(ends)
        row.name, row.scopes, row.rate = name, granted, own
        after = {"name": row.name} | _facts(row)
        changed = {field for field in after if after[field] != before[field]}
        if changed:
            was, becomes = ({field: side[field] for field in after if field in changed} for side in (before, after))
            audit_log.record(session, actor, "key.change", name, was, becomes)


def revoke_key(database: Database, key_id: int, *, actor: str) -> None:
    """Revoke an API key with all its secrets, effective at once. Raises NotFoundError."""
    with database.write() as session:
        row = found(session, key_id)
        row.revoked_at = row.revoked_at or now()
        audit_log.record(session, actor, "key.revoke", row.name, before={"prefix": row.prefix})


def rename_key(database: Database, key_id: int, name: str, *, actor: str) -> None:
    """Another name. Answers of before keep the old one. Raises NotFoundError or InvalidInputError."""
    name = checked_name(name)
    with database.write() as session:
        row = found(session, key_id)
        if row.name != name:
            before, row.name = row.name, name
            audit_log.record(session, actor, "key.rename", name, {"name": before}, {"name": name})


def set_inbox(database: Database, key_id: int, kept: bool, *, actor: str) -> None:
    """Whether photos of this key that are not recognized are kept in the inbox. Raises NotFoundError."""
    with database.write() as session:
        row = found(session, key_id)
        if row.inbox != kept:
            row.inbox = kept
            audit_log.record(session, actor, "key.inbox", row.name, {"inbox": not kept}, {"inbox": kept})


def list_keys(database: Database) -> list[ApiKey]:
    """All keys, the newest first."""
    with database.read() as session:
        return list(session.scalars(select(ApiKey).order_by(ApiKey.id.desc())))


def get_key(database: Database, key_id: int) -> ApiKey:
    """Raises NotFoundError."""
    with database.read() as session:
        return found(session, key_id)


def list_ending(database: Database) -> list[Ending]:
    """Keys, and old secrets of a changeover, that end within WARNED or did within that time; the first to end first."""
    since, until = now() - WARNED, now() + WARNED
    near = or_(ApiKey.expires_at.between(since, until), ApiKey.old_ends_at.between(since, until))
    with database.read() as session:
        rows = session.scalars(select(ApiKey).where(near, ApiKey.revoked_at.is_(None))).all()
    both = [(row, at, old) for row in rows for at, old in ((row.expires_at, False), (row.old_ends_at, True))]
    ending = [Ending(row.id, row.name, at, old) for row, at, old in both if at and since <= at <= until]
    return sorted(ending, key=lambda each: (each.at, each.id, each.old))


def state_of(row: ApiKey) -> Literal["active", "ending", "ended", "revoked"]:
    """What has become of a key: `ending` within WARNED, `ended` once it is past its end."""
    if row.revoked_at:
        return "revoked"
    left = row.expires_at - now() if row.expires_at else None
    if left is None or left > WARNED:
        return "active"
    return "ending" if left > timedelta(0) else "ended"


def day_of(text: str) -> date | None:
    """A day as a form or a command names it, 2027-01-31; None for "". Raises InvalidInputError."""
    text = text.strip()
    if not text:
        return None
    try:
        if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:  # the 31st of a month that has 30
        pass
    raise InvalidInputError("ends", f"{text!r} is no day: write it as 2027-01-31, or nothing for a key without an end.")


def last_day(expires_at: datetime | None) -> date | None:
    """The last day, in UTC, on which what ends at that moment works."""
    return (expires_at - timedelta(microseconds=1)).astimezone(UTC).date() if expires_at else None


def admit_key(database: Database, name: str, key: str, scopes: Collection[str]) -> None:
    """Let a key of another catalog, and no other, be good here: an offline till's database has no keys of its own."""
    with database.write() as session:
        session.execute(delete(ApiKey))
        session.add(ApiKey(name=name, prefix=key[:_START], sha256=token_hash(key), scopes=list(scopes)))


def found(session: Session, key_id: int, *, lock: bool = False) -> ApiKey:
    """The key of this number; `lock`: until the transaction ends. Raises NotFoundError."""
    row = None
    if 0 <= key_id <= MOST:
        row = session.get(ApiKey, key_id, with_for_update=lock or None, populate_existing=lock)
    if row is None:
        raise NotFoundError(f"There is no key {key_id}.")
    return row


def _facts(row: ApiKey) -> dict[str, Any]:
    """What the audit log says of a key."""
    day = last_day(row.expires_at)
    return {"scopes": row.scopes, "ends": day.isoformat() if day else None, "rate": row.rate}


def _checked_scopes(scopes: Collection[str]) -> list[str]:
    if not scopes or set(scopes) - SCOPES.keys():
        raise InvalidInputError("scope", f"Choose what the key may do: {', '.join(SCOPES)}.")
    return [scope for scope in SCOPES if scope in scopes]


def _checked_end(ends: date | None) -> datetime | None:
    """The moment after the last day."""
    if ends is None:
        return None
    today = now().date()
    if not today <= ends <= today + timedelta(days=365 * MOST_YEARS):
        raise InvalidInputError("ends", f"A key ends today or later, and within {MOST_YEARS} years; not {ends}.")
    return datetime.combine(ends + timedelta(days=1), time(), UTC)


def _checked_rate(rate: str) -> str | None:
    if not rate.strip():
        return None
    try:
        return str(rates.parse(rate) or rates.OFF)
    except ValueError as error:
        raise InvalidInputError("rate", str(error)) from error
