"""Coverage as a run: what it finds of each product is kept as it goes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable

from catalog.catalog import Catalog
from catalog.maintenance import Coverage, coverage, coverage_results
from catalog.runs.tasks import Outcome, Task
from catalog.storage import Database

#: Seconds between two writes of what was found: each waits for the disk.
KEEP_EVERY = 2.0


def work(catalog: Catalog, task: Task) -> Outcome:
    """Examine every active product that this run has not examined yet. Raises a GalleryError."""
    there = coverage_results.examined(catalog.database, task.id, catalog.generations.live().generation_id)
    found = coverage.examine_coverage(catalog, leaving_out=there, polite=True, progress=task.progress)
    return keep_all(catalog.database, task.id, found)


def keep_all(database: Database, run_id: uuid.UUID, found: Iterable[Coverage]) -> Outcome:
    """Keep all that is found, and at the end the figures of the whole catalog."""
    waiting: list[Coverage] = []
    kept_at = time.monotonic()
    try:
        for product in found:
            waiting.append(product)
            if time.monotonic() > kept_at + KEEP_EVERY:
                waiting, ready = [], waiting
                coverage_results.keep(database, run_id, ready)
                kept_at = time.monotonic()
    finally:  # when it is stopped, too
        coverage_results.keep(database, run_id, waiting)
    day = coverage_results.complete(database, run_id)
    figures = {"products": day.products, "asked": day.asked, "found": day.found, "needy": day.needy}
    if not day.asked:
        return Outcome("No product has two photos that can be read, so none could be asked.", figures)
    share = f"{day.found} of {day.asked} photos ({day.found / day.asked:.0%}) find their product by its other photos"
    return Outcome(f"{share}; {day.needy} of {day.products} products need another photo.", figures)
