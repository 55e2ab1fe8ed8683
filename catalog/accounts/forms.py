"""Forms that make a secret: what a form makes is made once, however often it is sent, and shown once, after a redirect.

The secret waits in the database, because the process that answers the redirect may be another one than that which made
it, and neither an address nor a session's cookie (signed, not encrypted) may hold it. It is stored combined with a
stream of bytes from the session's token, of which the database has only a hash: nobody can read it but the browser
that sent the form, not even from a copy of the database.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from catalog.accounts.passwords import token_hash
from catalog.errors import FormSentError, InvalidInputError
from catalog.storage import Database
from catalog.storage.tables import SentForm, SignIn, now

#: The secret waits so long for its reader.
READABLE = timedelta(minutes=5)


@dataclass(frozen=True)
class Form:
    """One form as it was shown: `token` is that of the reader's session, `id` is random."""

    token: str
    id: uuid.UUID


@dataclass(frozen=True)
class ReadOnce:
    """What a form has made: `secret` is the key or the link of `name`."""

    name: str
    secret: str


def keep(session: Session, form: Form, name: str, secret: str) -> None:
    """Keep the secret for one reading, in the transaction that makes it.

    Raises FormSentError, so that nothing else is made, where this form has made something already; InvalidInputError
    when the session has ended meanwhile.
    """
    session.execute(update(SentForm).where(SentForm.created_at < now() - READABLE).values(secret=None))
    sha256 = token_hash(form.token)
    # Locked: of two clicks the second one finds what the first has made.
    if session.get(SignIn, sha256, with_for_update=True) is None:
        raise InvalidInputError("form", "Your session has ended: sign in, and send it again.")
    if session.get(SentForm, (sha256, form.id)) is not None:
        raise FormSentError("This form was sent already.")
    session.add(SentForm(session=sha256, id=form.id, name=name, secret=_combined(form, secret.encode())))


def read_once(database: Database, form: Form) -> ReadOnce | None:
    """What the form has made, if it is read for the first time and soon; else None."""
    with database.write() as session:
        row = session.get(SentForm, (token_hash(form.token), form.id), with_for_update=True)
        if row is None or row.secret is None or row.created_at < now() - READABLE:
            return None
        secret, row.secret = row.secret, None
        return ReadOnce(row.name, _combined(form, secret).decode())


def _combined(form: Form, data: bytes) -> bytes:
    """The bytes XOR a stream that is used for this form alone; twice gives them back."""
    stream = hashlib.shake_256(f"{form.token} {form.id}".encode(errors="replace")).digest(len(data))
    return bytes(one ^ other for one, other in zip(data, stream, strict=True))
