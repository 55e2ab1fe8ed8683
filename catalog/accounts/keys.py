"""The API keys of tills."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.accounts import forms
from catalog.accounts.passwords import new_token, token_hash
from catalog.accounts.people import checked_name
from catalog.errors import InvalidInputError, NotFoundError
from catalog.normalization import MOST
from catalog.storage import Database, LastUses, audit_log
from catalog.storage.tables import ApiKey, now

#: What a key may do: scope -> in words. A till needs the first alone.
SCOPES = {"recognize": "recognize photos", "feedback": "judge answers", "catalog:write": "add products"}
RECOGNIZE = ("recognize",)


@dataclass(frozen=True)
class NewKey:
    """A new API key: `key` is shown this once, only its hash is stored."""

    id: int
    name: str
    key: str


def add_key(
    database: Database,
    name: str,
    scopes: Collection[str] = RECOGNIZE,
    *,
    actor: str,
    form: forms.Form | None = None,
) -> NewKey:
    """Create an API key that may do what `scopes` say. `form`: see forms.py.

    Raises InvalidInputError for an invalid name or scope, or none, FormSentError for a form that has made its key
    already.
    """
    name = checked_name(name)
    if not scopes or set(scopes) - SCOPES.keys():
        raise InvalidInputError("scope", f"Choose what the key may do: {', '.join(SCOPES)}.")
    granted = [scope for scope in SCOPES if scope in scopes]
    key = "pc_" + new_token()
    with database.write() as session:
        row = ApiKey(name=name, prefix=key[:9], sha256=token_hash(key), scopes=granted)
        session.add(row)
        if form:
            forms.keep(session, form, name, key)
        session.flush()
        audit_log.record(session, actor, "key.add", name, after={"prefix": row.prefix, "scopes": granted})
        return NewKey(row.id, name, key)


def revoke_key(database: Database, key_id: int, *, actor: str) -> None:
    """Revoke an API key, effective at once. Raises NotFoundError."""
    with database.write() as session:
        row = _found(session, key_id)
        row.revoked_at = row.revoked_at or now()
        audit_log.record(session, actor, "key.revoke", row.name, before={"prefix": row.prefix})


def rename_key(database: Database, key_id: int, name: str, *, actor: str) -> None:
    """Another name. Answers of before keep the old one. Raises NotFoundError or InvalidInputError."""
    name = checked_name(name)
    with database.write() as session:
        row = _found(session, key_id)
        if row.name != name:
            before, row.name = row.name, name
            audit_log.record(session, actor, "key.rename", name, {"name": before}, {"name": name})


def set_inbox(database: Database, key_id: int, kept: bool, *, actor: str) -> None:
    """Whether photos of this key that are not recognized are kept in the inbox. Raises NotFoundError."""
    with database.write() as session:
        row = _found(session, key_id)
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
        return _found(session, key_id)


def check_key(database: Database, key: str, uses: LastUses | None = None) -> ApiKey | None:
    """The key's row, or None when it is unknown or revoked. `uses`: notes that it was used."""
    with database.read() as session:
        row = session.scalar(select(ApiKey).where(ApiKey.sha256 == token_hash(key), ApiKey.revoked_at.is_(None)))
    if row and uses:
        uses.key(row.id)
    return row


def _found(session: Session, key_id: int) -> ApiKey:
    row = session.get(ApiKey, key_id) if 0 <= key_id <= MOST else None
    if row is None:
        raise NotFoundError(f"There is no key {key_id}.")
    return row
