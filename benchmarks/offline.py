"""Offline tills: whether they answer as their server, and what an archive and a till cost.

`.venv/bin/python benchmarks/offline.py equal DATA [--references N]`: a catalog of DATA/grocery-store/train (N photos of
each SKU; without it, all), the archive of it, and a till of the archive; then every photo of DATA/grocery-store/val is
asked of both. Both look at a photo for as long as it takes, so that a busy machine changes no answer. Counted: answers
that are the same in all they say, but for id and times.

`.venv/bin/python benchmarks/offline.py cost [--products N] [--photos N]`: a catalog of N products whose photos are
drawn packs with full print, the most that a photo takes in an archive. Only POOL photos are drawn and looked at; the
rest have their features under other names, and vectors of their own, so that the catalog is made in a minute. Measured:
the build (seconds, with the longest time that the catalog's process was held up by it), size of the archive by part, of
a delta after one product was added, installing, the till's start in a process of its own, its memory, and milliseconds
a photo over HTTP on the loopback, one till asking with no pause.

Writes docs/measurements-offline.json, a part for each. `load`: the machine's before and after.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from common.figures import save
from common.timing import quantiles

from catalog import products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.demo import camera
from catalog.demo.products import products as drawn_products
from catalog.enrollment import NewPhoto
from catalog.gallery import GalleryPoint
from catalog.offline import OfflineBundles, Till, TillFolder, TillOptions, install, signing
from catalog.products import Facts, Intake
from catalog.recognition import recognize
from catalog.storage import feature_store
from catalog.storage.tables import Enrollment, Photo, Product
from embedder import datasets
from embedder.matching import to_jpeg

#: Products written at once.
BLOCK = 250
#: Photos that are looked at, of which all others have the features; and photos asked of a till.
POOL, ASKED = 40, 60
KEY = "pc_key of a measurement"
UNHURRIED = 60_000
SEED = 1


def add(catalog: Catalog, sku: str, photos: list[bytes]) -> None:
    shots = [NewPhoto(f"{place}.jpg", data) for place, data in enumerate(photos)]
    products.create(catalog, Facts(sku), shots, Intake("benchmark"))


def opened(data: Path) -> Catalog:
    return Catalog.open(Settings.from_env({"CATALOG_DATA": str(data)}))


def installed(catalog: Catalog, archive: Path, root: Path) -> TillFolder:
    folder = TillFolder(root)
    trusted = folder.trusted([signing.public_text(signing.signing_key(catalog.settings))])
    install(folder, archive, trusted)
    return folder


def said(catalog: Catalog, photo: bytes) -> dict[str, Any]:
    found = recognize(catalog, photo).as_dict()
    return {name: value for name, value in found.items() if name not in ("id", "milliseconds", "timings")}


def equal(data: Path, references: int | None) -> dict[str, Any]:
    load = os.getloadavg()[0]
    known = datasets.find_photos(data / "grocery-store" / "train")
    asked = datasets.find_photos(data / "grocery-store" / "val")
    with tempfile.TemporaryDirectory() as folder:
        plain = opened(Path(folder) / "server")
        catalog = replace(plain, settings=replace(plain.settings, second_look_ms=UNHURRIED))
        for sku, paths in known.items():
            add(catalog, sku.replace("/", "-"), [path.read_bytes() for path in paths[:references]])
        archive = OfflineBundles(catalog).get(wait=3600)
        till = Till(installed(catalog, archive.path, Path(folder) / "till"), TillOptions(KEY))
        decided: Counter[str] = Counter()
        same, queries = 0, [path for paths in asked.values() for path in paths]
        for path in queries:
            here, there = said(catalog, path.read_bytes()), said(till.catalog, path.read_bytes())
            same += here == there
            if here != there:
                print(path, here, there, sep="\n")
            decided[f"{here['decision']} by {here['decided_by']}"] += 1
        points = till.facts.points
        till.close()
        catalog.close()
    return {
        "references": points,
        "queries": len(queries),
        "equal": same,
        "decided": dict(decided.most_common()),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
    }


def fill(catalog: Catalog, count: int, photos: int) -> list[bytes]:
    """Products of which POOL were looked at; returns photos to ask."""
    known = [product for product in drawn_products() if product.known][:POOL]
    for product in known:
        add(catalog, product.sku, [camera.encode(camera.reference(product, 0))])
    live = catalog.generations.ready()
    ids = sorted(catalog.gallery.ids(live.collection))
    pool = catalog.gallery.points(live.collection, ids)
    with catalog.database.read() as session:
        hashes = {str(row.id): row.sha256 for row in session.query(Photo.id, Photo.sha256)}
    looks = {
        point.id: {
            feature_store.KIND: catalog.photos.get_derived(hashes[point.id], feature_store.KIND),
            feature_store.PICTURE: to_small(catalog, hashes[point.id]),
        }
        for point in pool
    }
    rng = np.random.default_rng(SEED)
    rest = range(count - len(known))
    for start in rest[::BLOCK]:
        rows: list[Any] = []
        points: list[GalleryPoint] = []
        for number in rest[start : start + BLOCK]:
            identity = uuid.uuid4()
            rows.append(Product(id=identity, sku=f"P{number}", name=f"Product {number}"))
            for shot in range(photos):
                like = pool[(number * photos + shot) % len(pool)]
                sha256 = hashlib.sha256(f"{number} {shot}".encode()).hexdigest()
                for kind, data in looks[like.id].items():
                    catalog.photos.put_derived(sha256, kind, data or b"")
                vector = rng.standard_normal(len(like.vector)).astype(np.float32)
                vector /= np.linalg.norm(vector)
                photo = uuid.uuid5(identity, sha256)
                rows.append(Photo(id=photo, product_id=identity, sha256=sha256, bytes=1, width=1, height=1))
                rows.append(Enrollment(generation_id=live.generation_id, photo_id=photo, done=True))
                points.append(GalleryPoint(str(photo), vector, f"P{number}", str(identity), like.words))
        with catalog.database.write() as session:
            for kind in (Product, Photo, Enrollment):
                session.add_all(row for row in rows if isinstance(row, kind))
                session.flush()
        catalog.gallery.upsert(live.collection, points)
    return [camera.encode(camera.query(product, index)) for product in known for index in range(2)][:ASKED]


def to_small(catalog: Catalog, sha256: str) -> bytes:
    from PIL import Image

    return to_jpeg(Image.fromarray(feature_store.load_picture(catalog.photos, sha256)))


class HeldUp(threading.Thread):
    """The longest time that a thread which wants to run every 2 ms was held up, in milliseconds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.longest, self.over = 0.0, threading.Event()

    def run(self) -> None:
        before = time.perf_counter()
        while not self.over.is_set():
            time.sleep(0.002)
            now = time.perf_counter()
            self.longest, before = max(self.longest, (now - before) * 1000 - 2), now


