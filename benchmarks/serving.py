"""Serving, end to end: start, memory, adding four photos, recognition. Writes docs/measurements-serving.json.

`make bench`. The server is the real one in its own process; the till is this process, over HTTP on the loopback.
Everything is measured with the second look, and with the first look alone.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from catalog.demo import camera
from catalog.demo.products import products
from catalog.demo.server import serve_catalog

ROUNDS = 300


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def quantiles(times: list[float]) -> dict[str, float]:
    """Median and 95th percentile, in milliseconds."""
    ordered = sorted(times)
    return {"p50": round(statistics.median(ordered), 1), "p95": round(ordered[int(len(ordered) * 0.95)], 1)}


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


def main() -> None:
    figures = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "second_look": {name: measure(name) for name in ("auto", "off")},
    }
    path = Path(__file__).parents[1] / "docs" / "measurements-serving.json"
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
