"""Accounts: staff who sign in, and the API keys of tills."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.errors import ConflictError, InvalidInputError, NotFoundError
from catalog.normalization import MOST
from catalog.storage import Database, audit_log
from catalog.storage.tables import ApiKey, SignIn, User, now

#: Characters. The upper bound keeps a request from making the server hash megabytes.
MIN_PASSWORD, MAX_PASSWORD = 10, 1000
#: A session ends by itself after so long.
SESSION = timedelta(days=31)
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
    """Set a new password and end the user's sessions. Raises NotFoundError, or InvalidInputError for a short one."""
    password_hash = _hashed(password)
    with database.write() as session:
        user = _named(session, name)
        user.password_hash = password_hash
        session.execute(delete(SignIn).where(SignIn.user_id == user.id))
        audit_log.record(session, actor, "user.password", user.name)


def set_active(database: Database, name: str, active: bool, *, actor: str) -> None:
    """Switch a user off, which ends all sessions, or on again. Raises NotFoundError."""
    with database.write() as session:
        user = _named(session, name)
        user.active = active
        session.execute(delete(SignIn).where(SignIn.user_id == user.id))
        audit_log.record(session, actor, "user.enable" if active else "user.disable", user.name)


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


def start_session(database: Database, user: User) -> str | None:
    """The token of a new session for a user who has just proved the password; None if that is no longer the password,
    or the user was switched off meanwhile.
    """
    token = secrets.token_urlsafe(32)
    with database.write() as session:
        # Locked, so that a new password at the same moment ends this session, or keeps it from starting.
        fresh = session.scalar(select(User).where(User.id == user.id).with_for_update())
        if fresh is None or not fresh.active or fresh.password_hash != user.password_hash:
            return None
        session.execute(delete(SignIn).where(SignIn.created_at < now() - SESSION))
        session.add(SignIn(sha256=_hash(token), user_id=user.id))
    return token


def session_user(database: Database, token: str) -> User | None:
    """The user of a session, or None when it has ended or the user was switched off."""
    begun = select(User).join(SignIn).where(SignIn.sha256 == _hash(token), SignIn.created_at > now() - SESSION)
    with database.read() as session:
        return session.scalar(begun.where(User.active))


def end_session(database: Database, token: str) -> None:
    """End a session: its token is worthless from now on, wherever it was copied to."""
    with database.write() as session:
        session.execute(delete(SignIn).where(SignIn.sha256 == _hash(token)))


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
        row = session.get(ApiKey, key_id) if 0 <= key_id <= MOST else None
        if row is None:
            raise NotFoundError(f"There is no key {key_id}.")
        row.revoked_at = row.revoked_at or now()
        audit_log.record(session, actor, "key.revoke", row.name, before={"prefix": row.prefix})


def set_inbox(database: Database, key_id: int, kept: bool, *, actor: str) -> None:
    """Whether photos of this key that are not recognized are kept in the inbox. Raises NotFoundError."""
    with database.write() as session:
        row = session.get(ApiKey, key_id) if 0 <= key_id <= MOST else None
        if row is None:
            raise NotFoundError(f"There is no key {key_id}.")
        if row.inbox != kept:
            row.inbox = kept
            audit_log.record(session, actor, "key.inbox", row.name, {"inbox": not kept}, {"inbox": kept})


def list_keys(database: Database) -> list[ApiKey]:
    """All keys, the newest first."""
    with database.read() as session:
        return list(session.scalars(select(ApiKey).order_by(ApiKey.id.desc())))


def check_key(database: Database, key: str) -> ApiKey | None:
    """The key's row, or None when it is unknown or revoked."""
    with database.read() as session:
        return session.scalar(select(ApiKey).where(ApiKey.sha256 == _hash(key), ApiKey.revoked_at.is_(None)))


def _named(session: Session, name: str) -> User:
    user = None
    if name.isprintable():
        user = session.scalar(select(User).where(User.name == name.strip()).with_for_update())
    if user is None:
        raise NotFoundError(f"There is no user {name!r}.")
    return user


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
