"""Accounts: staff who sign in, and the API keys of tills."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from catalog.errors import ConflictError, InvalidInputError, NotFoundError
from catalog.storage import Database, audit_log
from catalog.storage.tables import ApiKey, User, now

#: Characters. The upper bound keeps a request from making the server hash megabytes.
MIN_PASSWORD, MAX_PASSWORD = 10, 1000
_hasher = PasswordHasher()


@cache
def _dummy() -> str:
    """Hash of a random password, verified when the name is unknown, so that both cases take the same time."""
    return _hasher.hash(secrets.token_hex(16))


def add_user(database: Database, name: str, password: str, *, actor: str) -> None:
    """Raises InvalidInputError for an empty name or a short password, ConflictError for a name that is taken."""
    name = _checked_name(name)
    password_hash = _hashed(password)
    try:
        with database.write() as session:
            session.add(User(name=name, password_hash=password_hash))
            audit_log.record(session, actor, "user.add", name)
    except IntegrityError as error:
        raise ConflictError(f"There is a user {name!r} already.") from error


def set_password(database: Database, name: str, password: str, *, actor: str) -> None:
    """Raises NotFoundError, or InvalidInputError for a short password."""
    password_hash = _hashed(password)
    with database.write() as session:
        user = session.scalar(select(User).where(User.name == name.strip())) if name.isprintable() else None
        if user is None:
            raise NotFoundError(f"There is no user {name!r}.")
        user.password_hash = password_hash
        audit_log.record(session, actor, "user.password", user.name)


def first_user(database: Database) -> tuple[str, str] | None:
    """On a catalog without users, make `admin` with a random password and return both; else None."""
    with database.read() as session:
        if session.scalar(select(func.count()).select_from(User)):
            return None
    password = secrets.token_urlsafe(12)
    try:
        add_user(database, "admin", password, actor="first start")
    except ConflictError:  # another process started at the same moment
        return None
    return "admin", password


def check_password(database: Database, name: str, password: str) -> User | None:
    """The user, or None when name or password is wrong or the user was switched off."""
    if not name.isprintable() or len(password) > MAX_PASSWORD:
        return None
    with database.read() as session:
        user = session.scalar(select(User).where(User.name == name.strip()))
    dummy = _dummy()  # computed at the first sign-in, whether the name is known or not
    try:
        _hasher.verify(user.password_hash if user else dummy, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return None
    return user if user and user.active else None


def find_user(database: Database, user_id: int) -> User | None:
    """An active user by id."""
    with database.read() as session:
        user = session.get(User, user_id)
        return user if user and user.active else None


@dataclass(frozen=True)
class NewKey:
    """A new API key: `key` is shown this once, only its hash is stored."""

    id: int
    name: str
    key: str


def add_key(database: Database, name: str, *, actor: str) -> NewKey:
    """Create an API key for a till. Raises InvalidInputError for an invalid name."""
    name = _checked_name(name)
    # 256 random bits: an unsalted SHA-256 is safe to store, and fast enough to check at each request.
    key = "pc_" + secrets.token_urlsafe(32)
    with database.write() as session:
        row = ApiKey(name=name, prefix=key[:9], sha256=_hash(key))
        session.add(row)
        session.flush()
        audit_log.record(session, actor, "key.add", name, after={"prefix": row.prefix})
        return NewKey(row.id, name, key)


def revoke_key(database: Database, key_id: int, *, actor: str) -> None:
    """Revoke an API key, effective at once. Raises NotFoundError."""
    with database.write() as session:
        row = session.get(ApiKey, key_id)
        if row is None:
            raise NotFoundError(f"There is no key {key_id}.")
        row.revoked_at = row.revoked_at or now()
        audit_log.record(session, actor, "key.revoke", row.name, before={"prefix": row.prefix})


def list_keys(database: Database) -> list[ApiKey]:
    """All keys, the newest first."""
    with database.read() as session:
        return list(session.scalars(select(ApiKey).order_by(ApiKey.id.desc())))


def check_key(database: Database, key: str) -> ApiKey | None:
    """The key's row, or None when it is unknown or revoked."""
    with database.read() as session:
        return session.scalar(select(ApiKey).where(ApiKey.sha256 == _hash(key), ApiKey.revoked_at.is_(None)))


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise InvalidInputError("name", "A name has 1 to 100 characters, and none that can't be shown.")
    return name


def _hashed(password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidInputError("password", f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters.")
    try:
        return _hasher.hash(password)
    except UnicodeEncodeError as error:
        raise InvalidInputError("password", "The password holds half a character.") from error
