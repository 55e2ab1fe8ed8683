"""Serving, end to end: start, memory, adding, recognition, overload, connections.

`make bench` writes docs/measurements-serving.json; `--load`: overload and connections alone, the others are kept.
The server is the real one in its own process; the till is this process, over HTTP on the loopback. Start, adding and
recognition are measured with the second look, and with the first look alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import load
from common.timing import quantiles

from catalog.demo import camera
from catalog.demo.products import products
from catalog.demo.server import add_product, serve_catalog

ROUNDS = 300
#: How much more is asked than can be answered, and for how many seconds.
TIMES, SECONDS = 4, 15
#: Silent connections, and tills that keep theirs.
IDLE, TILLS = 500, 500


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def measure(second_look: str) -> dict[str, Any]:
    """Measure with this value of CATALOG_SECOND_LOOK."""
    os.environ["CATALOG_SECOND_LOOK"] = second_look
    drawn = [product for product in products() if product.known]
    with tempfile.TemporaryDirectory() as folder, serve_catalog(Path(folder)) as server:
        began = time.perf_counter()
        with server.till() as till:
            till.get("/health/ready").raise_for_status()
            first_answer = server.seconds + time.perf_counter() - began
            adds, server_adds = [], []
            for product in drawn:
                photos = [camera.encode(camera.reference(product, i)) for i in range(4)]
                began = time.perf_counter()
                files = [("photos", (f"{i}.jpg", photo, "image/jpeg")) for i, photo in enumerate(photos)]
                reply = till.post("/api/v1/products", data={"sku": product.sku}, files=files)
                adds.append((time.perf_counter() - began) * 1000)
                if reply.status_code != 201 or not reply.json()["searchable"]:
                    sys.exit(f"not searchable: {reply.text}")
                server_adds.append(reply.json()["milliseconds"])
            queries = [camera.encode(camera.query(product, 0)) for product in drawn]
            round_trips, inside = [], []
            for i in range(ROUNDS):
                began = time.perf_counter()
                reply = till.post("/api/v1/recognize", content=queries[i % len(queries)])
                round_trips.append((time.perf_counter() - began) * 1000)
                inside.append(reply.json()["milliseconds"])
            return {
                "bundle": till.get("/health/ready").json()["bundle"],
                "first_answer_seconds": round(first_answer, 2),
                "add_4_photos_ms": quantiles(adds),
                "add_4_photos_inside_ms": quantiles(server_adds),
                "recognize_ms": quantiles(round_trips),
                "recognize_inside_ms": quantiles(inside),
                "memory_mb": round(resident_mb(server.pid)),
            }


def told(replies: list[load.Reply]) -> dict[str, Any]:
    """Times of what was answered and of what was refused, and how many got neither."""
    answered = [reply.milliseconds for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status == 503]
    return {
        "asked": len(replies),
        "answered": len(answered),
        "answered_ms": quantiles(answered) if answered else None,
        "refused": len(refused),
        "refused_ms": quantiles([reply.milliseconds for reply in refused]) if refused else None,
        "refused_without_retry_after": sum(not reply.retry_after for reply in refused),
        "neither": len(replies) - len(answered) - len(refused),
    }


def measure_load() -> dict[str, Any]:
    """One till, as many as can be answered, TIMES as many, one till afterwards; then many connections."""
    os.environ["CATALOG_SECOND_LOOK"] = "auto"
    drawn = [product for product in products() if product.known]
    with tempfile.TemporaryDirectory() as folder, serve_catalog(Path(folder)) as server:
        with server.till() as till:
            for product in drawn:
                add_product(till, product, 0)
        photos = [camera.encode(camera.query(product, 0)) for product in drawn]
        target = load.Target(server.url, server.key)
        asyncio.run(load.one_after_another(target, photos, 1, 20))  # warms up
        alone = asyncio.run(load.one_after_another(target, photos, 1, 100))
        cores = max(2, len(os.sched_getaffinity(0)))
        began = time.perf_counter()
        busy = asyncio.run(load.one_after_another(target, photos, cores, 50))
        rate = len(busy) / (time.perf_counter() - began)
        asked, health = asyncio.run(load.at_rate(target, photos, TIMES * rate, SECONDS))
        after = asyncio.run(load.one_after_another(target, photos, 1, 1))
        return {
            "load_average": round(os.getloadavg()[0], 1),
            "one_till": told(alone),
            "answered_a_second": round(rate, 1),
            f"asked_{TIMES}_times_as_many": told(asked),
            "health_meanwhile": told(health),
            "one_till_afterwards": told(after),
            f"{TILLS}_tills_beside_{IDLE}_idle": told(asyncio.run(load.beside_idle(target, photos, IDLE, TILLS))),
            "memory_mb": round(resident_mb(server.pid)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", action="store_true", help="overload and connections alone")
    path = Path(__file__).parents[1] / "docs" / "measurements-serving.json"
    figures = json.loads(path.read_text())
    if not parser.parse_args().load:
        figures |= {
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
            "second_look": {name: measure(name) for name in ("auto", "off")},
        }
    figures["load"] = measure_load()
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
