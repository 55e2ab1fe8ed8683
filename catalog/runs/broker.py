"""Runs by a worker: CATALOG_JOBS names the broker (Celery, extra `celery`). The broker carries the run's id alone.

If a worker is killed, the run is sent again, and the next one goes on with it.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catalog import log_lines
from catalog.config import Settings
from catalog.errors import ConfigError
from catalog.runs import recording
from catalog.runs.performing import alone_at, perform_alone
from catalog.storage import Database
from catalog.storage.tables import Run

TASK = "catalog.run"
#: Timeout of broker and worker before a run is sent, in seconds.
ANSWER = 5
#: Seconds after which a run that nobody is at is sent again: its worker was killed, or is busy.
SEND_AGAIN = 60.0
#: Seconds after which Redis delivers an unfinished job to another worker: longer than any job takes.
REDELIVER = 24 * 3600
#: Seconds between two looks how far a run is.
LOOK_EVERY = 0.5


class Sender:
    """Sends runs to the workers, each again when nobody is at it. Not thread-safe."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database
        self._sent: dict[uuid.UUID, float] = {}

    def send(self, run_id: uuid.UUID) -> bool:
        """Whether a worker answered. One that is at another run does not, and finds this one when it is through.

        Raises ConfigError when the broker, or no worker, answers.
        """
        if time.monotonic() < self._sent.get(run_id, float("-inf")) + SEND_AGAIN:
            return False
        self._sent[run_id] = time.monotonic()
        app = make_app(self._settings)
        from kombu.exceptions import OperationalError

        try:
            answered = bool(app.control.ping(timeout=ANSWER, limit=1))
            if not answered and not self._is_one_at_work(run_id):
                raise ConfigError("No worker answers at the broker of CATALOG_JOBS: start one by `catalog worker`.")
            app.send_task(TASK, (str(run_id),), ignore_result=True)
        except (OperationalError, *app.connection().connection_errors) as error:
            raise ConfigError(f"The broker of CATALOG_JOBS does not answer: {error}") from error
        return answered

    def _is_one_at_work(self, but_for: uuid.UUID) -> bool:
        others = (run for run in recording.list_open(self._database) if run.id != but_for and not run.by_command)
        return any(_is_held(self._database, run) for run in others)


def _is_held(database: Database, run: Run) -> bool:
    with alone_at(database, run.kind) as free:
        return not free


def wait_for(database: Database, sender: Sender, run_id: uuid.UUID, told: Callable[[Run], None]) -> Run:
    """Have a worker do a run, and wait until it is over. Raises ConfigError when none has ever answered."""
    answered = False
    while (run := recording.get(database, run_id)).ended_at is None:
        told(run)
        if _is_held(database, run):
            answered = True
        else:
            try:
                answered = sender.send(run_id) or answered
            except ConfigError:
                if not answered:
                    raise
        time.sleep(LOOK_EVERY)
    return run


def make_app(settings: Settings, leaving: Callable[[], bool] = lambda: False) -> Any:
    """The Celery app of the configured broker. Raises ConfigError without the extra `celery`.

    `leaving`: this worker is to end, and gives back what it is at.
    """
    try:
        from celery import Celery
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"CATALOG_JOBS={settings.jobs.split(':')[0]} needs {error.name}: install photo-catalog[celery]."
        ) from None
    app = Celery("catalog", broker=settings.jobs)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        broker_transport_options={"visibility_timeout": REDELIVER} if settings.jobs.startswith("redis") else {},
        broker_connection_timeout=ANSWER,
        broker_connection_retry_on_startup=True,
        worker_hijack_root_logger=False,
    )

    @app.task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]
    def task(run_id: str) -> None:
        perform_alone(settings, uuid.UUID(run_id), leaving=leaving)

    return app


def work(settings: Settings, alive: Path | None = None) -> None:
    """Do runs, one at a time, until SIGTERM or SIGINT, at which a run is given back within seconds.

    `alive`: a file that is touched every few seconds, while there is nothing to do and during a run alike: a worker
    that is at a run answers no ping. Raises ConfigError when CATALOG_JOBS names no broker.
    """
    if settings.jobs == "local":
        raise ConfigError("CATALOG_JOBS is local: jobs run in the process that asks for them, and there is no worker.")
    if settings.log == "json":
        log_lines.begin(settings.log)  # else Celery's own lines of text
    ending = threading.Event()

    def touch(**_: object) -> None:
        if alive is not None:
            alive.touch()

    def leaving() -> bool:  # asked at every step of a run
        touch()
        return ending.is_set()

    app = make_app(settings, leaving)
    from celery import signals

    signals.heartbeat_sent.connect(touch, weak=False)
    signals.worker_shutting_down.connect(lambda **_: ending.set(), weak=False)
    app.worker_main(["worker", "--pool=solo", "--loglevel=INFO", "--without-gossip", "--without-mingle"])
