"""Runs of the command line: done by its own process, and recorded as those of the pages are."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy.exc import IntegrityError

from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import CatalogError, ConflictError, DatabaseUnavailableError
from catalog.generations import live_generation
from catalog.maintenance import Coverage, Switched
from catalog.progress import Progress
from catalog.runs import broker, coverage_run, recording, reembedding_run
from catalog.runs.performing import alone_at, say_why
from catalog.runs.tasks import LostError, Outcome, StopAskedError, Task
from catalog.storage import Database
from catalog.storage.tables import Run
from embedder.bundle import load_bundle
from embedder.errors import BundleError

KIND = "reembed"


class JobFailedError(CatalogError):
    """The job failed or was stopped; the message says why, in the words of the process that was at it."""

    code = "job_failed"


class Record:
    """What a command keeps of its run. `outcome` is set at the end; `task` is None where nothing is recorded."""

    def __init__(self, task: Task | None) -> None:
        self.task = task
        self.outcome = Outcome("")

    def keep_coverage(self, found: Iterable[Coverage]) -> None:
        """Keep what coverage finds, and its figures as the outcome."""
        if self.task is None:
            deque(found, maxlen=0)
        else:
            self.outcome = coverage_run.keep_all(self.task.database, self.task.id, found)

    def beside(self, progress: Progress) -> Progress:
        """A progress that tells the run, too."""
        if (task := self.task) is None:
            return progress

        def reach(done: int, total: int) -> None:
            progress(done, total)
            with suppress(DatabaseUnavailableError):
                task.progress(done, total)

        return reach


@contextmanager
def recorded(
    database: Database, kind: str, *, actor: str, options: Mapping[str, Any] | None = None, needed: bool = False
) -> Iterator[Record]:
    """Keep that a command does such a run, and how it ended.

    A command need not be alone: without `needed`, nothing is recorded while another process is at a run of this kind,
    one waits that is to do more, or the database can't be written; with it, a waiting run is ended, and the others are
    a ConflictError or a DatabaseUnavailableError. Raises JobFailedError when a person stopped it in the pages, or
    another process has ended it.
    """
    with ExitStack() as held:
        task = None
        try:
            if held.enter_context(alone_at(database, kind)):
                task = recording.take_as_command(database, kind, actor=actor, options=options or {}, needed=needed)
        except (DatabaseUnavailableError, IntegrityError):
            if needed:
                raise
        if needed and task is None:
            raise ConflictError("It is at work already, in another process: let it end, or stop it under Jobs.")
        record = Record(task)
        try:
            yield record
        except BaseException as error:
            stopped = isinstance(error, StopAskedError | KeyboardInterrupt)
            _end(task, "stopped" if stopped else "failed", "It was stopped." if stopped else say_why(error))
            if isinstance(error, StopAskedError):
                raise JobFailedError("It was stopped in the pages.") from None
            if isinstance(error, LostError):
                raise JobFailedError("Another process ended its run: see under Jobs how.") from None
            raise
        _end(task, "done", record.outcome.message, record.outcome.result)


def _end(task: Task | None, state: recording.Ended, message: str, result: Mapping[str, Any] | None = None) -> None:
    with suppress(DatabaseUnavailableError):
        if task is not None:
            recording.end(task, state, message, result)


def run_reembed(
    settings: Settings,
    bundle: Path | str | None,
    *,
    rollback: bool,
    switch_anyway: bool = False,
    actor: str,
    progress: Progress,
) -> Switched:
    """Re-embed with a bundle or roll back: in this process, or wait for a worker to do it.

    `bundle`: a folder, or the id of a model that is known here as text; None is CATALOG_MODEL. Raises what `reembed`
    raises, NotFoundError for an unknown id, ConflictError while another is at work, ConfigError when no worker answers,
    JobFailedError when the worker failed.
    """
    options: dict[str, Any] = {"rollback": True} if rollback else _bundle_options(settings, bundle)
    if switch_anyway:
        options["switch_anyway"] = True
    if settings.jobs != "local":
        return _by_worker(settings, options, actor, progress)
    with closing(Catalog.open(settings)) as catalog:
        with recorded(catalog.database, KIND, actor=actor, options=options, needed=True) as record:
            record.outcome = reembedding_run.switch(catalog, options, record.beside(progress), actor=actor)
        return Switched(**record.outcome.result)


def _bundle_options(settings: Settings, bundle: Path | str | None) -> dict[str, Any]:
    """The options of a re-embedding that name a bundle: by its id, which the pages and `catalog model list` show, and
    where it is.

    A worker need not have that folder: for one, the bundle is added first, as `catalog model add` does. Raises then
    BundleError, ConfigError or StorageError.
    """
    if bundle is None:  # that of the process that does it
        return {}
    if isinstance(bundle, str):
        return {"bundle_id": bundle}
    folder = bundle.absolute()
    if settings.jobs != "local":
        with closing(Catalog.open(settings)) as catalog:
            catalog.generations.live()  # a new catalog gets its first model before this
            return {"bundle_id": catalog.generations.add(load_bundle(folder)).bundle_id}
    try:
        return {"bundle": str(folder), "bundle_id": load_bundle(folder).id}
    except BundleError:  # the work says what is wrong, and the run keeps that
        return {"bundle": str(folder)}


def _by_worker(settings: Settings, options: dict[str, Any], actor: str, progress: Progress) -> Switched:
    with closing(Database(settings.database)) as database:
        database.migrate()
        sender = broker.Sender(settings, database)
        if "rollback" in options:
            with database.read() as session:
                live = live_generation(session)
            options["live"] = live.bundle_id if live else ""
        run_id = recording.start(database, KIND, actor=actor, options=options)
        try:
            run = broker.wait_for(database, sender, run_id, lambda run: _tell(run, progress))
        except BaseException:
            recording.stop(database, run_id, actor=actor)
            raise
    if run.state != "done":
        raise JobFailedError(run.message)
    return Switched(**run.result)


def _tell(run: Run, progress: Progress) -> None:
    if run.total:
        progress(run.done, run.total)
