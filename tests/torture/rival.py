"""`python -m tests.torture.rival NUMBER SEED ROUNDS [worker]`: eight threads that change the same products as others.

Waits for a line on its standard input, prints a JSON line: how each change ended, and what was no typed error.
"""

from __future__ import annotations

import json
import random
import sys
import threading
from collections import Counter
from pathlib import Path

from catalog import products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment import Worker
from catalog.errors import ConflictError, NotFoundError
from catalog.gallery.edge import EdgeGallery
from catalog.products import Facts
from tests.support import catalogs
from tests.torture.acting import Acting, state
from tests.torture.model import GTINS
from tests.torture.plans import draw

THREADS = 8
SKUS = ["S0", "S1", "S2", "S3"]
PHOTOS = list(range(10))
#: Its name counts the changes that were acknowledged.
COUNTER = "COUNTER"


def work(catalog: Catalog, chance: random.Random, rounds: int, tally: Counter[str], wrong: list[str]) -> None:
    acting = Acting(catalog)
    for _ in range(rounds):
        try:
            tally[count(catalog)] += 1
            # Drawn from what was there a moment ago: some of it is refused, as it must be.
            model = state(catalog)
            model.products.pop(COUNTER)
            op = draw(chance, model, SKUS, PHOTOS, GTINS)
            tally[f"{op.kind}: {acting.perform(op) or 'done'}"] += 1
        except Exception as error:
            wrong.append(repr(error))


def count(catalog: Catalog) -> str:
    """One more, if nobody was faster."""
    try:
        seen = products.get(catalog.database, COUNTER)
        products.change(catalog.database, Facts(COUNTER, str(int(seen.name) + 1)), version=seen.version, actor="rival")
    except NotFoundError:
        return "count: none"
    except ConflictError:
        return "count: conflict"
    return "count: done"


if __name__ == "__main__":
    number, seed, rounds = map(int, sys.argv[1:4])
    settings = Settings.from_env()
    catalog = Catalog.open(settings)
    if len(sys.argv) > 4:
        catalog.generations.ready()
        worker = Worker(catalog, every=0.05)
        worker.start()
    else:  # the gallery is the other's; no need to wait for it at every change
        gallery = EdgeGallery(Path(settings.gallery.removeprefix("edge:")), lock_wait=0)
        catalog = catalogs.with_gallery(catalog, gallery)
        catalog.generations.live()
    print("open", flush=True)
    sys.stdin.readline()
    tally: Counter[str] = Counter()
    wrong: list[str] = []
    threads = [
        threading.Thread(target=work, args=(catalog, random.Random(f"{seed}/{number}/{n}"), rounds, tally, wrong))
        for n in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"tally": tally, "wrong": wrong}), flush=True)
    sys.stdin.readline()
    if len(sys.argv) > 4:
        worker.stop()
    catalog.close()
