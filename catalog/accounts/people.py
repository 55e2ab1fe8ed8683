"""The staff: who may sign in, and as what."""

from __future__ import annotations

from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.accounts.passwords import NO_PASSWORD, hashed
from catalog.accounts.roles import ADMIN, checked_role
from catalog.errors import ConflictError, InvalidInputError, LastAdminError, NotFoundError
from catalog.normalization import MOST
from catalog.storage import Database, audit_log
from catalog.storage.tables import Invitation, SignIn, User


def add_user(database: Database, name: str, password: str, *, actor: str, role: str = ADMIN) -> None:
    """Raises InvalidInputError for an empty name, a short password or no role, ConflictError for a taken name."""
    password_hash = hashed(password)
    with database.write() as session:
        new_person(session, name, role, password_hash)
        audit_log.record(session, actor, "user.add", name.strip(), after={"role": role})


def first_admin(database: Database, name: str, password: str) -> User:
    """Make the first member of the staff, an admin. Raises ConflictError where there is one, else as `add_user`."""
    password_hash = hashed(password)
    with database.write() as session:
        if not database.is_sqlite:  # which has one writer anyway
            session.execute(text("LOCK TABLE staff IN SHARE ROW EXCLUSIVE MODE"))
        if session.scalar(select(func.count()).select_from(User)):
            raise ConflictError("The first account was made already: sign in, or ask an admin for an invitation.")
        user = new_person(session, name, ADMIN, password_hash)
        audit_log.record(session, "first start", "user.add", name.strip(), after={"role": ADMIN})
        session.flush()
        session.expunge(user)
    return user


def has_staff(database: Database) -> bool:
    """Whether anybody may sign in, or could."""
    with database.read() as session:
        return session.scalar(select(User.id).limit(1)) is not None


def list_people(database: Database) -> list[User]:
    """All of the staff by name, those who are switched off last."""
    with database.read() as session:
        return list(session.scalars(select(User).order_by(User.active.desc(), func.lower(User.name), User.id)))


def get_person(database: Database, who: int | str) -> User:
    """By number or by name. Raises NotFoundError."""
    with database.read() as session:
        return found(session, who, lock=False)


def set_password(database: Database, name: str, password: str, *, actor: str) -> None:
    """Set a new password; the user's sessions and links end. Raises NotFoundError or InvalidInputError."""
    password_hash = hashed(password)
    with database.write() as session:
        user = found(session, name)
        user.password_hash = password_hash
        end_all(session, user)
        audit_log.record(session, actor, "user.password", user.name)


def set_active(database: Database, who: int | str, active: bool, *, actor: str) -> None:
    """Switch somebody off, which ends all sessions and links, or on again.

    Raises NotFoundError, or LastAdminError for the last admin.
    """
    with database.write() as session:
        admins = _admins(session)
        user = found(session, who)
        if not active:
            _check_not_last(user, admins)
        user.active = active
        end_all(session, user)
        audit_log.record(session, actor, "user.enable" if active else "user.disable", user.name)


def set_role(database: Database, who: int | str, role: str, *, actor: str) -> None:
    """Another role, effective with the next request.

    Raises NotFoundError, InvalidInputError for what is no role, or LastAdminError for the last admin.
    """
    role = checked_role(role)
    with database.write() as session:
        admins = _admins(session)
        user = found(session, who)
        if user.role == role:
            return
        if role != ADMIN:
            _check_not_last(user, admins)
        before, user.role = user.role, role
        audit_log.record(session, actor, "user.role", user.name, {"role": before}, {"role": role})


def new_person(session: Session, name: str, role: str, password_hash: str) -> User:
    """Insert a member of the staff. Raises InvalidInputError or ConflictError."""
    user = User(name=checked_name(name), role=checked_role(role), password_hash=password_hash)
    session.add(user)
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError(f"There is a user {user.name!r} already.") from error
    return user


def end_all(session: Session, user: User, *, but: str = "") -> None:
    """End all sessions of somebody, except the one of this hash, and the link that sets the password."""
    session.execute(delete(SignIn).where(SignIn.user_id == user.id, SignIn.sha256 != but))
    session.execute(delete(Invitation).where(Invitation.user_id == user.id))


def found(session: Session, who: int | str, *, lock: bool = True) -> User:
    """By number or by name; `lock`: until the transaction ends. Raises NotFoundError."""
    if isinstance(who, int):
        able, same = 0 <= who <= MOST, User.id == who
    else:
        able, same = who.isprintable(), User.name == who.strip()
    query = select(User).where(same)
    user = session.scalar(query.with_for_update() if lock else query) if able else None
    if user is None:
        raise NotFoundError(f"There is no user {who!r}.")
    return user


def checked_name(name: str) -> str:
    """The name of a person or a key as it is stored. Raises InvalidInputError."""
    name = name.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise InvalidInputError("name", "A name has 1 to 100 characters, and none that can't be shown.")
    return name


def _admins(session: Session) -> list[int]:
    """Who may manage people, by number: all of them locked, so that no two of them are switched off at one moment.

    Somebody who was invited and never came can't. Locked in this order and before anybody else, by all who do so.
    """
    able = (User.role == ADMIN, User.active, User.password_hash != NO_PASSWORD)
    return list(session.scalars(select(User.id).where(*able).order_by(User.id).with_for_update()))


def _check_not_last(user: User, admins: list[int]) -> None:
    if admins == [user.id]:
        raise LastAdminError(f"{user.name} is the only admin: make somebody else an admin first.")
