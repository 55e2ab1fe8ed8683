"""Imports of the pages: what was uploaded, its preview, and how far each is. The worker does the work."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, undefer

from catalog.catalog import Catalog
from catalog.errors import CatalogError, ConflictError, InvalidInputError, NotFoundError
from catalog.normalization import plain
from catalog.storage import Database, audit_log, named_requests
from catalog.storage.tables import ImportJob, ImportLine, now
from catalog.transfer import product_csv, uploads

#: States in which the worker is at it, or will be; and those in which nothing more happens.
WORKING, OVER = ("checking", "waiting", "running"), ("done", "cancelled", "failed")
#: States in which it waits for a person.
IDLE = ("uploading", "columns", "checked")
#: Imports that are not over, at most: each may hold gigabytes.
OPEN = 20
#: Files stay for a day after an import is over, or for a week after it was started while nobody goes on with it; its
#: row stays for 90 days.
KEPT_OVER, KEPT_IDLE, KEPT_ROW = timedelta(days=1), timedelta(days=7), timedelta(days=90)


@dataclass(frozen=True)
class Piece:
    """Bytes of an uploaded file: its path in the import, and where in the file they begin."""

    path: str
    offset: int
    data: IO[bytes]

    @property
    def size(self) -> int:
        """Bytes from where they are read on."""
        at = self.data.tell()
        size = self.data.seek(0, os.SEEK_END) - at
        self.data.seek(at)
        return size


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


@dataclass(frozen=True)
class Mode:
    """How an import goes on by itself: `automatic`, it is run once it is checked; `update_facts`, as `run` has it;
    `mapping`: column -> header, as `choose_columns` has it.
    """

    automatic: bool = False
    update_facts: bool = False
    mapping: Mapping[str, str] = field(default_factory=dict)


def start(catalog: Catalog, name: str, mode: Mode = Mode(), *, actor: str) -> uuid.UUID:
    """A new import, whose files come next. Raises ConflictError when too many are open."""
    with catalog.database.write() as session:
        job = _new(session, name, mode, actor)
        _tell(session, job)
        return job.id


def _new(session: Session, name: str, mode: Mode, actor: str) -> ImportJob:
    job = ImportJob(id=uuid.uuid4(), actor=actor[:100], name=shown(name)[:200])
    job.automatic, job.update_facts, job.mapping = mode.automatic, mode.update_facts, dict(mode.mapping)
    if (session.scalar(select(func.count()).where(ImportJob.state.not_in(OVER))) or 0) >= OPEN:
        raise ConflictError(f"{OPEN} imports are open: end or discard one of them first.")
    session.add(job)
    return job


def _tell(session: Session, job: ImportJob) -> None:
    """With this transaction, what a request asked of an import is done: a repeated one finds it."""
    named_requests.tell(session, {"import": str(job.id)})


def upload(catalog: Catalog, name: str, pieces: Sequence[Piece], mode: Mode = Mode(), *, actor: str) -> uuid.UUID:
    """A new import of files that are all there; what is refused is discarded.

    Raises what `start`, `add_files` and `complete` do.
    """
    if not pieces:
        raise InvalidInputError("files", uploads.NONE)
    with catalog.database.write() as session:
        job_id = _new(session, name, mode, actor).id
    try:
        add_files(catalog, job_id, pieces)
        complete(catalog, job_id)
    except CatalogError:
        cancel(catalog, job_id)
        raise
    return job_id


def add_files(catalog: Catalog, job_id: uuid.UUID, pieces: Iterable[Piece]) -> None:
    """Store uploaded bytes, on disk when this returns. Nothing that is over the limits is written.

    Raises NotFoundError, ConflictError (also when it is cancelled meanwhile), InvalidInputError or StorageError.
    """
    _in_state(get(catalog.database, job_id), "uploading")
    with uploads.writing(catalog.settings, job_id) as root:
        grown = uploads.Growth()
        try:
            for piece in pieces:
                job = get(catalog.database, job_id)
                _in_state(job, "uploading")
                more = uploads.growth(root, piece.path, piece.offset, piece.size)
                _fit(catalog, job.size + grown.bytes + more.bytes, job.files + grown.files + more.files, more.bytes)
                uploads.write_piece(root, piece.path, piece.offset, piece.data, grown)
        finally:
            counted = {"size": ImportJob.size + grown.bytes, "files": ImportJob.files + grown.files}
            with catalog.database.write() as session:
                session.execute(update(ImportJob).where(ImportJob.id == job_id).values(counted))


def _fit(catalog: Catalog, size: int, files: int, more: int) -> None:
    """Refuse what is too much: in all, or `more` than the disk has room for. Raises InvalidInputError, StorageError."""
    if size > uploads.MAX_BYTES or files > uploads.MAX_FILES or more > uploads.free_bytes(catalog.settings):
        most = f"{uploads.MAX_BYTES >> 30} GB and {uploads.MAX_FILES:,} files"
        raise InvalidInputError("files", f"An import has at most {most}, and no more than the disk has room for.")


def complete(catalog: Catalog, job_id: uuid.UUID) -> None:
    """All files are there: a list waits for its columns to be chosen, all else is checked.

    Raises InvalidInputError for files that can't be imported, which are discarded.
    """
    _in_state(get(catalog.database, job_id), "uploading")
    with uploads.writing(catalog.settings, job_id) as root:
        try:
            headers = uploads.list_headers(root)
        except InvalidInputError as error:
            refused: InvalidInputError | None = error
        else:
            refused = None
            with catalog.database.write() as session:
                job = _locked(session, job_id)
                _in_state(job, "uploading")
                # As they are on the disk: a process may have been killed before it counted what it had written.
                job.size, job.files = uploads.measure(root)
                job.listed = headers is not None
                job.state = "columns" if job.listed else "checking"
                if not job.listed:
                    _tell(session, job)
    if refused is not None:
        cancel(catalog, job_id)
        raise refused


def columns(catalog: Catalog, job: ImportJob) -> Columns:
    """The columns of its list. Raises InvalidInputError."""
    headers = uploads.list_headers(uploads.files_folder(catalog.settings, job.id)) or []
    return Columns(headers, {**product_csv.guess_columns(headers), **job.mapping})


def choose_columns(catalog: Catalog, job_id: uuid.UUID, mapping: Mapping[str, str]) -> None:
    """Read these columns (column -> header, "" for none), and check all lines.

    Raises InvalidInputError for a header that the list does not have, or one that is chosen twice.
    """
    job = get(catalog.database, job_id)
    _can_be_checked(job)
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
        _can_be_checked(job)
        job.mapping, job.counts = dict(mapping), {}
        _queue(job, "checking")
        _tell(session, job)


def run(database: Database, job_id: uuid.UUID, *, update_facts: bool, actor: str) -> None:
    """Import what was checked. Raises NotFoundError or ConflictError."""
    with database.write() as session:
        job = _locked(session, job_id)
        _in_state(job, "checked")
        job.update_facts, job.actor = update_facts, actor[:100]
        queue_run(session, job)


def queue_run(session: Session, job: ImportJob) -> None:
    """Have a locked import run next, in the caller's transaction."""
    _queue(job, "waiting")
    what = {"name": job.name, "files": job.files, "update": job.update_facts}
    audit_log.record(session, job.actor, "import.run", str(job.id), None, what)


