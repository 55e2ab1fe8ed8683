"""The thread that delivers: in each serving process, and at work in one of them."""

from __future__ import annotations

import logging
import threading

from catalog.catalog import Catalog
from catalog.errors import CatalogError
from catalog.webhooks.delivering import deliver_due

log = logging.getLogger(__name__)

#: Seconds between two looks for something to deliver, and after an error.
EVERY, WAIT = 1.0, 5.0


class WebhookWorker:
    """A thread in the serving process. It waits for receivers, not for tills: its own work is a few queries."""

    def __init__(self, catalog: Catalog, every: float = EVERY) -> None:
        self._catalog, self._every = catalog, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and wait for the delivery in progress."""
        self._stop.set()
        self._thread.join()

    def step(self) -> int:
        """Deliver what is due, unless another process does; returns how many were taken."""
        with self._catalog.database.alone("webhooks") as alone:
            return deliver_due(self._catalog.database, self._catalog.settings, self._stop.is_set) if alone else 0

    def _run(self) -> None:
        wait = self._every
        while not self._stop.wait(wait):
            try:
                wait = 0.0 if self.step() else self._every
            except CatalogError as error:
                log.warning("webhooks wait: %s", error)
                wait = WAIT
            except Exception:
                log.exception("webhooks wait")
                wait = WAIT