def cost(count: int, photos: int) -> dict[str, Any]:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        catalog = opened(root / "server")
        queries = fill(catalog, count, photos)
        bundles = OfflineBundles(catalog)
        held = HeldUp()
        held.start()
        began = time.perf_counter()
        whole = bundles.get(wait=3600)
        seconds = time.perf_counter() - began
        held.over.set()
        add(catalog, "ONE-MORE", [camera.encode(camera.reference(drawn_products()[-1], 0))])
        began = time.perf_counter()
        delta = bundles.get(since=whole.version, wait=3600)
        delta_seconds = time.perf_counter() - began
        began = time.perf_counter()
        whole = bundles.get(wait=3600)
        kept = whole.path
        till = installed(catalog, kept, root / "till")
        install_seconds = time.perf_counter() - began
        parts = sizes(kept)
        figures: dict[str, Any] = {
            "products": count,
            "photos": count * photos,
            "archive_mb": round(kept.stat().st_size / 1e6, 1),
            "of_it_mb": parts,
            "build_seconds": round(seconds, 1),
            "longest_held_up_ms": round(held.longest, 1),
            "delta_kb": round(delta.path.stat().st_size / 1e3, 1),
            "delta_seconds": round(delta_seconds, 1),
            "build_and_install_seconds": round(install_seconds, 1),
            "on_disk_mb": disk_mb(till.root),
        }
        catalog.close()
        figures |= served(root, queries)
    return {**figures, "load": [round(load, 1), round(os.getloadavg()[0], 1)]}


def sizes(archive: Path) -> dict[str, float]:
    """Megabytes of each part of an archive, as it is packed."""
    found: Counter[str] = Counter()
    with zipfile.ZipFile(archive) as zipped:
        for info in zipped.infolist():
            found[info.filename.partition("/")[0].split(".json")[0]] += info.compress_size
    return {name: round(size / 1e6, 2) for name, size in sorted(found.items())}


def disk_mb(folder: Path) -> int:
    return round(sum(path.stat().st_blocks for path in folder.rglob("*")) * 512 / 1e6)


def served(root: Path, queries: list[bytes]) -> dict[str, Any]:
    """Start, memory and answers of `catalog till` in a process of its own."""
    (root / "key").write_text(KEY)
    command = [sys.executable, "-m", "catalog", "till", "--data", str(root / "till"), "--key-file", str(root / "key")]
    env = {name: value for name, value in os.environ.items() if not name.startswith("CATALOG_")}
    began = time.perf_counter()
    process = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True, env=env)
    try:
        address = ""
        while not address:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, "the till did not start"
            address = "".join(re.findall(r"Serving on (\S+)", line))
        start = time.perf_counter() - began
        fresh = memory_of(process.pid)
        times = []
        with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as client:
            for photo in queries[:3] + queries:
                asked = time.perf_counter()
                reply = client.post("/api/v1/recognize", content=photo, headers={"Content-Type": "image/jpeg"})
                times.append((time.perf_counter() - asked) * 1000)
                reply.raise_for_status()
        return {
            "start_seconds": round(start, 2),
            "memory_mb": {"started": fresh, "after_answers": memory_of(process.pid)},
            "milliseconds": quantiles(times[3:]),
        }
    finally:
        process.terminate()
        process.wait(20)


def memory_of(pid: int) -> dict[str, int]:
    """Resident memory of a process, and its own share of it (not of mapped files), in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "RssAnon"))}
    return {"resident": found["VmRSS"] // 1024, "own": found["RssAnon"] // 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    same = kinds.add_parser("equal")
    same.add_argument("data", type=Path)
    same.add_argument("--references", type=int, help="photos of each SKU in the catalog; default: all")
    costs = kinds.add_parser("cost")
    costs.add_argument("--products", type=int, default=5000)
    costs.add_argument("--photos", type=int, default=2, help="photos of each product")
    options = parser.parse_args()
    if options.kind == "equal":
        figures = equal(options.data, options.references)
    else:
        figures = cost(options.products, options.photos)
    for name, value in figures.items():
        print(f"{name:28} {value}")
    save("offline", figures, options.kind)


if __name__ == "__main__":
    main()
