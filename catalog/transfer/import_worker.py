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

from sqlalchemy import delete, select, update

from catalog import right_of_way
from catalog.catalog import Catalog
from catalog.errors import CatalogError, DatabaseUnavailableError
from catalog.storage.tables import ImportJob, ImportLine, now
from catalog.transfer import import_jobs, uploads
from catalog.transfer.importing import Report, import_items
from catalog.transfer.previewing import Line, preview
from catalog.transfer.sources import Source

log = logging.getLogger(__name__)

#: Seconds between two looks for something to do, two writes of how far it is, and two removals of old files.
EVERY, TELL_EVERY, TRIM_EVERY = 0.5, 1.0, 3600.0
#: Seconds to wait while the database is unavailable, and after an unexpected error.
WAIT = 4.0
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

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and wait for the product that is being added."""
        self._stop.set()
        self._thread.join()

    def step(self) -> bool:
        """Work at the next import until it is done, has failed or was cancelled; returns whether there was one."""
        with self._alone() as alone:
            task = self._next() if alone else None
            if task is None:
                return False
            with right_of_way.background():
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
        folder = uploads.imports_folder(self._catalog.settings)
        if not folder.is_dir():
            yield False
            return
        descriptor = os.open(folder, os.O_RDONLY)
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
        for job in jobs:
            root = uploads.files_folder(self._catalog.settings, job.id)
            if root.is_dir():
                before = {name: count for name, count in job.counts.items() if name != "lines"}
                return _Task(job, root, before)
        return None

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
            self._set(job.id, {"attempts": 0})
        except DatabaseUnavailableError:
            raise  # it is begun again
        except (CatalogError, OSError) as error:
            log.warning("import %s failed: %s", job.id, error)
            self._end(task, "failed", task.plain(str(error)))
        except Exception:
            self._end(task, "failed", "Something unexpected went wrong; the server's log says what.")
            raise

    def _has_ended_processes(self, task: _Task) -> bool:
        """Count this process, once; whether too many ended before they were through."""
        job = task.job
        phase = "checking" if job.state == "checking" else "running"
        if (job.id, phase) in self._begun and job.attempts:
            return False
        self._begun.add((job.id, phase))
        self._set(job.id, {"attempts": job.attempts + 1})
        return job.attempts >= ATTEMPTS

    def _check(self, task: _Task) -> None:
        job, database = task.job, self._catalog.database
        with database.write() as session:
            session.execute(delete(ImportLine).where(ImportLine.job_id == job.id))
        with uploads.open_upload(task.root, job.mapping) as source:
            waiting = [_line(task, number, Line("", "", "wrong", errors=(text,))) for number, text in _left_out(source)]
            first = len(waiting)
            lines = preview(database, source.items, partial(self._tell, task))
            for number, line in enumerate(lines, start=first):
                waiting.append(_line(task, number, line))
                if len(waiting) >= LINES:
                    self._write_lines(waiting)
                    waiting = []
            self._write_lines(waiting)
            notes = " ".join(f"{task.plain(text)}." for text in source.told[:NOTES])
            counts = {"lines": first + len(source.items)}
        values = {"state": "checked", "message": notes, "counts": counts, "cancel": False}
        self._set(job.id, values)

    def _import(self, task: _Task) -> None:
        job = task.job
        self._set(job.id, {"state": "running"})
        with uploads.open_upload(task.root, job.mapping) as source:
            import_items(
                self._catalog,
                source.items,
                actor=job.actor,
                update=job.update_facts,
                progress=partial(self._tell, task),
                report=task.report,
            )
            left_out = [text for _, text in _left_out(source)]
        message = task.report.why if task.report.pending else ""
        self._end(task, "done", message, left_out)

    def _tell(self, task: _Task, done: int, total: int) -> None:
        """Keep how far it is, now and then. Raises _CancelledError or _StoppedError."""
        if self._stop.is_set():
            raise _StoppedError
        if time.monotonic() < task.told_at + TELL_EVERY:
            return
        task.told_at = time.monotonic()
        values: dict[str, Any] = {"done": done, "total": total}
        if task.job.state != "checking":
            values["counts"] = {"lines": task.job.counts.get("lines", 0), **task.counts}
        self._set(task.job.id, values)
        with self._catalog.database.read() as session:
            if session.scalar(select(ImportJob.cancel).where(ImportJob.id == task.job.id)) is not False:
                raise _CancelledError

    def _end(self, task: _Task, state: str, message: str = "", left_out: list[str] | None = None) -> None:
        errors = [task.plain(text) for text in [*(left_out or []), *task.report.errors]]
        counts = {"lines": task.job.counts.get("lines", 0), "left_out": len(errors)}
        values = {"state": state, "message": message, "errors": errors[:ERRORS], "finished_at": now(), "cancel": False}
        self._set(task.job.id, {**values, "counts": {**counts, **task.counts}})

    def _set(self, job_id: uuid.UUID, values: dict[str, Any]) -> None:
        with self._catalog.database.write() as session:
            session.execute(update(ImportJob).where(ImportJob.id == job_id).values(values))

    def _write_lines(self, lines: list[ImportLine]) -> None:
        with self._catalog.database.write() as session:
            session.add_all(lines)


def _left_out(source: Source) -> list[tuple[int, str]]:
    return list(enumerate(source.left_out))


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
