"""The real server in a process of its own, and a till that talks to it: for the demo, the benchmarks, the pictures."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from catalog.demo import camera
from catalog.demo.products import Product

REFERENCES = 4  # photos that a product is added with
#: Seconds that the server may take to start on a slow machine.
START = 60
#: Settings that a measurement may choose; all others are the embedded default's, whatever is set here.
MEASURED = ("CATALOG_MODEL", "CATALOG_SECOND_LOOK")


@dataclass(frozen=True)
class Server:
    """A running server: its address, a till's key, its process, seconds until it listened.

    `first_start`: the link that makes the first account.
    """

    url: str
    key: str
    first_start: str
    pid: int
    seconds: float

    def till(self) -> httpx.Client:
        """A client with the key."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=30)


@contextlib.contextmanager
def serve_catalog(data: Path, *options: str) -> Iterator[Server]:
    """Serve the catalog in `data` on a free port, with the embedded default of everything but what is MEASURED.

    `options` of `catalog serve`. Ends the program with the server's own words when it does not start.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CATALOG_")}
    environment["CATALOG_DATA"] = str(data)
    environment |= {name: os.environ[name] for name in MEASURED if os.environ.get(name)}
    catalog = [sys.executable, "-m", "catalog"]
    key = [*catalog, "key", "create", "demo", "--scope", "recognize", "--scope", "catalog:write"]
    made = subprocess.run(key, env=environment, stdout=subprocess.PIPE, check=True)  # noqa: S603
    log_path = data / "server.log"
    with log_path.open("w+") as log:
        began = time.monotonic()
        serve = [*catalog, "serve", "--port", "0", *options]
        process = subprocess.Popen(serve, env=environment, stdout=log, stderr=log)  # noqa: S603
        try:
            said = _wait_for_address(process, log_path)
            address = re.search(r"Serving on (\S+)", said)
            first_start = re.search(r"First start: (\S+)", said)
            yield Server(
                url=address.group(1) if address else "",
                key=made.stdout.decode().strip(),
                first_start=first_start.group(1) if first_start else "",
                pid=process.pid,
                seconds=time.monotonic() - began,
            )
        finally:
            process.terminate()
            process.wait(10)


def _wait_for_address(process: subprocess.Popen[bytes], log_path: Path) -> str:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        said = log_path.read_text()
        if "Serving on" in said:
            return said
        if process.poll() is not None:
            break
        time.sleep(0.02)
    sys.exit(f"The server did not start:\n{log_path.read_text()}")


def add_product(till: httpx.Client, product: Product, seed: int) -> dict[str, Any]:
    """Add a product with its reference photos; the server's reply. Ends the program when it is refused."""
    photos = [
        ("photos", (f"{product.sku}-{i}.jpg", camera.encode(camera.reference(product, i, seed)), "image/jpeg"))
        for i in range(REFERENCES)
    ]
    facts = {"sku": product.sku, "name": product.name, "brand": product.brand}
    reply = till.post("/api/v1/products", data=facts, files=photos)
    if reply.status_code != 201:
        sys.exit(f"{product.sku} was not added: {reply.text}")
    added: dict[str, Any] = reply.json()
    return added
