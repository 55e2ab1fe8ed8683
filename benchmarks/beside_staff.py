"""Tills beside the staff: what a till waits while nobody works, while an admin pages, while all photos are examined and
the catalog is checked, and while an import runs.

`.venv/bin/python benchmarks/beside_staff.py`. The real server with its defaults in its own process; the till asks
again 100 ms after each answer, the admin opens another page 200 ms after each, over HTTP on the loopback. Prints a
table, and the median time of each page; writes docs/measurements-beside-staff.json. Goal: p95 at most 1.5 times that
of a till alone.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from common.figures import save
from common.timing import quantiles

from catalog.demo import camera
from catalog.demo.products import products
from catalog.demo.server import Server, add_product, serve_catalog

TILL_PAUSE, ADMIN_PAUSE, RUN_PAUSE = 0.1, 0.2, 1.0
#: Products of the import: more than it adds in the time.
IMPORTED = 400
PAGES = ("/products/", "/products/?view=table&sort=newest", "/inbox/", "/overview/", "/needs-work/", "/duplicates/",
         "/bin/", "/jobs/", "/models/", "/people/", "/keys/", "/audit/", "/import/")  # fmt: skip
GOAL = 1.5


def signed_in(server: Server) -> httpx.Client:
    """The first admin."""
    client = httpx.Client(base_url=server.url, timeout=60)
    page = client.get(server.first_start).text
    form = {"csrf_token": token_in(page), "name": "admin", "password": secrets.token_urlsafe(12)}
    assert client.post(server.first_start, data=form).status_code == 302
    return client


def token_in(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found.group(1)


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


def ask(till: httpx.Client, photos: list[bytes], seconds: float) -> list[float]:
    """Milliseconds of each answer to one till."""
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        began = time.perf_counter()
        till.post("/api/v1/recognize", content=photos[len(times) % len(photos)]).raise_for_status()
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(TILL_PAUSE)
    return times


def start_import(admin: httpx.Client) -> str:
    """Upload folders of new products, look at the preview, import; returns where its progress is."""
    drawn = [product for product in products() if product.known]
    files = []
    for number in range(IMPORTED):
        photo = camera.encode(camera.reference(drawn[number % len(drawn)], number // len(drawn)))
        files.append(("files", (f"in/IMPORTED-{number}/1.jpg", photo, "image/jpeg")))
    form = {"csrf_token": token_in(admin.get("/import/").text)}
    job = admin.post("/import/", data=form, files=files).headers["location"]
    while 'action="' + job + '/run"' not in (page := admin.get(job).text):
        time.sleep(0.5)
    admin.post(f"{job}/run", data={"csrf_token": token_in(page)})
    return job


def ask_for_run(admin: httpx.Client, page: str, run: str) -> None:
    """Again as soon as the one before is over; until then it is refused."""
    admin.post(f"{page}{run}", data={"csrf_token": token_in(admin.get(page).text)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the till asks in each part (default: 20)")
    seconds = parser.parse_args().seconds
    drawn = [product for product in products() if product.known]
    photos = [camera.encode(camera.query(product, 0)) for product in drawn]
    shown: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, serve_catalog(Path(folder)) as server, server.till() as till:
        for product in drawn:
            add_product(till, product, 0)
        admin, turn = signed_in(server), iter(range(10**9))

        def look() -> None:
            page = PAGES[next(turn) % len(PAGES)]
            began = time.perf_counter()
            admin.get(page).raise_for_status()
            shown[page].append((time.perf_counter() - began) * 1000)

        ask(till, photos, seconds)  # warms up, and lets the background settle
        figures: dict[str, Any] = {"alone": quantiles(ask(till, photos, seconds))}
        with repeated(look, ADMIN_PAUSE):
            figures["an admin pages"] = quantiles(ask(till, photos, seconds))
        with repeated(lambda: ask_for_run(admin, "/needs-work/", "examine"), RUN_PAUSE):
            figures["all photos are examined"] = quantiles(ask(till, photos, seconds))
        with repeated(lambda: ask_for_run(admin, "/overview/", "check"), RUN_PAUSE):
            figures["the catalog is checked"] = quantiles(ask(till, photos, seconds))
        start_import(admin)
        figures["an import runs"] = quantiles(ask(till, photos, seconds))
        with repeated(look, ADMIN_PAUSE):
            figures["both"] = quantiles(ask(till, photos, seconds))
    alone = figures["alone"]["p95"]
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"| tills while | p50 ms | p95 ms | times alone (goal {GOAL}) |\n|---|---|---|---|")
    for name, times in figures.items():
        print(f"| {name} | {times['p50']:.0f} | {times['p95']:.0f} | {times['p95'] / alone:.1f} |")
    print("| page | ms, median |\n|---|---|")
    for page, times in sorted(shown.items()):
        print(f"| {page} | {median(times):.0f} |")
    save("beside-staff", {**figures, "pages_ms": {page: round(median(times), 1) for page, times in shown.items()}})


if __name__ == "__main__":
    main()
