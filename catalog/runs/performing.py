"""Work at a run until it is over: in this process, or in one of its own."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.process import BaseProcess

from catalog import log_lines
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import CatalogError, DatabaseUnavailableError, GalleryLockedError, GalleryRefillingError
from catalog.runs import recording
from catalog.runs.kinds import KINDS, Kind
from catalog.runs.tasks import LostError, StopAskedError, Task
from catalog.storage import Database
from embedder.errors import EmbedderError

log = logging.getLogger(__name__)

#: The niceness of a process that does a run beside the one that serves.
NICE = 15
#: Seconds between two tries to reach a database that is away.
ASK_EVERY = 1.0


@contextmanager
def alone_at(database: Database, kind: str) -> Iterator[bool]:
    """Whether no other process works at a run of this kind, until the block ends."""
    with database.alone(f"run-{kind}") as alone:
        yield alone


def perform(
    catalog: Catalog,
    run_id: uuid.UUID,
    *,
    leaving: Callable[[], bool] = lambda: False,
    taken: Callable[[Task], None] = lambda task: None,
) -> bool:
    """Work at a run until it is over; False if it waits, another process is at it, or it is over already.

    `leaving`: this process is to end, and the next one goes on. `taken` is called when the work begins. Raises
    DatabaseUnavailableError, after which it is begun again (once it was begun, this waits until the database answers
    and has that), and GalleryLockedError: it waits for the process that has the gallery open.
    """
    kind = KINDS[recording.get(catalog.database, run_id).kind]
    with alone_at(catalog.database, kind.name) as alone:
        if alone and (obstacle := kind.obstacle(catalog)):
            recording.note(catalog.database, run_id, obstacle)
            return False
        task = recording.take(catalog.database, run_id) if alone else None
        if task is None:
            return False
        task.leaving = leaving
        taken(task)
        try:
            return _work(catalog, kind, task)
        except DatabaseUnavailableError as error:
            log.warning("the run of %s %s waits: %s", kind.name, task.id, error)
            _give_back_at_last(task)
            raise


def _give_back_at_last(task: Task) -> None:
    """A database that is away for a moment is no end of a process, and is not to count as one."""
    while not task.leaving():
        try:
            return recording.give_back(task.database, task.holder)
        except DatabaseUnavailableError:
            time.sleep(ASK_EVERY)


def _work(catalog: Catalog, kind: Kind, task: Task) -> bool:
    """Whether it was worked at; False if it waits again."""
    try:
        outcome = kind.work(catalog, task)
    except StopAskedError:
        recording.end(task, "stopped", "It was stopped.")
    except LostError:
        if task.leaving():
            recording.give_back(task.database, task.holder)  # an orderly end of this process counts for nothing
        log.info("the run of %s %s goes on in another process", kind.name, task.id)
    except DatabaseUnavailableError:
        raise
    except GalleryLockedError as error:
        log.warning("the run of %s %s waits for the process that has the gallery: %s", kind.name, task.id, error)
        recording.give_back(catalog.database, task.holder)
        raise
    except GalleryRefillingError as error:
        log.warning("the run of %s %s waits: %s", kind.name, task.id, error)
        recording.give_back(catalog.database, task.holder)
        recording.note(catalog.database, task.id, str(error))
        return False
    except (CatalogError, EmbedderError, OSError) as error:
        log.warning("the run of %s %s failed: %s", kind.name, task.id, error)
        recording.end(task, "failed", str(error))
    except Exception as error:
        recording.end(task, "failed", say_why(error))
        raise
    else:
        recording.end(task, "done", outcome.message, outcome.result)
    return True


def say_why(error: BaseException) -> str:
    """Why a run waits or has failed, for all who may read that: the words of our own errors alone."""
    if isinstance(error, CatalogError | EmbedderError | OSError):
        return str(error)
    return "Something unexpected went wrong; the log says what."


def start_apart(settings: Settings, run_id: uuid.UUID) -> BaseProcess:
    """A process that works at a run. It ends with this one, unless this one is killed; then it goes on."""
    # Started anew, not forked: threads of this process may hold locks.
    spawning = multiprocessing.get_context("spawn")
    process = spawning.Process(target=_apart, args=(settings, run_id), name=f"run {run_id}", daemon=True)
    process.start()
    return process


def _apart(settings: Settings, run_id: uuid.UUID) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this process
    os.nice(NICE)
    log_lines.begin(settings.log)
    try:
        perform_alone(settings, run_id)
    except DatabaseUnavailableError as error:  # it waits
        log.warning("the run %s waits: %s", run_id, error)


def perform_alone(settings: Settings, run_id: uuid.UUID, *, leaving: Callable[[], bool] = lambda: False) -> None:
    """Open the catalog for a run alone; what keeps it from beginning is kept as its end. Raises CatalogError.

    `leaving`: this process is to end, and the next one goes on.
    """
    with closing(Catalog.open(settings)) as catalog:
        try:
            perform(catalog, run_id, leaving=leaving)
        except DatabaseUnavailableError:
            raise
        except (CatalogError, EmbedderError) as error:
            with alone_at(catalog.database, recording.get(catalog.database, run_id).kind) as free:
                if free:  # else another process has begun it since
                    recording.end_left(catalog.database, run_id, "failed", str(error))
