"""The thread that checks and runs the imports of the pages, one at a time, beside what the server answers."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import case, delete, select, update

from catalog import right_of_way
from catalog.catalog import Catalog
from catalog.errors import CatalogError, DatabaseUnavailableError
from catalog.storage.tables import ImportJob, ImportLine, now
from catalog.transfer import import_jobs, uploads
from catalog.transfer.importing import Report, import_items
from catalog.transfer.previewing import Line, preview

log = logging.getLogger(__name__)

#: Seconds between two looks for something to do, two writes of how far it is, and two removals of old files.
EVERY, TELL_EVERY, TRIM_EVERY = 0.5, 1.0, 3600.0
#: Seconds to wait while the database is unavailable, and after an unexpected error.
WAIT = 4.0
#: Seconds after which imports whose files are not here are given up: a server that has them would be at one of them.
LOST_AFTER = 120.0
#: Locks by which servers tell one another that they are at an import. On SQLite each is a file.
LOCKS = 16
#: Processes that may end in the middle of an import: what has ended so many would end the next one, too.
ATTEMPTS = 3
#: Lines of a preview that are written in one transaction, and left-out lines that an import keeps.
LINES, ERRORS = 200, 10_000
#: Notes about a source, as of files that are no photos, that are kept.
NOTES = 10


class _CancelledError(Exception):
    """A person ended the import."""


class _StoppedError(Exception):
    """The server stops; the import goes on with the next one."""


@dataclass
class _Task:
    """An import that is being worked at. `before`: what it had added when an earlier process ended."""

    job: ImportJob
    root: Path
    before: dict[str, int]
    report: Report = field(default_factory=Report)
    told_at: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """What it has added and changed so far, with what it added before."""
        now_added = {name: getattr(self.report, name) for name in ("products", "photos", "changed")}
        counts = {name: self.before.get(name, 0) + count for name, count in now_added.items()}
        known = max(0, self.report.duplicates - self.before.get("photos", 0))
        return {**counts, "duplicates": known, "ignored": len(self.report.ignored), "pending": self.report.pending}

    def plain(self, text: str) -> str:
        """A message without the folder on this machine."""
        return import_jobs.shown(text.replace(f"{self.root}/", "").replace(str(self.root), "the upload"))


class ImportWorker:
    """A thread of the serving process. A killed process' import is begun again by the next one, and adds nothing twice.

    Several processes on one data folder: one at a time works at imports.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="imports", daemon=True)
        self._begun: set[tuple[uuid.UUID, str]] = set()
        self._counting = threading.Lock()
        self._at: tuple[uuid.UUID, int] | None = None  # the import, and its attempts without this process
        self._elsewhere: list[tuple[object, ...]] = []
        self._elsewhere_since = 0.0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and wait for the photo that is being read, or the photos that are being written."""
        with self._counting:
            self._stop.set()
            # Before the end is waited for: the process may be ended meanwhile, and that is no crash.
            try:
                self._put_back_attempts()
            except DatabaseUnavailableError as error:
                log.warning("this stop will count as a crash of the import: %s", error)
        self._thread.join()

    def _put_back_attempts(self) -> None:
        if self._at is not None:
            job_id, attempts = self._at
            self._set(job_id, {"attempts": attempts})

    def step(self) -> bool:
        """Work at the next import until it is done, has failed or was cancelled; returns whether there was one."""
        with self._alone() as alone:
            task = self._next() if alone else None
            if task is None:
                return False
            # If another import has its lock, both look as if somebody was at them while one is worked at.
            with self._catalog.database.alone(_lock_of(task.job)), right_of_way.background():
                self._work(task)
            return True

    def _run(self) -> None:
        wait, trim_at = EVERY, 0.0
        while not self._stop.wait(wait):
            wait = EVERY
            try:
                if not self.step() and time.monotonic() >= trim_at:
                    trim_at = time.monotonic() + TRIM_EVERY
                    import_jobs.trim(self._catalog)
            except CatalogError as error:
                log.warning("imports wait: %s", error)
                wait = WAIT
            except Exception:
                log.exception("an import failed")
                wait = WAIT

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        # Made if need be: the files of imports are nowhere when the data folder was replaced.
        descriptor = os.open(uploads.make_imports_folder(self._catalog.settings), os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = True
        except BlockingIOError:
            held = False
        try:
            yield held
        finally:
            os.close(descriptor)

    def _next(self) -> _Task | None:
        """The oldest import that is to be worked at and whose files are in this data folder."""
        query = select(ImportJob).where(ImportJob.state.in_(import_jobs.WORKING)).order_by(ImportJob.created_at)
        with self._catalog.database.read() as session:
            jobs = list(session.scalars(query))
        found: _Task | None = None
        elsewhere = []
        for job in jobs:
            root = uploads.files_folder(self._catalog.settings, job.id)
            if not root.is_dir():
                elsewhere.append(job)
            elif found is None:
                before = {name: count for name, count in job.counts.items() if name != "lines"}
                found = _Task(job, root, before)
        self._fail_lost(elsewhere)
        return found

    def _fail_lost(self, jobs: list[ImportJob]) -> None:
        """End imports whose files no running server has: none got on, and nobody is at one of them, for LOST_AFTER."""
        seen: list[tuple[object, ...]] = [(job.id, job.state, job.attempts, job.done, job.total) for job in jobs]
        if seen != self._elsewhere:
            self._elsewhere, self._elsewhere_since = seen, time.monotonic()
        elif jobs and time.monotonic() >= self._elsewhere_since + LOST_AFTER:
            self._elsewhere_since = time.monotonic()
            if not any(self._is_worked_at(job) for job in jobs):
                for job in jobs:
                    self._fail(job)

    def _is_worked_at(self, job: ImportJob) -> bool:
        """Whether a server is at it, however long it takes over a photo, or to look through the files."""
        with self._catalog.database.alone(_lock_of(job)) as alone:
            return not alone

    def _fail(self, job: ImportJob) -> None:
        """Fail an import whose files are lost, if it is still as it was; one that a person cancels is cancelled."""
        way_on = "go on" if import_jobs.has_run(job) else "check again"
        message = f"No running server has its files: start the one that has them and {way_on}, or upload it again."
        ended = {
            "state": case((ImportJob.cancel, "cancelled"), else_="failed"),
            "message": case((ImportJob.cancel, ""), else_=message),
            "finished_at": now(),
            "cancel": False,
        }
        mine = (ImportJob.id == job.id) & (ImportJob.state == job.state)
        with self._catalog.database.write() as session:
            session.execute(update(ImportJob).where(mine).values(ended))
        import_jobs.remove_useless(self._catalog, job.id)

    def _work(self, task: _Task) -> None:
        job = task.job
        try:
            if self._has_ended_processes(task):
                self._end(task, "failed", f"The server ended {ATTEMPTS} times while it was at it.")
            elif job.state == "checking":
                self._check(task)
            else:
                self._import(task)
        except _CancelledError:
            self._end(task, "cancelled")
        except _StoppedError:
            log.info("import %s goes on with the next server", job.id)
        except DatabaseUnavailableError:
            raise  # it is begun again
        except (CatalogError, OSError) as error:
            log.warning("import %s failed: %s", job.id, error)
            self._end(task, "failed", task.plain(str(error)))
        except Exception:
            self._end(task, "failed", "Something unexpected went wrong; the server's log says what.")
            raise
        finally:
            with self._counting:
                self._at = None

    def _has_ended_processes(self, task: _Task) -> bool:
        """Count this process, once; whether too many ended before they were through."""
        job = task.job
        phase = "checking" if job.state == "checking" else "running"
        is_counted = (job.id, phase) in self._begun and job.attempts > 0
        before = job.attempts - is_counted
        with self._counting:
            if self._stop.is_set():
                raise _StoppedError
            self._at = (job.id, before)
            self._begun.add((job.id, phase))
            self._set(job.id, {"attempts": before + 1})
        return before >= ATTEMPTS

    def _check(self, task: _Task) -> None:
        job, database = task.job, self._catalog.database
        with database.write() as session:
            session.execute(delete(ImportLine).where(ImportLine.job_id == job.id))
        with uploads.open_upload(task.root, job.mapping) as source:
            first = len(source.left_out)
            waiting = [
                _line(task, number, Line("", "", "wrong", errors=(text,)))
                for number, text in enumerate(source.left_out)
            ]
            lines = preview(database, source.items, partial(self._tell, task))
            for number, line in enumerate(lines, start=first):
                waiting.append(_line(task, number, line))
                if len(waiting) >= LINES:
                    self._write_lines(waiting)
                    waiting = []
            self._write_lines(waiting)
            notes = " ".join(f"{task.plain(text)}." for text in source.told[:NOTES])
            counts = {"lines": first + len(source.items)}
        if not self._move(job.id, ("checking",), {"state": "checked", "message": notes, "counts": counts}, run=True):
            raise _CancelledError

    def _import(self, task: _Task) -> None:
        job = task.job
        begun = {"state": "running", "counts": {"lines": job.counts.get("lines", 0), **task.counts}}
        if not self._move(job.id, ("waiting", "running"), begun):
            raise _CancelledError
        with uploads.open_upload(task.root, job.mapping) as source:
            import_items(
                self._catalog,
                source.items,
                actor=job.actor,
                update=job.update_facts,
                progress=partial(self._tell, task),
                report=task.report,
            )
            left_out = source.left_out
        message = task.report.why if task.report.pending else ""
        self._end(task, "done", message, left_out)

    def _tell(self, task: _Task, done: int, total: int) -> None:
        """Keep how far it is, now and then. Raises _StoppedError; _CancelledError also when it was ended elsewhere."""
        if self._stop.is_set():
            raise _StoppedError
        if time.monotonic() < task.told_at + TELL_EVERY:
            return
        task.told_at = time.monotonic()
        values: dict[str, Any] = {"done": done, "total": total}
        if task.job.state != "checking":
            values["counts"] = {"lines": task.job.counts.get("lines", 0), **task.counts}
        mine = (ImportJob.id == task.job.id) & ImportJob.state.in_(import_jobs.WORKING)
        with self._catalog.database.write() as session:
            cancel = session.scalar(update(ImportJob).where(mine).values(values).returning(ImportJob.cancel))
        if cancel is not False:
            raise _CancelledError

    def _end(self, task: _Task, state: str, message: str = "", left_out: list[str] | None = None) -> None:
        errors = [task.plain(text) for text in [*(left_out or []), *task.report.errors]]
        counts = {"lines": task.job.counts.get("lines", 0), "left_out": len(errors)}
        values = {"state": state, "message": message, "errors": errors[:ERRORS], "finished_at": now(), "cancel": False}
        if task.job.state != "checking":
            counts |= task.counts
        with self._catalog.database.write() as session:
            mine = (ImportJob.id == task.job.id) & ImportJob.state.in_(import_jobs.WORKING)
            session.execute(update(ImportJob).where(mine).values({**values, "counts": counts}))
        if state == "cancelled":
            import_jobs.remove_useless(self._catalog, task.job.id)

    def _move(self, job_id: uuid.UUID, states: tuple[str, ...], values: dict[str, Any], *, run: bool = False) -> bool:
        """Change an import that is in one of these states; False when a person has cancelled it meanwhile.

        `run`: if it asks nobody, it is to be run next.
        """
        mine = (ImportJob.id == job_id) & ImportJob.state.in_(states) & ~ImportJob.cancel
        with self._catalog.database.write() as session:
            moved = session.scalar(update(ImportJob).where(mine).values(values).returning(ImportJob))
            if moved is not None and run and moved.automatic:
                import_jobs.queue_run(session, moved)
        return moved is not None

    def _set(self, job_id: uuid.UUID, values: dict[str, Any]) -> None:
        with self._catalog.database.write() as session:
            session.execute(update(ImportJob).where(ImportJob.id == job_id).values(values))

    def _write_lines(self, lines: list[ImportLine]) -> None:
        with self._catalog.database.write() as session:
            session.add_all(lines)


def _lock_of(job: ImportJob) -> str:
    return f"import-{job.id.int % LOCKS}"


def _line(task: _Task, number: int, line: Line) -> ImportLine:
    return ImportLine(
        job_id=task.job.id,
        number=number,
        source=task.plain(line.source),
        sku=import_jobs.shown(line.sku)[:100],
        state=line.state,
        changes=[[change.field, change.old, change.new] for change in line.changes],
        photos=line.photos,
        errors=[task.plain(error) for error in line.errors],
    )
