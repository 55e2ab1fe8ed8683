"""A rollback that a page asks for: in a process of its own, as every re-embedding, while this one serves."""

from __future__ import annotations

import logging
import multiprocessing
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import CatalogError, ConflictError
from catalog.generations import live_generation
from catalog.maintenance.jobs import run_reembed
from catalog.progress import no_progress
from embedder.errors import EmbedderError

log = logging.getLogger(__name__)


class RollingBack:
    """Starts a rollback, one at a time, and knows how it went. Thread-safe.

    The process ends with this one; what it had done is there for the next try. Where CATALOG_JOBS names a broker, the
    process waits for a worker to do it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._said: Connection | None = None
        self._failure = ""

    def start(self, catalog: Catalog, live: str, *, actor: str) -> None:
        """Go back to the model before the live one, which is `live` (its bundle's id), as the person saw it.

        Raises ConflictError when another one is live by now, none was before it, or a rollback is at work.
        """
        with self._lock:
            if self._is_running():
                raise ConflictError("It is being switched back already.")
            with catalog.database.read() as session:
                row = live_generation(session)
            if row is None or row.bundle_id != live or row.previous_id is None:
                raise ConflictError("Another model is live by now, or none was before it: look again.")
            # Started anew, not forked: threads of this process may hold locks.
            spawning = multiprocessing.get_context("spawn")
            self._said, said = spawning.Pipe(duplex=False)
            self._failure = ""
            given = (catalog.settings, actor, said)
            self._process = spawning.Process(target=_roll_back, args=given, name="rollback", daemon=True)
            self._process.start()
            said.close()

    @property
    def is_running(self) -> bool:
        """Whether it is at work."""
        with self._lock:
            return self._is_running()

    @property
    def failure(self) -> str:
        """Why the last one did not switch; "" if it did, or is at work."""
        with self._lock:
            if self._is_running() or self._process is None:
                return ""
            if not self._failure and self._process.exitcode:
                self._failure = "It ended before it had switched; the log says why."
                if self._said is not None and self._said.poll():
                    self._failure = str(self._said.recv())
            return self._failure

    def _is_running(self) -> bool:
        return self._process is not None and self._process.is_alive()


def _roll_back(settings: Settings, actor: str, said: Connection) -> None:
    """The process: exit status 1, and a sentence, when it failed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        run_reembed(settings, None, rollback=True, actor=actor, progress=no_progress)
    except (CatalogError, EmbedderError) as error:
        log.error("the rollback failed: %s", error)
        said.send(str(error))
        raise SystemExit(1) from None
