"""Tills beside the staff: what a till waits while nobody works, while an admin pages, and while an import runs.

`.venv/bin/python benchmarks/beside_staff.py`. Two real servers with their defaults, each in its own process, with the
same products: one imports all the while, and is halted (SIGSTOP) while the other, without an import, is asked. The till
asks again 100 ms after each answer, the admin opens another page 200 ms after each, over HTTP on the loopback. The four
kinds take turns, so that other load on the machine affects all of them, and each is compared with the till alone of its
own round. Prints the median of the rounds, the median time of each page, and how fast the import is; writes
docs/measurements-beside-staff.json. Goal: p95 at most 1.5 times that of a till alone.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from common.drawn_photos import draw
from common.figures import save
from common.tills import ask, signed_in, token_in
from common.timing import quantiles

from catalog.demo import camera
from catalog.demo.products import products
from catalog.demo.server import Server, add_product, serve_catalog

ADMIN_PAUSE = 0.2
#: Products of the import: more than it adds in the time, of one photo each. They are like none of the tills' products:
#: those would be answered otherwise, and take longer, also when the import is over.
IMPORTED, SIZE, GRAIN = 400, (900, 1200), 4.0
PAGES = ("/products/", "/products/?view=table&sort=newest", "/inbox/", "/overview/", "/needs-work/", "/duplicates/",
         "/bin/", "/models/", "/people/", "/keys/", "/audit/", "/import/", "/jobs/", "/map/",
         "/map/points")  # fmt: skip
GOAL = 1.5
#: Seconds until the background has compared the products that were just added.
SETTLE = 45.0


@contextmanager
def repeated(work: Callable[[], None], pause: float) -> Iterator[None]:
    """Do it again and again meanwhile, on a thread."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(pause):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    over.set()
    thread.join()


@contextmanager
def halted(server: Server) -> Iterator[None]:
    """The server's process stands still meanwhile."""
    os.kill(server.pid, signal.SIGSTOP)
    yield
    os.kill(server.pid, signal.SIGCONT)


def make_map(admin: httpx.Client) -> None:
    """So that there is one to open."""
    admin.post("/map/make", data={"csrf_token": token_in(admin.get("/map/").text)})
    while "data-map" not in admin.get("/map/").text:
        time.sleep(0.5)


def start_import(admin: httpx.Client) -> str:
    """Upload folders of new products, look at the preview, import; returns where its progress is."""
    files = []
    for number in range(IMPORTED):
        photo = draw(SIZE, GRAIN, seed=number)
        files.append(("files", (f"in/IMPORTED-{number}/1.jpg", photo, "image/jpeg")))
    form = {"csrf_token": token_in(admin.get("/import/").text)}
    job = admin.post("/import/", data=form, files=files).headers["location"]
    while 'action="' + job + '/run"' not in (page := admin.get(job).text):
        time.sleep(0.5)
    admin.post(f"{job}/run", data={"csrf_token": token_in(page)})
    return job


def imported(admin: httpx.Client, job: str) -> int:
    """Photos that the import is through with."""
    found = re.search(r"([\d,]+) of [\d,]+", admin.get(f"{job}/progress").text)
    return int(found.group(1).replace(",", "")) if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="how long a till asks in each turn (default: 5)")
    parser.add_argument("--rounds", type=int, default=8, help="turns of each kind (default: 8)")
    parser.add_argument("--part", default="now", help="what the figures are called in the JSON (default: now)")
    options = parser.parse_args()
    drawn = [product for product in products() if product.known]
    photos = [camera.encode(camera.query(product, 0)) for product in drawn]
    shown: defaultdict[str, list[float]] = defaultdict(list)
    times: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
    rates: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_catalog(Path(folder, "quiet")) as quiet,
        serve_catalog(Path(folder, "importing")) as importing,
        quiet.till() as till,
        importing.till() as other_till,
    ):
        for product in drawn:
            add_product(till, product, 0)
            add_product(other_till, product, 0)
        admins, turn = {quiet.url: signed_in(quiet), importing.url: signed_in(importing)}, iter(range(10**9))

        for admin in admins.values():
            make_map(admin)

        def look(admin: httpx.Client) -> None:
            page = PAGES[next(turn) % len(PAGES)]
            began = time.perf_counter()
            admin.get(page).raise_for_status()
            shown[page].append((time.perf_counter() - began) * 1000)

        def measured(server: Server, till: httpx.Client, *, pages: bool) -> dict[str, float]:
            admin = admins[server.url]
            with repeated(lambda: look(admin), ADMIN_PAUSE) if pages else nullcontext():
                return quantiles(ask(till, photos, options.seconds))

        ask(till, photos, SETTLE)
        job = start_import(admins[importing.url])
        for _ in range(options.rounds):
            with halted(importing):
                times["alone"].append(measured(quiet, till, pages=False))
                times["an admin pages"].append(measured(quiet, till, pages=True))
            before, began = imported(admins[importing.url], job), time.perf_counter()
            times["an import runs"].append(measured(importing, other_till, pages=False))
            times["both"].append(measured(importing, other_till, pages=True))
            rates.append((imported(admins[importing.url], job) - before) / (time.perf_counter() - began))
            assert before < IMPORTED, "the import was over"
        admins[importing.url].post(f"{job}/cancel", data={"csrf_token": token_in(admins[importing.url].get(job).text)})
        ask(other_till, photos, SETTLE)
        with halted(importing):
            times["alone"].append(measured(quiet, till, pages=False))
        times["afterwards, with what was imported"].append(measured(importing, other_till, pages=False))
    figures: dict[str, Any] = {}
    for name, rounds in times.items():
        alone = times["alone"][-len(rounds) :] if name.startswith("afterwards") else times["alone"][: len(rounds)]
        for part in ("p50", "p95"):
            ratios = [taken[part] / lone[part] for taken, lone in zip(rounds, alone, strict=True)]
            figures.setdefault(name, {})[part] = round(median(taken[part] for taken in rounds), 1)
            figures[name][f"{part}_times_alone"] = round(median(ratios), 2)
    print(f"load {os.getloadavg()[0]:.1f}, {options.rounds} rounds of {options.seconds:.0f} s")
    print(f"| tills while | p50 ms | times alone | p95 ms | times alone (goal {GOAL}) |\n|---|---|---|---|---|")
    for name, found in figures.items():
        shares = found["p50_times_alone"], found["p95_times_alone"]
        print(f"| {name} | {found['p50']:.0f} | {shares[0]} | {found['p95']:.0f} | {shares[1]} |")
    print(f"the import: {median(rates):.2f} photos/s beside a till")
    print("| page | ms, median |\n|---|---|")
    for page, taken in sorted(shown.items()):
        print(f"| {page} | {median(taken):.0f} |")
    figures["import_photos_per_second"] = round(median(rates), 2)
    figures["rounds"] = dict(times)
    figures["pages_ms"] = {page: round(median(taken), 1) for page, taken in shown.items()}
    save("beside-staff", figures, options.part)


if __name__ == "__main__":
    main()
