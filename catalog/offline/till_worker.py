"""The thread of a till that keeps it up to date, and brings what it was told to the server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from catalog.errors import BundleBuildingError, CatalogError
from catalog.offline.errors import BundleRefusedError, ServerUnreachableError
from catalog.offline.opening import Till
from catalog.offline.server_link import ServerLink, send_waiting
from catalog.right_of_way import mark_background

log = logging.getLogger(__name__)

#: Seconds between two writes of the answer log.
FLUSH = 2.0


class TillWorker:
    """Writes the till's log, and every `seconds` sends what waits and looks for a newer archive.

    `link` None: the till has no server, and what it is told waits on its disk. `switched` is called after a switch.
    """

    def __init__(
        self,
        till: Till,
        link: ServerLink | None,
        trusted: Sequence[str],
        *,
        seconds: float,
        thumbnails: bool = False,
        switched: Callable[[], None] = lambda: None,
    ) -> None:
        self._till, self._link, self._trusted = till, link, trusted
        self._seconds, self._thumbnails, self._switched = seconds, thumbnails, switched
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="till", daemon=True)
        self._silent = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is half done is begun again at the next start."""
        self._stopped.set()
        self._thread.join(5)

    def turn(self) -> None:
        """Send what waits, and update, once. Raises nothing that a till could not go on after."""
        if self._link is None:
            return
        try:
            for refusal in send_waiting(self._till.answers, self._link):
                log.warning("the server does not take %s: %s", refusal.get("id"), refusal.get("detail"))
            self._update(self._link)
            self._silent = False
        except BundleBuildingError:
            log.info("the server builds a newer archive: this till asks again")
        except ServerUnreachableError as error:
            if not self._silent:  # once, not every minute of a night
                log.warning("%s What this till is told waits on its disk.", error)
            self._silent = True
        except CatalogError as error:
            log.error("%s: %s", error.code, error)

    def _update(self, link: ServerLink) -> None:
        folder = self._till.folder
        target = folder.archives / "fetched.zip"
        try:
            if not link.fetch(self._till.facts.version, target, thumbnails=self._thumbnails):
                return
            try:
                changed = self._till.install(target, self._trusted)
            except BundleRefusedError as error:
                log.warning("%s The whole archive is fetched instead.", error)
                link.fetch("", target, thumbnails=self._thumbnails)
                changed = self._till.install(target, self._trusted)
            if changed:
                self._switched()
        finally:
            target.unlink(missing_ok=True)

    def _run(self) -> None:
        mark_background()
        waited = self._seconds
        while not self._stopped.wait(min(FLUSH, self._seconds)):
            waited += FLUSH
            try:
                self._till.answers.flush()
                if waited >= self._seconds:
                    waited = 0.0
                    self.turn()
                    self._till.answers.trim()
            except Exception:  # whatever happens, the till serves on, and tries again
                log.exception("the till's background work failed")
