"""Links that are good for one use: whoever opens one sets the password of the person whom it names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from catalog.accounts import forms
from catalog.accounts.passwords import NO_PASSWORD, hashed, new_token, token_hash
from catalog.accounts.people import end_all, found, new_person
from catalog.errors import ConflictError, LinkGoneError
from catalog.storage import Database, audit_log
from catalog.storage.tables import Invitation, User, now

#: A link is good for so long.
INVITED_FOR = timedelta(days=7)


@dataclass(frozen=True)
class NewLink:
    """The token of a new link, of which only a hash is stored."""

    name: str
    token: str


def invite(database: Database, name: str, role: str, *, actor: str, form: forms.Form | None = None) -> NewLink:
    """Add somebody who chooses a password by the link. `form`: see forms.py.

    Raises InvalidInputError for the name or role, ConflictError for a name that is taken, or FormSentError.
    """
    with database.write() as session:
        token = new_token()
        if form:  # first: the same form sent again is not a name that is taken
            forms.keep(session, form, name.strip()[:100], token)
        user = new_person(session, name, role, NO_PASSWORD)
        return _linked(session, user, token, actor, "user.invite")


def new_link(database: Database, who: int | str, *, actor: str, form: forms.Form | None = None) -> NewLink:
    """A new link for somebody who lost the first one or the password; the password and sessions of now stay until then.

    Raises NotFoundError, ConflictError for somebody who is switched off, or FormSentError.
    """
    with database.write() as session:
        user = found(session, who)
        if not user.active:
            raise ConflictError(f"{user.name} is switched off: switch {user.name} on first.")
        token = new_token()
        if form:
            forms.keep(session, form, user.name, token)
        return _linked(session, user, token, actor, "user.link")


def invited(database: Database, token: str) -> User:
    """Whom a link is for. Raises LinkGoneError for one that was used, replaced or taken back, or is too old."""
    with database.read() as session:
        return _of(session, token)


def accept(database: Database, token: str, password: str) -> User:
    """Set the password of the person whom the link is for, and end its other sessions; the link is then of no use.

    Ask `invited` first: no password need be hashed for a link that is none.

    Raises LinkGoneError, or InvalidInputError for the password.
    """
    password_hash = hashed(password)
    with database.write() as session:
        user = found(session, _of(session, token).id)
        _of(session, token)  # once more, now that nobody else can use it
        user.password_hash = password_hash
        end_all(session, user)
        audit_log.record(session, user.name, "user.accept", user.name)
        session.flush()
        session.refresh(user)
        session.expunge(user)
    return user


def _linked(session: Session, user: User, token: str, actor: str, action: str) -> NewLink:
    session.execute(delete(Invitation).where(Invitation.user_id == user.id))
    session.add(Invitation(user_id=user.id, sha256=token_hash(token)))
    audit_log.record(session, actor, action, user.name, after={"role": user.role})
    return NewLink(user.name, token)


def _of(session: Session, token: str) -> User:
    fresh = (Invitation.sha256 == token_hash(token), Invitation.created_at > now() - INVITED_FOR, User.active)
    user = session.scalar(select(User).join(Invitation).where(*fresh))
    if user is None:
        raise LinkGoneError("This link was used already or is too old: ask an admin for a new one.")
    return user
