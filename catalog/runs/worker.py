"""The thread of the serving process that sees to the runs: one at a time, the oldest first."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from datetime import datetime
from multiprocessing.process import BaseProcess

from catalog import judging
from catalog.catalog import Catalog
from catalog.errors import CatalogError, ConfigError, DatabaseUnavailableError, GalleryError, GalleryLockedError
from catalog.right_of_way import mark_background
from catalog.runs import recording
from catalog.runs.broker import Sender
from catalog.runs.due import ask_for_due
from catalog.runs.kinds import KINDS, Kind
from catalog.runs.performing import alone_at, perform, say_why, start_apart
from catalog.runs.tasks import Task
from catalog.storage.tables import Run

log = logging.getLogger(__name__)

#: Seconds between two looks: for something to do, for what is due at night, and for old runs to remove.
EVERY, NIGHT_EVERY, TRIM_EVERY = 1.0, 20.0, 3600.0
#: Looks at the lock of a process that has ended, and seconds between two: PostgreSQL notices that a moment later.
LOCK_TRIES, LOCK_PAUSE = 20, 0.1
#: Seconds to wait while a part is unavailable, and after an unexpected error.
WAIT = 4.0


class RunWorker:
    """Does what is waiting, goes on with what a killed process has left, and asks for what is due at night.

    Several processes may have one: of each kind, one at a time works at it.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runs", daemon=True)
        self._sender = Sender(catalog.settings, catalog.database)
        self._task: Task | None = None
        self._night_at = 0.0
        self._wait = EVERY
        self._is_embedded = catalog.settings.is_gallery_embedded

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; what it is at waits for the next process."""
        self._stop.set()
        if (task := self._task) is not None:
            try:
                recording.give_back(self._catalog.database, task.holder)
            except CatalogError as error:
                log.warning("the run %s is begun again: %s", task.id, error)
        self._thread.join()

    def step(self) -> bool:
        """Work at the next run until it is over, or this process is to end; returns whether there was one.

        One that can't be seen to keeps no other from it. Raises DatabaseUnavailableError.
        """
        return any(self._try(run) for run in recording.list_open(self._catalog.database))

    def _run(self) -> None:
        mark_background()
        trim_at = 0.0
        while not self._stop.wait(self._wait):
            self._wait = EVERY
            try:
                self._ask_for_due()
                if not self.step() and time.monotonic() >= trim_at:
                    trim_at = time.monotonic() + TRIM_EVERY
                    recording.trim(self._catalog.database)
            except CatalogError as error:
                log.warning("runs wait: %s", error)
                self._wait = WAIT
            except Exception:
                log.exception("runs wait")
                self._wait = WAIT

    def _ask_for_due(self) -> None:
        if (at := self._catalog.settings.nightly) is not None and time.monotonic() >= self._night_at:
            self._night_at = time.monotonic() + NIGHT_EVERY
            ask_for_due(self._catalog.database, at, datetime.now())

    def _try(self, run: Run) -> bool:
        try:
            return self._see_to(run)
        except DatabaseUnavailableError:
            raise
        except Exception as error:
            log.warning("the run of %s %s: %s", run.kind, run.id, error, exc_info=not isinstance(error, CatalogError))
            recording.note(self._catalog.database, run.id, say_why(error))
            self._wait = WAIT
            return False

    def _see_to(self, run: Run) -> bool:
        """Whether it was worked at here."""
        database, kind = self._catalog.database, KINDS.get(run.kind)
        with alone_at(database, run.kind) as free:
            if free and run.stop:  # nobody may be there who could begin it
                recording.end_left(database, run.id, "stopped", "It was stopped.")
            elif free and run.by_command:  # of any kind: commands have some of their own
                recording.end_left(database, run.id, "failed", "The command ended before it was through.")
            elif free and kind is None:
                recording.end_left(database, run.id, "failed", "This version does not know such a run.")
        if not free or kind is None or run.by_command or run.stop:
            return False
        if self._is_for_a_worker(kind):
            self._send(run)
            return False
        if kind.apart:
            return self._wait_for(start_apart(self._catalog.settings, run.id), run)
        if not self._has_gallery():
            return False
        try:
            return perform(self._catalog, run.id, leaving=self._stop.is_set, taken=self._began)
        finally:
            self._task = None

    def _began(self, task: Task) -> None:
        self._task = task

    def _is_for_a_worker(self, kind: Kind) -> bool:
        """An embedded gallery is open in this process alone."""
        return self._catalog.settings.jobs != "local" and (kind.apart or not self._is_embedded)

    def _has_gallery(self) -> bool:
        """False if another process has the embedded gallery: what is to be done is for that one."""
        if self._is_embedded:
            try:
                self._catalog.generations.ready()
            except GalleryLockedError:
                return False
            except (GalleryError, ConfigError):  # the work says what is wrong
                return True
        return True

    def _send(self, run: Run) -> None:
        try:
            self._sender.send(run.id)
        except ConfigError as error:
            log.warning("the run %s waits: %s", run.id, error)
            recording.note(self._catalog.database, run.id, str(error))

    def _wait_for(self, process: BaseProcess, run: Run) -> bool:
        """Until the process has ended; meanwhile answer what it asks the live model.

        It is ended when a person stops the run, or this process stops.
        """
        database = self._catalog.database
        try:
            while process.is_alive() and not self._stop.is_set():
                process.join(EVERY / 2)
                with suppress(CatalogError):  # who waits for it says so
                    judging.answer_as_live(self._catalog)
                with suppress(DatabaseUnavailableError):  # for a moment; the process waits for it, too
                    now = recording.get(database, run.id)
                    if now.stop and now.ended_at is None:
                        break
        finally:
            process.terminate()
            process.join()
        for _ in range(LOCK_TRIES):
            with alone_at(database, run.kind) as free:
                if free:
                    self._conclude(process, recording.get(database, run.id))
                    break
            time.sleep(LOCK_PAUSE)
        return True

    def _conclude(self, process: BaseProcess, run: Run) -> None:
        """What becomes of a run when its process has ended, under the lock of its kind: no other is at it."""
        database = self._catalog.database
        if run.ended_at is not None:
            return
        if run.stop:
            recording.end_left(database, run.id, "stopped", "It was stopped.")
        elif self._stop.is_set():
            if run.holder is not None:
                recording.give_back(database, run.holder)
        elif run.state == "waiting" and process.exitcode:
            recording.end_left(database, run.id, "failed", "Its process ended before it had begun; the log says why.")
