"""Sessions of the staff: each is a row, so that it ends at once and in every process when the row is gone."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, not_, select
from sqlalchemy.orm import Session

from catalog.accounts.passwords import MAX_PASSWORD, NO_PASSWORD, hashed, is_right, new_token, token_hash
from catalog.accounts.people import end_all
from catalog.config import SessionLimits
from catalog.errors import InvalidInputError, NotFoundError
from catalog.storage import Database, LastUses, audit_log
from catalog.storage.tables import AuditEntry, SignIn, User, now

#: Failed sign-ins in the audit log, at most, in one minute of all: it is no place to be flooded.
FAILURES, MINUTE = 10, timedelta(minutes=1)
_FAILED = "user.sign_in_failed"
#: When sessions end by themselves, where no setting says so.
USUAL = SessionLimits()


def sign_in(
    database: Database, name: str, password: str, *, address: str = "", limits: SessionLimits = USUAL
) -> tuple[User, str] | None:
    """The user and the token of a new session; None, and an entry in the audit log, when name or password is wrong."""
    user = check_password(database, name, password)
    token = start_session(database, user, address=address, limits=limits) if user else None
    if user is None or token is None:
        _log_failure(database, name, address)
        return None
    return user, token


def check_password(database: Database, name: str, password: str) -> User | None:
    """The user, or None when name or password is wrong or the user was switched off."""
    if not name.isprintable() or len(password) > MAX_PASSWORD:
        return None
    with database.read() as session:
        user = session.scalar(select(User).where(User.name == name.strip()))
    right = is_right(user.password_hash if user else NO_PASSWORD, password)
    return user if user and user.active and right else None


def start_session(database: Database, user: User, *, address: str = "", limits: SessionLimits = USUAL) -> str | None:
    """The token of a new session for a user who has just proved the password; None if that is no longer the password,
    or the user was switched off meanwhile.
    """
    token, at = new_token(), now()
    with database.write() as session:
        # Locked, so that a new password at the same moment ends this session, or keeps it from starting.
        fresh = session.scalar(select(User).where(User.id == user.id).with_for_update())
        if fresh is None or not fresh.active or fresh.password_hash != user.password_hash:
            return None
        session.execute(delete(SignIn).where(not_(_lives(limits, at))))
        session.add(SignIn(sha256=token_hash(token), user_id=user.id, created_at=at, seen_at=at))
        fresh.last_sign_in_at = at
        audit_log.record(session, fresh.name, "user.sign_in", fresh.name, after={"address": address})
    return token


def session_user(
    database: Database, token: str, *, limits: SessionLimits = USUAL, uses: LastUses | None = None
) -> User | None:
    """The user of a session, or None when it has ended or the user was switched off. `uses`: notes that it was used."""
    sha256 = token_hash(token)
    lives = _lives(limits, now())
    with database.read() as session:
        user = session.scalar(select(User).join(SignIn).where(SignIn.sha256 == sha256, lives, User.active))
    if user and uses:
        uses.session(sha256)
    return user


def end_session(database: Database, token: str) -> None:
    """End a session: its token is worthless from now on, wherever it was copied to."""
    sha256 = token_hash(token)
    with database.write() as session:
        name = session.scalar(select(User.name).join(SignIn).where(SignIn.sha256 == sha256))
        session.execute(delete(SignIn).where(SignIn.sha256 == sha256))
        if name is not None:
            audit_log.record(session, name, "user.sign_out", name)


def change_password(database: Database, token: str, present: str, new: str) -> None:
    """Change one's own password; other sessions and links end, this one stays.

    Raises InvalidInputError for a wrong `present` or a `new` one that can't be, NotFoundError without a session.
    """
    user = session_user(database, token)
    if user is None:
        raise NotFoundError("The session has ended: sign in again.")
    if len(present) > MAX_PASSWORD or not is_right(user.password_hash, present):
        raise InvalidInputError("present", "That is not your present password.")
    password_hash = hashed(new)
    with database.write() as session:
        fresh = session.scalar(select(User).where(User.id == user.id).with_for_update())
        if fresh is None or fresh.password_hash != user.password_hash:
            raise InvalidInputError("present", "That is not your present password.")
        fresh.password_hash = password_hash
        end_all(session, fresh, but=token_hash(token))
        audit_log.record(session, fresh.name, "user.password", fresh.name)


def _lives(limits: SessionLimits, at: datetime) -> ColumnElement[bool]:
    """Whether a session is neither too old nor unused for too long."""
    seen = func.coalesce(SignIn.seen_at, SignIn.created_at)
    return and_(SignIn.created_at > at - limits.longest, seen > at - limits.idle)


def _log_failure(database: Database, name: str, address: str) -> None:
    """A name that nobody has is not logged: it may be a password that went into the wrong field."""
    with database.write() as session:
        if _failures(session) >= FAILURES:
            return
        known = session.scalar(select(User.name).where(User.name == name.strip())) if name.isprintable() else None
        audit_log.record(session, known or "somebody", _FAILED, known or "", after={"address": address})


def _failures(session: Session) -> int:
    recent = (AuditEntry.action == _FAILED, AuditEntry.at > now() - MINUTE)
    return session.scalar(select(func.count()).select_from(AuditEntry).where(*recent)) or 0
