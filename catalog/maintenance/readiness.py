"""Readiness of all parts, told at once also while one of them does not answer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, wait
from dataclasses import dataclass

from catalog import products
from catalog.catalog import Catalog
from catalog.errors import CatalogError, DatabaseUnavailableError, GalleryUnavailableError
from catalog.products import Counts

#: Seconds that a look may take before the answer is "not ready", and after which the next look starts beside it.
PATIENCE, GIVEN_UP = 2.0, 60.0


@dataclass(frozen=True)
class Ready:
    """The live bundle's id, what SQL counts, the points in the gallery, and whether it was lost and is filled again."""

    bundle: str
    counts: Counts
    points: int
    refilling: bool


class _Look:
    """One look, by a thread of its own. `part` is the one that it waits for."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.part: type[CatalogError] = DatabaseUnavailableError
        self.found: Future[Ready] = Future()

    def run(self, catalog: Catalog) -> None:
        """Look at all parts."""
        try:
            live = catalog.generations.live()
            self.part = GalleryUnavailableError
            catalog.generations.ensure_collection(live)
            points = catalog.gallery.count(live.collection)
            self.part = DatabaseUnavailableError
            counts = products.counts(catalog.database)
            refilling = catalog.generations.is_refilling(live)
            self.found.set_result(Ready(live.embedder.bundle.id, counts, points, refilling))
        except BaseException as error:
            self.found.set_exception(error)


class Readiness:
    """Looks at database, model and gallery: a silent part holds up no request. Thread-safe.

    One look at a time: who asks meanwhile waits for the same one.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._look: _Look | None = None

    def check(self) -> Ready:
        """What a look found, within PATIENCE. Raises the CatalogError of the part that can't be used."""
        look = self._current()
        wait([look.found], PATIENCE)
        if look.found.done():
            return look.found.result()
        name = "gallery" if look.part is GalleryUnavailableError else "database"
        raise look.part(f"The {name} has not answered within {PATIENCE:.0f} s.")

    def _current(self) -> _Look:
        with self._lock:
            look = self._look
            if look is None or look.found.done() or time.monotonic() > look.began + GIVEN_UP:
                look = self._look = _Look()
                threading.Thread(target=look.run, args=[self._catalog], name="readiness", daemon=True).start()
            return look
