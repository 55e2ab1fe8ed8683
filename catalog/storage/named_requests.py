"""Requests that name themselves: a repeated one finds what was done, and does it no second time.

The name of a request is stored in the transaction of its change, by the entry in the audit log that every change has,
or by `tell`: so the row is there exactly if the change is, whatever moment a process is killed at, and of two attempts
at once, in one process or in two, the second one's transaction finds the row and is rolled back. No lock and no lease
is needed, and none is left behind. The answer is added afterwards (`finish`); where that was not reached, `told` says
what was done, and the repeated request is answered from it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from catalog.errors import RequestBusyError, RequestMismatchError
from catalog.storage.database import Database
from catalog.storage.tables import NamedRequest, now

#: How long a request can be repeated.
KEPT = timedelta(hours=24)
#: Rows deleted in one transaction.
CHUNK = 500
#: In a session's `info`: the attempt whose row the transaction has written.
_NOTED = "named_request"


@dataclass(frozen=True)
class Named:
    """A request of an API key under its name; `fingerprint`: a hash of what it asks (SHA-256), `attempt`: this try."""

    key_id: int
    name: str
    fingerprint: str
    attempt: uuid.UUID = field(default_factory=uuid.uuid4)


@dataclass(frozen=True)
class Answer:
    """What a request was answered."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Known:
    """What is known of a request that has done its work in the try `attempt`: what it did, and its answer (or None)."""

    attempt: uuid.UUID
    told: Mapping[str, Any]
    answer: Answer | None


_CURRENT: ContextVar[Named | None] = ContextVar("named_request", default=None)


@contextmanager
def under_way(request: Named) -> Iterator[None]:
    """The changes of this thread until the block ends are made for this request."""
    token = _CURRENT.set(request)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def note(session: Session) -> None:
    """Write the row of the request under way, if there is one, in the transaction of its change.

    Raises RequestBusyError when another attempt has made the change meanwhile: the transaction is to be rolled back.
    """
    request = _CURRENT.get()
    if request is None or session.info.get(_NOTED) == request.attempt:
        return
    if not _insert(session, request):
        raise RequestBusyError("This request was sent twice at once, and the other one has just been done.")
    session.info[_NOTED] = request.attempt


def tell(session: Session, told: Mapping[str, Any]) -> None:
    """Store what the change did, for an answer after a crash. Nothing unless a request is under way."""
    request = _CURRENT.get()
    if request is not None:
        note(session)
        session.connection().execute(update(NamedRequest).where(*_mine(request)).values(told=dict(told)))


def find(database: Database, request: Named) -> Known | None:
    """What is known of the request; None: it has changed nothing yet.

    Raises RequestMismatchError when another request had this name; after KEPT no name is known any more.
    """
    with database.read() as session:
        row = session.scalar(select(NamedRequest).where(*_mine(request)))
        if row is None:
            return None
        if row.at >= now() - KEPT:
            return _known(row, request)
    with database.write() as session:
        session.execute(delete(NamedRequest).where(*_mine(request), NamedRequest.at < now() - KEPT))
    return None


def finish(database: Database, request: Named, answer: Answer) -> Known:
    """Store the answer, unless there is one already; returns what is stored, which is what to answer.

    Raises RequestMismatchError when another request took the name meanwhile.
    """
    with database.write() as session:
        _insert(session, request)  # where nothing had to be changed
        row = session.scalars(select(NamedRequest).where(*_mine(request)).with_for_update()).one()
        if row.attempt == request.attempt and row.status is None:
            row.status, row.headers, row.body = answer.status, dict(answer.headers), answer.body
        return _known(row, request)


def trim(database: Database) -> int:
    """Delete up to 500 requests that are older than KEPT; returns how many. Raises DatabaseUnavailableError."""
    with database.write() as session:
        old = select(NamedRequest.key_id, NamedRequest.name).where(NamedRequest.at < now() - KEPT).limit(CHUNK)
        rows = session.execute(old).all()
        for key_id, name in rows:
            session.execute(delete(NamedRequest).where(NamedRequest.key_id == key_id, NamedRequest.name == name))
        return len(rows)


def _insert(session: Session, request: Named) -> bool:
    """Whether the row was not there. On PostgreSQL this waits for another attempt's transaction."""
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    values = {"key_id": request.key_id, "name": request.name, "attempt": request.attempt}
    row = make(NamedRequest).values(**values, fingerprint=request.fingerprint, at=now())
    written = row.on_conflict_do_nothing().returning(NamedRequest.name)
    return session.connection().scalar(written) is not None


def _mine(request: Named) -> tuple[Any, ...]:
    return NamedRequest.key_id == request.key_id, NamedRequest.name == request.name


def _known(row: NamedRequest, request: Named) -> Known:
    if row.fingerprint != request.fingerprint:
        raise RequestMismatchError("This name (Idempotency-Key) was used for another request: take a new one.")
    answer = None if row.status is None else Answer(row.status, row.headers or {}, row.body or "")
    return Known(row.attempt, row.told or {}, answer)
