"""What metrics cost: an answer that is counted, and a scrape of /metrics. p50, p95 and the most, in microseconds.

`.venv/bin/python benchmarks/metrics_cost.py [--threads N]`. An answer counts once by decision, its time whole and by
six steps, and its request; `--threads` count at once, as the lane of tills does. Scrapes are of a small catalog on
SQLite: one that finds what was looked at some seconds ago, and one that has to look.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.recognition import Recognition
from web import create_app
from web.metrics import lookout, of
from web.metrics.recorder import Recorder

TIMES, SCRAPES = 20_000, 100
#: Seconds between two answers of a thread: a till does not ask without end.
PAUSE = 0.0002
STEPS = {"decode": 2.0, "embed": 4.0, "search": 1.5, "barcodes": 3.0, "second_look": 60.0, "facts": 1.0}


def shown(taken: list[float]) -> str:
    taken = sorted(1e6 * each for each in taken)
    return f"p50 {taken[len(taken) // 2]:7.1f}  p95 {taken[len(taken) * 95 // 100]:7.1f}  most {taken[-1]:9.1f}"


def timed(step: Callable[[], object], times: int, pause: float = 0.0) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        step()
        taken.append(time.perf_counter() - began)
        time.sleep(pause)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    given = parser.parse_args()
    answer = Recognition("match", [], "0" * 12, 71.5, np.zeros(256, np.float32), timings=STEPS)
    recorder = Recorder()

    def count() -> None:
        recorder.recognized(answer, "photo")
        recorder.answered("api.recognize", "POST", 200)

    with ThreadPoolExecutor(given.threads) as pool:
        counted = pool.map(lambda _: timed(count, TIMES // given.threads, PAUSE), range(given.threads))
        print(f"{'an answer is counted':28}", shown([each for some in counted for each in some]))
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog.open(Settings.from_env({"CATALOG_DATA": str(Path(folder) / "data")}))
        catalog.generations.ready()
        app = create_app(catalog, "a key of the benchmark, long enough")
        of(app).recognized(answer, "photo")
        client = app.test_client()
        client.get("/metrics")
        print(f"{'a scrape':28}", shown(timed(lambda: client.get("/metrics"), SCRAPES)))
        lookout.KEPT = 0.0
        print(f"{'a scrape that looks anew':28}", shown(timed(lambda: client.get("/metrics"), SCRAPES)))
        catalog.close()


if __name__ == "__main__":
    main()
