"""`python -m tests.torture.victim < PLANS`: the library, made to work by several threads until it is killed.

PLANS is JSON: a list of lists of changes, one for each thread. Prints `open`, then `THREAD ERROR-CODE` (or `THREAD -`)
after each change, when the caller has it acknowledged.
"""

from __future__ import annotations

import json
import sys
import threading

from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment import Worker
from tests.torture.acting import Acting
from tests.torture.model import Op


def work(number: int, acting: Acting, plan: list[dict[str, object]]) -> None:
    for op in plan:
        code = acting.perform(Op(**op))  # type: ignore[arg-type]
        sys.stdout.write(f"{number} {code or '-'}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    plans = json.load(sys.stdin)
    catalog = Catalog.open(Settings.from_env())
    catalog.generations.ready()
    worker = Worker(catalog, every=0.2)
    worker.start()
    print("open", flush=True)
    threads = [threading.Thread(target=work, args=(n, Acting(catalog), plan)) for n, plan in enumerate(plans)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    worker.stop()
    catalog.close()
    print("end", flush=True)
