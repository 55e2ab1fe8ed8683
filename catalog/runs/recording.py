"""Runs in SQL: asked for, told, stopped, ended, and removed when they are old."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import defer

from catalog.errors import ConflictError, NotFoundError
from catalog.normalization import plain
from catalog.runs.tasks import Task
from catalog.storage import Database, audit_log
from catalog.storage.tables import Run, now

Ended = Literal["done", "failed", "stopped"]
#: A run stays for so long after it was asked for; the last of each kind stays in any case.
KEPT = timedelta(days=90)
#: Processes that may end in the middle of a run: what has ended so many would end the next one, too.
ATTEMPTS = 3


def start(
    database: Database, kind: str, *, actor: str, options: Mapping[str, Any] | None = None, night: str | None = None
) -> uuid.UUID:
    """Ask for a run of a kind (see kinds.py). Raises ConflictError while one is not over, or that night had its own."""
    run = Run(id=uuid.uuid4(), kind=kind, actor=actor[:100], options=dict(options or {}), night=night)
    try:
        with database.write() as session:
            session.add(run)
            session.flush()
            if night is None:
                audit_log.record(session, actor, "run.start", kind, None, run.options or None)
            return run.id
    except IntegrityError as error:
        raise ConflictError("It was asked for already, and is not over: look how far it is.") from error


def stop(database: Database, run_id: uuid.UUID, *, actor: str) -> None:
    """End a run: at once if nobody is at it yet, else within seconds. What it did stays. Raises NotFoundError."""
    with database.write() as session:
        run = session.get(Run, run_id, with_for_update=True)
        if run is None:
            raise _no_run()
        if run.ended_at is not None:
            return
        run.stop = True
        if run.state == "waiting":
            _end(run, "stopped", "It was stopped before it had begun.")
        audit_log.record(session, actor, "run.stop", run.kind)


def get(database: Database, run_id: uuid.UUID) -> Run:
    """A run. Raises NotFoundError."""
    with database.read() as session:
        run = session.get(Run, run_id)
    if run is None:
        raise _no_run()
    return run


def latest(database: Database, kind: str, *, over: bool = False) -> Run | None:
    """The last run of a kind, or the last that is over; None before the first."""
    query = select(Run).where(Run.kind == kind).order_by(Run.created_at.desc(), Run.id).limit(1)
    with database.read() as session:
        return session.scalar(query.where(Run.ended_at.is_not(None)) if over else query)


def list_runs(database: Database, *, start: int = 0, limit: int = 50) -> list[Run]:
    """Those that are not over, then the others, the newest first: from the `start`-th on; without their results."""
    query = (
        select(Run)
        .options(defer(Run.result, raiseload=True))
        .order_by(Run.ended_at.is_not(None), Run.created_at.desc(), Run.id)
    )
    with database.read() as session:
        return list(session.scalars(query.offset(start).limit(limit)))


def list_open(database: Database) -> Sequence[Run]:
    """Runs that are not over, the oldest first."""
    with database.read() as session:
        return session.scalars(select(Run).where(Run.ended_at.is_(None)).order_by(Run.created_at)).all()


def take(database: Database, run_id: uuid.UUID) -> Task | None:
    """Be the one that works at a run, under the lock of its kind: whoever had it before is gone.

    None if it is over; it is, if it was stopped, or too many processes ended while they were at it.
    """
    with database.write() as session:
        run = session.get(Run, run_id, with_for_update=True)
        if run is None or run.ended_at is not None:
            return None
        if run.stop:
            _end(run, "stopped", "It was stopped.")
            return None
        if run.attempts >= ATTEMPTS:
            _end(run, "failed", f"{ATTEMPTS} processes that were at it ended before it was through.")
            return None
        return _held(run, database)


def take_as_command(
    database: Database, kind: str, *, actor: str, options: Mapping[str, Any], needed: bool = False
) -> Task | None:
    """A run of this process alone, a command's, under the lock of its kind: another that was not over is ended.

    None, and nothing is done, where that one was asked to do more than `options` say, unless the command is `needed`.
    """
    with database.write() as session:
        for left in session.scalars(select(Run).where(Run.kind == kind, Run.ended_at.is_(None)).with_for_update()):
            more = any(asked and options.get(name) != asked for name, asked in left.options.items())
            if more and not (needed or left.by_command or left.stop):
                return None
            _end(left, "stopped", "A command took its place.")
        session.flush()
        run = Run(id=uuid.uuid4(), kind=kind, actor=actor[:100], options=dict(options), by_command=True)
        session.add(run)
        return _held(run, database)


def give_back(database: Database, holder: uuid.UUID) -> None:
    """The server stops: the next process goes on with what `holder` is at."""
    mine = (Run.holder == holder) & Run.ended_at.is_(None)
    with database.write() as session:
        session.execute(update(Run).where(mine).values(state="waiting", holder=None, attempts=0))


def end(task: Task, state: Ended, message: str, result: Mapping[str, Any] | None = None) -> bool:
    """Keep how the run ended; returns whether it was still the task's."""
    with task.database.write() as session:
        run = session.get(Run, task.id, with_for_update=True)
        if run is None or run.holder != task.holder or run.ended_at is not None:
            return False
        if state == "done" and run.total:
            run.done = run.total
        run.result = dict(result or {})
        _end(run, state, message)
        return True


def end_left(database: Database, run_id: uuid.UUID, state: Ended, message: str) -> None:
    """End a run that nobody is at, under the lock of its kind."""
    with database.write() as session:
        run = session.get(Run, run_id, with_for_update=True)
        if run is not None and run.ended_at is None:
            _end(run, state, message)


def note(database: Database, run_id: uuid.UUID, message: str) -> None:
    """Say why a run waits."""
    waits = (Run.id == run_id) & (Run.state == "waiting") & (Run.message != message)
    with database.write() as session:
        session.execute(update(Run).where(waits).values(message=_plain(message)))


def trim(database: Database) -> None:
    """Remove runs that are older than KEPT, but for the last of each kind."""
    last = select(func.max(Run.created_at)).group_by(Run.kind)
    with database.write() as session:
        kept = list(session.scalars(last))
        old = (Run.created_at < now() - KEPT) & Run.ended_at.is_not(None) & Run.created_at.not_in(kept)
        session.execute(delete(Run).where(old))


def _held(run: Run, database: Database) -> Task:
    run.state, run.holder, run.message = "running", uuid.uuid4(), ""
    run.attempts = (run.attempts or 0) + 1
    run.started_at = run.started_at or now()
    return Task(run.id, run.actor, dict(run.options), database, run.holder)


def _end(run: Run, state: Ended, message: str) -> None:
    run.state, run.ended_at, run.holder, run.message = state, now(), None, _plain(message)


def _plain(text: str) -> str:
    """A message as every database can have it."""
    return "".join(character if plain(character) else "\ufffd" for character in text)


def _no_run() -> NotFoundError:
    return NotFoundError("There is no such run, or it was long ago.")
