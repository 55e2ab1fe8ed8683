"""Imports of the pages: what was uploaded, its preview, and how far each is. The worker does the work."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import IO

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, undefer

from catalog.catalog import Catalog
from catalog.errors import ConflictError, InvalidInputError, NotFoundError
from catalog.normalization import plain
from catalog.storage import Database, audit_log
from catalog.storage.tables import ImportJob, ImportLine, now
from catalog.transfer import product_csv, uploads

#: States in which the worker is at it, or will be; and those in which nothing more happens.
WORKING, OVER = ("checking", "waiting", "running"), ("done", "cancelled", "failed")
#: Imports that are not over, at most: each may hold gigabytes.
OPEN = 20
#: Files stay for a day after an import is over, and for a week when nobody goes on with it; its row for 90 days.
KEPT_OVER, KEPT_IDLE, KEPT_ROW = timedelta(days=1), timedelta(days=7), timedelta(days=90)


@dataclass(frozen=True)
class Piece:
    """Bytes of an uploaded file: its path in the import, and where in the file they begin."""

    path: str
    offset: int
    data: IO[bytes]


@dataclass(frozen=True)
class Columns:
    """The headers of a list, and for each column the header that is read for it unless another is chosen."""

    headers: list[str]
    chosen: dict[str, str]


@dataclass(frozen=True)
class Preview:
    """Lines of a page of the preview, and how many there are of each state."""

    lines: list[ImportLine]
    counts: dict[str, int]


def start(catalog: Catalog, name: str, *, actor: str) -> uuid.UUID:
    """A new import, whose files come next. Raises ConflictError when too many are open."""
    job = ImportJob(id=uuid.uuid4(), actor=actor[:100], name=shown(name)[:200])
    with catalog.database.write() as session:
        if (session.scalar(select(func.count()).where(ImportJob.state.not_in(OVER))) or 0) >= OPEN:
            raise ConflictError(f"{OPEN} imports are open: end or discard one of them first.")
        session.add(job)
        return job.id


def add_files(catalog: Catalog, job_id: uuid.UUID, pieces: Iterable[Piece]) -> None:
    """Store uploaded bytes, on disk when this returns.

    Raises NotFoundError, ConflictError, InvalidInputError or StorageError.
    """
    job = get(catalog.database, job_id)
    root = uploads.files_folder(catalog.settings, job_id)
    size, files, room = job.size, job.files, uploads.free_bytes(catalog.settings)
    for piece in pieces:
        _in_state(job, "uploading")
        written, is_new = uploads.write_piece(root, piece.path, piece.offset, piece.data)
        size, files, room = size + written, files + is_new, room - written
        if size > uploads.MAX_BYTES or files > uploads.MAX_FILES or room < 0:
            most = f"{uploads.MAX_BYTES >> 30} GB and {uploads.MAX_FILES:,} files"
            raise InvalidInputError("files", f"An import has at most {most}, and no more than the disk has room for.")
    counted = {"size": size, "files": files}
    with catalog.database.write() as session:
        session.execute(update(ImportJob).where(ImportJob.id == job_id).values(counted))


def complete(catalog: Catalog, job_id: uuid.UUID) -> None:
    """All files are there: a list waits for its columns to be chosen, all else is checked.

    Raises InvalidInputError for files that can't be imported.
    """
    headers = uploads.list_headers(uploads.files_folder(catalog.settings, job_id))
    with catalog.database.write() as session:
        job = _locked(session, job_id)
        _in_state(job, "uploading")
        job.listed = headers is not None
        job.state = "columns" if job.listed else "checking"


def columns(catalog: Catalog, job: ImportJob) -> Columns:
    """The columns of its list. Raises InvalidInputError."""
    headers = uploads.list_headers(uploads.files_folder(catalog.settings, job.id)) or []
    return Columns(headers, {**product_csv.guess_columns(headers), **job.mapping})


def choose_columns(catalog: Catalog, job_id: uuid.UUID, mapping: Mapping[str, str]) -> None:
    """Read these columns (column -> header, "" for none), and check all lines.

    Raises InvalidInputError for a header that the list does not have, or one that is chosen twice.
    """
    job = get(catalog.database, job_id)
    _in_state(job, "columns", "checked", "failed")
    headers = uploads.list_headers(uploads.files_folder(catalog.settings, job_id)) or []
    if not mapping.get("sku"):
        raise InvalidInputError("sku", "Choose the column with the SKUs.")
    chosen = [header for header in mapping.values() if header]
    for header in chosen:
        if header not in headers:
            raise InvalidInputError("columns", f"The list has no column {header!r}.")
        if chosen.count(header) > 1:
            raise InvalidInputError("columns", f"The column {header!r} is chosen twice.")
    with catalog.database.write() as session:
        job = _locked(session, job_id)
        _in_state(job, "columns", "checked", "failed")
        job.mapping = dict(mapping)
        _queue(job, "checking")


def run(database: Database, job_id: uuid.UUID, *, update_facts: bool, actor: str) -> None:
    """Import what was checked. Raises NotFoundError or ConflictError."""
    with database.write() as session:
        job = _locked(session, job_id)
        _in_state(job, "checked")
        job.update_facts, job.actor = update_facts, actor[:100]
        _queue(job, "waiting")
        what = {"name": job.name, "files": job.files, "update": update_facts}
        audit_log.record(session, actor, "import.run", str(job.id), None, what)


def again(database: Database, job_id: uuid.UUID) -> None:
    """Go on with an import that failed or was cancelled, as long as its files are there. Raises ConflictError."""
    with database.write() as session:
        job = _locked(session, job_id)
        _in_state(job, "failed", "cancelled")
        if not job.counts.get("lines"):
            raise ConflictError("It was not checked to its end: upload it again.")
        _queue(job, "waiting")


def cancel(database: Database, job_id: uuid.UUID) -> None:
    """End an import: at once, or after the product that is being added. What was added stays. Raises NotFoundError."""
    with database.write() as session:
        job = _locked(session, job_id)
        if job.state in ("checking", "running"):
            job.cancel = True
        elif job.state not in OVER:
            job.state, job.finished_at = "cancelled", now()


def get(database: Database, job_id: uuid.UUID) -> ImportJob:
    """An import. Raises NotFoundError."""
    with database.read() as session:
        job = session.scalar(select(ImportJob).options(undefer(ImportJob.errors)).where(ImportJob.id == job_id))
    if job is None:
        raise NotFoundError("There is no such import, or it was long ago.")
    return job


def latest(database: Database, limit: int = 20) -> list[ImportJob]:
    """The last imports, newest first."""
    with database.read() as session:
        return list(session.scalars(select(ImportJob).order_by(ImportJob.created_at.desc()).limit(limit)))


def preview_page(database: Database, job_id: uuid.UUID, only: str, start: int, limit: int) -> Preview:
    """Lines of a state ("" for all) from the `start`-th on."""
    mine = ImportLine.job_id == job_id
    with database.read() as session:
        counts = dict(
            session.execute(select(ImportLine.state, func.count()).where(mine).group_by(ImportLine.state)).all()
        )
        query = select(ImportLine).where(mine).order_by(ImportLine.number).offset(start).limit(limit)
        lines = list(session.scalars(query.where(ImportLine.state == only) if only else query))
    return Preview(lines, counts)


def errors_csv(database: Database, job: ImportJob) -> Iterator[bytes]:
    """What was left out of an import, or would be, as a CSV for a spreadsheet: line, SKU, error."""
    yield b"\xef\xbb\xbf" + product_csv.encode(("line", "sku", "error"))
    if job.state in OVER:
        yield from (product_csv.encode(("", "", error)) for error in job.errors)
        return
    query = select(ImportLine).where(ImportLine.job_id == job.id, ImportLine.state == "wrong")
    with database.read() as session:
        for line in session.scalars(query.order_by(ImportLine.number)):
            yield from (product_csv.encode((line.source, line.sku, error)) for error in line.errors)


def trim(catalog: Catalog) -> None:
    """Remove the files of imports that are over, or that nobody goes on with, and rows of long ago."""
    at = now()
    stored = uploads.stored(catalog.settings)  # first: an import's row is there before its files are
    with catalog.database.read() as session:
        idle = (ImportJob.created_at < at - KEPT_IDLE) & ImportJob.state.not_in(WORKING)
        over = ImportJob.finished_at < at - KEPT_OVER
        jobs = list(session.scalars(select(ImportJob.id).where(idle | over)))
        known = {str(job) for job in session.scalars(select(ImportJob.id))}
    for name in stored:
        if name not in known or uuid.UUID(name) in jobs:
            uploads.remove(catalog.settings, name)
    with catalog.database.write() as session:
        session.execute(delete(ImportLine).where(ImportLine.job_id.in_(jobs)))
        left = {
            "state": "cancelled",
            "finished_at": at,
            "message": "Nobody went on with it, and its files were removed.",
        }
        mine = ImportJob.id.in_(jobs)
        session.execute(update(ImportJob).where(mine, ImportJob.state.not_in(OVER)).values(left))
        session.execute(delete(ImportJob).where(ImportJob.created_at < at - KEPT_ROW, ImportJob.state.in_(OVER)))


def _locked(session: Session, job_id: uuid.UUID) -> ImportJob:
    job = session.get(ImportJob, job_id, with_for_update=True)
    if job is None:
        raise NotFoundError("There is no such import, or it was long ago.")
    return job


def _in_state(job: ImportJob, *states: str) -> None:
    if job.state not in states:
        raise ConflictError("The import has gone on meanwhile: look at its page again.")


def _queue(job: ImportJob, state: str) -> None:
    job.state, job.cancel, job.attempts, job.done, job.total, job.message = state, False, 0, 0, 0, ""
    job.finished_at = None


def shown(text: str) -> str:
    """A name or a message as every database can have it."""
    return "".join(character if plain(character) else "\ufffd" for character in text)
