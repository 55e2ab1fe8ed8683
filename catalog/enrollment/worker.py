"""The background thread that retries what is pending."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from catalog.catalog import Catalog
from catalog.enrollment import early_uploads
from catalog.enrollment.outbox import run_pending
from catalog.errors import CatalogError
from catalog.margins import Upkeep
from catalog.right_of_way import mark_background
from catalog.storage import bin_rows, change_feed, named_requests

log = logging.getLogger(__name__)

#: Seconds that the worker waits, at most, while a part is unavailable, and after an unexpected error.
LONGEST_WAIT, UNKNOWN_WAIT = 4.0, 4.0
#: Seconds between two deletions of what has expired in the answer log, the inbox, the bin, the feed of changes and the
#: requests.
TRIM_EVERY = 3600.0


class Worker:
    """A thread in the serving process: retries what is pending, writes the answer log, the photos for the inbox and
    when keys and sessions were last used, releases generations that are no longer live, and, while nothing is pending,
    keeps the products' margins up to date.

    `also`: what else there is to do then, of packages above this one, and `last` what there is to do when there is
    nothing else; `always`: what is done in each turn, since another process waits for it. Each returns how much it did.
    """

    def __init__(
        self,
        catalog: Catalog,
        every: float = 1.0,
        *,
        also: Callable[[Catalog], int] = lambda catalog: 0,
        last: Callable[[Catalog], int] = lambda catalog: 0,
        always: Callable[[Catalog], int] = lambda catalog: 0,
    ) -> None:
        self._catalog, self._every, self._also, self._last, self._always = catalog, every, also, last, always
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and wait for the change in progress."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        mark_background()
        wait, trim_at = self._every, 0.0
        upkeep = Upkeep(self._catalog)
        while not self._stop.wait(wait):
            began = time.monotonic()
            try:
                self._catalog.answers.flush()
                self._catalog.unanswered.flush()
                self._catalog.uses.flush()
                if began >= trim_at:
                    self._catalog.unanswered.trim()
                    early_uploads.trim(self._catalog.database)
                    trimmed = self._catalog.answers.trim() + bin_rows.trim(self._catalog.database)
                    trimmed += change_feed.trim(self._catalog.database, self._catalog.settings.changes_days)
                    trimmed += named_requests.trim(self._catalog.database)
                    trim_at = began + (0 if trimmed else TRIM_EVERY)  # at once again until none is left
                self._catalog.generations.release_old()
                worked = run_pending(self._catalog, fresh=False) or self._also(self._catalog) or upkeep.run()
                worked = worked or self._last(self._catalog)
                worked = self._always(self._catalog) or worked
                wait = 0.05 if worked else self._every
            except CatalogError as error:
                # Exponential backoff with a low limit: the part may take a while to come back.
                wait = min(LONGEST_WAIT, wait * 2)
                log.warning("still pending, next try in %.0f s: %s", wait, error)
            except Exception:
                log.exception("the outbox failed after %.1f s", time.monotonic() - began)
                wait = UNKNOWN_WAIT