def again(catalog: Catalog, job_id: uuid.UUID, *, actor: str) -> None:
    """Go on with an import that failed or was cancelled while it ran, as long as its files are there.

    One that failed before it was begun is checked again. Raises NotFoundError or ConflictError.
    """
    with catalog.database.write() as session:
        job = _locked(session, job_id)
        _in_state(job, "failed", "cancelled")
        if job.state == "cancelled" and not has_run(job):
            raise ConflictError("It was not begun: upload it again.")
        _has_files(job)
        _queue(job, "waiting" if has_run(job) else "checking")
        audit_log.record(session, actor, "import.again", str(job.id), None, {"name": job.name, "files": job.files})


def has_run(job: ImportJob) -> bool:
    """Whether it was begun: what was not can't go on, and its files are of no use when it is cancelled."""
    return "products" in job.counts


def has_failed_check(job: ImportJob) -> bool:
    """Whether it failed before it was begun: it can be checked again, by other columns too, or discarded."""
    return job.state == "failed" and job.files > 0 and not has_run(job)


def cancel(catalog: Catalog, job_id: uuid.UUID) -> None:
    """End an import: at once, or after the product that is being added. What was added stays. Raises NotFoundError.

    The files of one that was not begun are removed.
    """
    with catalog.database.write() as session:
        job = _locked(session, job_id)
        if job.state in ("checking", "running"):
            job.cancel = True
        elif job.state not in OVER or has_failed_check(job):
            job.state, job.finished_at = "cancelled", now()
    remove_useless(catalog, job_id)


def remove_useless(catalog: Catalog, job_id: uuid.UUID) -> None:
    """Remove the files of an import that was cancelled before it was begun; of any other one nothing."""
    job = get(catalog.database, job_id)
    if job.state != "cancelled" or has_run(job):  # and it stays so
        return
    with uploads.writing(catalog.settings, job_id):  # who is adding files is through with its piece, and has counted it
        with catalog.database.write() as session:
            session.execute(update(ImportJob).where(ImportJob.id == job_id).values(files=0))
        uploads.remove(catalog.settings, str(job_id))


def get(database: Database, job_id: uuid.UUID) -> ImportJob:
    """An import. Raises NotFoundError."""
    with database.read() as session:
        job = session.scalar(select(ImportJob).options(undefer(ImportJob.errors)).where(ImportJob.id == job_id))
    return _found(job)


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


def trim(catalog: Catalog) -> None:
    """Remove the files of imports that were over a day ago, or that nobody goes on with, and rows of long ago."""
    at = now()
    stored = uploads.stored(catalog.settings)  # first: an import's row is there before its files are
    over = ImportJob.state.in_(OVER) & (ImportJob.finished_at < at - KEPT_OVER)
    idle = ImportJob.state.in_(IDLE) & (ImportJob.created_at < at - KEPT_IDLE)
    with catalog.database.write() as session:
        left = {
            "state": "cancelled",
            "finished_at": at,
            "message": "Nobody went on with it, and its files were removed.",
        }
        ended = session.scalars(update(ImportJob).where(idle).values(left).returning(ImportJob.id)).all()
        emptied = session.scalars(
            update(ImportJob).where(over | ImportJob.id.in_(ended)).values(files=0).returning(ImportJob.id)
        ).all()
        session.execute(delete(ImportLine).where(ImportLine.job_id.in_(emptied)))
        session.execute(delete(ImportJob).where(ImportJob.created_at < at - KEPT_ROW, ImportJob.state.in_(OVER)))
        useless = ImportJob.state.in_(OVER) & (ImportJob.files == 0)
        kept = {str(job) for job in session.scalars(select(ImportJob.id).where(~useless))}
    for name in stored:
        if name not in kept:
            uploads.remove(catalog.settings, name)


def _locked(session: Session, job_id: uuid.UUID) -> ImportJob:
    return _found(session.get(ImportJob, job_id, with_for_update=True))


def _found(job: ImportJob | None) -> ImportJob:
    if job is None:
        raise NotFoundError("There is no such import, or it was long ago.")
    return job


def _in_state(job: ImportJob, *states: str) -> None:
    if job.state not in states:
        raise ConflictError("The import has gone on meanwhile: look at its page again.")


def _can_be_checked(job: ImportJob) -> None:
    if not has_failed_check(job):
        _in_state(job, "columns", "checked")
    _has_files(job)


def _has_files(job: ImportJob) -> None:
    if not job.files:
        raise ConflictError("Its files were removed: upload it again.")


def _queue(job: ImportJob, state: str) -> None:
    job.state, job.cancel, job.attempts, job.done, job.total, job.message = state, False, 0, 0, 0, ""
    job.finished_at = None


def shown(text: str) -> str:
    """A name or a message as every database can have it."""
    return "".join(character if plain(character) else "\ufffd" for character in text)
