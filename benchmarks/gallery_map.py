"""The gallery map: the libraries that could make it, what making it takes, its page, and the tills meanwhile.

`.venv/bin/python benchmarks/gallery_map.py [PART ...] [--sizes 10000 40000] [--vectors FILE] [--photos FOLDER ...]`

Parts, all without any: `libraries` (each that is installed, in a process of its own, on one thread; how many of a
photo's 10 nearest photos are among the 10 nearest on the map, of 1,000 photos), `making` (`map_gallery` of an embedded
catalog: time, CPU and memory), `page` (what the page asks of SQL), `frames` (drawing and moving, in headless Chromium
without a GPU), `tills` (their p95 while a map is made). Vectors: of all photos in the folders, by the released bundle,
kept in FILE for the next time; each further one is a copy with noise (cosine about 0.95). Without photos they are
drawn, in families of look-alikes. Writes parts `gallery_map_*` of docs/measurements-catalog.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from common import product_list
from common.figures import save
from common.tills import ask, sign_in_first, signed_in, token_in
from common.timing import quantiles
from sqlalchemy import insert

from catalog import gallery_map
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.demo import camera
from catalog.demo.products import products
from catalog.demo.server import add_product, serve_catalog
from catalog.gallery import GalleryPoint
from catalog.gallery_map import layout, look_alikes, map_rows, showing
from catalog.gallery_map.computing import MapOutput
from catalog.gallery_map.neighbors import find_neighbors
from catalog.storage.tables import Enrollment, Photo, Product
from embedder.bundle import RELEASED
from embedder.errors import ImageError
from embedder.inference import Embedder

PARTS = ("libraries", "making", "page", "frames", "tills")
DIM, SEED = 256, 1
#: Noise of a copy, by coordinate; photos of a product where they are drawn.
NOISE, EACH = 0.02, 4
#: Photos whose neighbours are compared, and neighbours.
SAMPLE, KEPT = 1000, 10
QUESTIONS = 15
VIEWS = {"laptop": (1280, 900), "phone": (390, 844)}

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int32]


def vectors_of(count: int, given: argparse.Namespace) -> tuple[Floats, Numbers]:
    """So many vectors, and the number of each one's product."""
    rng = np.random.default_rng(SEED)
    if given.vectors is None:
        families = unit(rng.normal(size=(max(1, count // 400), DIM)))
        middles = unit(
            families[np.arange(-(-count // EACH)) % len(families)] + unit(rng.normal(size=(-(-count // EACH), DIM)))
        )
        numbers = np.repeat(np.arange(len(middles), dtype=np.int32), EACH)[:count]
        return unit(middles[numbers] + 0.5 * unit(rng.normal(size=(count, DIM)))), numbers
    known = np.load(given.vectors)
    found, numbers = known["vectors"].astype(np.float32), known["products"].astype(np.int32)
    if count <= len(found):
        some = np.sort(rng.permutation(len(found))[:count])
        return found[some], numbers[some]
    more = rng.integers(len(found), size=count - len(found))
    copies = unit(found[more] + rng.normal(0, NOISE, (len(more), DIM)))
    return np.concatenate([found, copies]), np.concatenate([numbers, numbers[more]])


def unit(vectors: npt.NDArray[Any]) -> Floats:
    found: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found


def embed(folders: list[Path], file: Path) -> None:
    """Embed all photos of the folders; those of one folder are a product."""
    embedder = Embedder.open(RELEASED)
    kinds = {".jpg", ".jpeg", ".png", ".webp"}
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in kinds)

    def look(path: Path) -> Floats | None:
        try:
            return embedder.embed_bytes(path.read_bytes())
        except ImageError:
            return None

    found = [
        (vector, str(path.parent))
        for path, vector in zip(paths, embedder.map(look, paths), strict=True)
        if vector is not None
    ]
    numbers = np.unique([name for _, name in found], return_inverse=True)[1]
    np.savez(file, vectors=np.stack([vector for vector, _ in found]), products=numbers)


def measured(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    began, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(time.process_time() - cpu, 1)}


def with_library(name: str, vectors: Floats) -> npt.NDArray[Any]:
    """The places that a library gives, with its defaults but for cosines and one thread."""
    found: npt.NDArray[Any]
    if name == "openTSNE":
        near = find_neighbors(vectors, np.zeros(len(vectors), np.int32), layout.near_of(len(vectors)))
        return layout.lay_out(vectors, near)
    if name == "umap":
        found = importlib.import_module(name).UMAP(metric="cosine", random_state=SEED, n_jobs=1).fit_transform(vectors)
    elif name == "pacmap":
        found = importlib.import_module(name).PaCMAP(distance="angular", random_state=SEED).fit_transform(vectors)
    else:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE

        of_sklearn = {
            "sklearn-tsne": lambda: TSNE(metric="cosine", init="pca", perplexity=15, random_state=SEED, n_jobs=1),
            "sklearn-pca": lambda: PCA(2, random_state=SEED),
        }
        found = of_sklearn[name]().fit_transform(vectors)
    return np.asarray(found)


def one_library(name: str, given: argparse.Namespace) -> None:
    """Print the figures of one library at one size, as JSON; none where it is not installed."""
    vectors, _ = vectors_of(given.sizes[0], given)
    try:
        importlib.import_module("sklearn" if name.startswith("sklearn") else name)
    except ImportError:
        print("null")
        return
    places, took = measured(lambda: with_library(name, vectors))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps({**took, "memory_mb": round(memory), "kept": kept_of(vectors, places, np.ones(len(vectors), bool))})
    )


def libraries(given: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    for size in given.sizes:
        for name in ("openTSNE", "umap", "pacmap", "sklearn-tsne", "sklearn-pca"):
            if name == "sklearn-tsne" and size > 10_000:  # it takes many minutes
                continue
            command = [sys.executable, __file__, "--one", name, "--sizes", str(size)]
            command += ["--vectors", str(given.vectors)] if given.vectors else []
            ran = subprocess.run(command, env=os.environ | one_thread, stdout=subprocess.PIPE, text=True, check=True)
            figures.setdefault(name, {})[size] = json.loads(ran.stdout.splitlines()[-1])
            print(name, size, figures[name][size], flush=True)
    figures["placed beside"] = beside(vectors_of(given.sizes[0], given)[0])
    print("placed beside", figures["placed beside"])
    return figures


def beside(vectors: Floats) -> dict[str, float]:
    """Neighbours kept of a tenth of the photos: laid out with the rest, and placed on its map by us and by openTSNE."""
    from openTSNE import TSNEEmbedding, affinity

    whole = with_library("openTSNE", vectors)
    new = np.zeros(len(vectors), bool)
    new[np.random.default_rng(SEED).permutation(len(vectors))[: len(vectors) // 10]] = True
    rest = with_library("openTSNE", vectors[~new])
    exact = {"metric": "cosine", "method": "exact", "n_jobs": 1, "random_state": SEED}
    known = affinity.PerplexityBasedNN(vectors[~new], perplexity=layout.PERPLEXITY, **exact)
    placed, transformed = np.empty_like(whole), np.empty_like(whole)
    placed[~new] = transformed[~new] = rest
    placed[new] = layout.place_beside(vectors[new], vectors[~new], rest)
    transformed[new] = TSNEEmbedding(rest, known, n_jobs=1, random_state=SEED).transform(vectors[new])
    ways = {"laid out": whole, "place_beside": placed, "transform": transformed}
    return {name: kept_of(vectors, places, new) for name, places in ways.items()}


def kept_of(vectors: Floats, places: npt.NDArray[Any], some: npt.NDArray[np.bool_]) -> float:
    """The share of a photo's nearest photos that are nearest on the map, too, of a sample of some."""
    photos = np.random.default_rng(SEED).permutation(np.flatnonzero(some))[:SAMPLE]
    kept = 0
    for photo in photos:
        cosines, apart = vectors @ vectors[photo], ((places - places[photo]) ** 2).sum(axis=1)
        cosines[photo], apart[photo] = -2, np.inf
        kept += len(set(np.argpartition(-cosines, KEPT)[:KEPT]) & set(np.argpartition(apart, KEPT)[:KEPT]))
    return round(kept / (len(photos) * KEPT), 3)


def fill(catalog: Catalog, vectors: Floats, numbers: Numbers) -> None:
    """Products and photos as rows and points; no photo has a file."""
    live = catalog.generations.ready()
    ids = {int(number): uuid.UUID(int=int(number) + 1) for number in np.unique(numbers)}
    with catalog.database.write() as session:
        rows = [
            {"id": identity, "sku": f"P{number:06}", "name": f"Product {number}", "category": f"Category {number % 40}"}
            for number, identity in ids.items()
        ]
        session.execute(insert(Product), rows)
        photos = [
            {"id": uuid.UUID(int=place + 1), "product_id": ids[int(number)], "sha256": f"{place:064x}", "bytes": 1}
            for place, number in enumerate(numbers)
        ]
        session.execute(insert(Photo), [{**photo, "width": 9, "height": 9} for photo in photos])
        done = {"generation_id": live.generation_id, "done": True}
        session.execute(insert(Enrollment), [{**done, "photo_id": photo["id"]} for photo in photos])
    points = [
        GalleryPoint(str(photo["id"]), vector, "", str(photo["product_id"]))
        for photo, vector in zip(photos, vectors, strict=True)
    ]
    catalog.gallery.upsert(live.collection, points)


def making(given: argparse.Namespace) -> dict[str, Any]:
    figures = {}
    for size in sorted(given.sizes):
        with (
            tempfile.TemporaryDirectory() as folder,
            closing(Catalog.open(Settings.from_env({"CATALOG_DATA": folder}))) as catalog,
        ):
            vectors, numbers = vectors_of(size, given)
            fill(catalog, vectors, numbers)
            del vectors
            before, most = memory_now(), [0.0]

            def look(done: int, total: int, most: list[float] = most) -> None:
                most.append(memory_now())

            child = resource.getrusage(resource.RUSAGE_CHILDREN)
            made, took = measured(lambda: gallery_map.map_gallery(catalog, look))
            ended = resource.getrusage(resource.RUSAGE_CHILDREN)
            figures[size] = {
                **took,
                "cpu_seconds_of_the_process": round(cpu_of(ended) - cpu_of(child), 1),
                "memory_mb_of_the_process": round(ended.ru_maxrss / 1024),
                "memory_mb_more_of_this_process": round(max(most) - before),
                "pairs": made.pairs,
                "apart": made.apart,
            }
        print(size, figures[size], flush=True)
    return figures


def cpu_of(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def memory_now() -> float:
    """Megabytes of this process that no file holds."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def store_map(catalog: Catalog, generation: int) -> None:
    """A map of drawn places, with a pair for each hundred photos."""
    photos = list(map_rows.read(catalog.database, generation).photos)
    rng, count = np.random.default_rng(SEED), len(photos)
    alike = look_alikes.LookAlikes(
        (rng.random(count) < 0.02).astype(np.uint8),
        rng.permutation(count)[: count // 100 * 2].reshape(-1, 2).astype(np.int32),
        rng.random(count // 100).astype(np.float32),
    )
    cosines = np.full(count, 0.8, np.float32)
    places = rng.normal(0, 40, (count, 2)).astype(np.float32)
    rivals = rng.integers(count, size=count).astype(np.int32)
    found = MapOutput(places, True, cosines, rivals, cosines, alike)
    map_rows.write(catalog.database, generation, photos, set(), found, seconds=1)


def page(given: argparse.Namespace) -> dict[str, Any]:
    size = max(given.sizes)
    figures: dict[str, Any] = {"photos": size, "SQLite": page_on("", size)}
    with product_list.postgres() as url:
        if url is not None:
            figures["PostgreSQL"] = page_on(url, size)
    return figures


def page_on(url: str, size: int) -> dict[str, Any]:
    with product_list.opened(url) as catalog:
        product_list.fill(catalog, size // EACH, EACH)
        _, writing = measured(lambda: store_map(catalog, 1))
        product_list.vacuum(catalog)
        asked: dict[str, Callable[[], Any]] = {
            "pack": lambda: gallery_map.pack(catalog.database),
            "version_of": lambda: gallery_map.version_of(catalog.database),
            "state_of": lambda: gallery_map.state_of(catalog.database),
            "state_of_after_a_change": lambda: [
                showing._counts.cache_clear(),
                gallery_map.state_of(catalog.database),
            ],
            "list_pairs": lambda: gallery_map.list_pairs(catalog.database),
            "list_apart": lambda: gallery_map.list_apart(catalog.database),
        }
        figures: dict[str, Any] = {
            "writing_seconds": writing["seconds"],
            "bytes": len(gallery_map.pack(catalog.database)),
        }
        for name, question in asked.items():
            times, cpu = [], []
            for _ in range(QUESTIONS):
                began, busy = time.perf_counter(), time.process_time()
                question()
                times.append((time.perf_counter() - began) * 1000)
                cpu.append((time.process_time() - busy) * 1000)
            figures[name] = {
                "p50_ms": round(median(times), 1),
                "least_ms": round(min(times), 1),
                "cpu_ms": round(median(cpu), 1),
            }
        print("PostgreSQL" if url else "SQLite", figures, flush=True)
        return figures


#: Moves the map by the wheel and by dragging, and says how long each frame took and how long it was drawn.
MOVING = """async () => {
  const canvas = document.querySelector(".map-frame canvas"), box = canvas.getBoundingClientRect();
  const at = (x, y) => ({ clientX: box.left + x, clientY: box.top + y, cancelable: true, bubbles: true, pointerId: 1 });
  const frames = [], drawn = [];
  const frame = async (act) => {
    const began = performance.now();
    act();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    frames.push(performance.now() - began);
    drawn.push(Number(canvas.dataset.milliseconds));
  };
  const send = (Kind, name, facts) => canvas.dispatchEvent(new Kind(name, facts));
  const middle = at(box.width / 2, box.height / 2);
  for (let i = 0; i < 60; i++) await frame(() => send(WheelEvent, "wheel", { deltaY: i < 30 ? -60 : 60, ...middle }));
  canvas.setPointerCapture = () => {};
  send(PointerEvent, "pointerdown", at(200, 200));
  for (let i = 0; i < 60; i++) await frame(() => send(PointerEvent, "pointermove", at(200 + 2 * i, 200 + i)));
  send(PointerEvent, "pointerup", at(320, 260));
  return [frames, drawn];
}"""


def frames(given: argparse.Namespace) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    figures: dict[str, Any] = {"photos": max(given.sizes)}
    with tempfile.TemporaryDirectory() as folder:
        with closing(Catalog.open(Settings.from_env({"CATALOG_DATA": folder}))) as catalog:
            fill(catalog, *vectors_of(max(given.sizes), given))
            store_map(catalog, catalog.generations.live().generation_id)
        with serve_catalog(Path(folder)) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            state = None
            for name, (width, height) in VIEWS.items():
                size = {"viewport": {"width": width, "height": height}, "is_mobile": name == "phone"}
                context = browser.new_context(base_url=server.url, storage_state=state, **size)
                shown = context.new_page()
                if state is None:
                    sign_in_first(shown, server)
                    state = context.storage_state()
                began = time.perf_counter()
                shown.goto("/map/")
                shown.locator("[data-map][data-ready]").wait_for(timeout=60_000)
                ready = time.perf_counter() - began
                shown.wait_for_timeout(1000)
                took, drawn = shown.evaluate(MOVING)
                figures[name] = {
                    "ready_seconds": round(ready, 1),
                    "frame_ms": quantiles(took),
                    "drawing_ms": quantiles(drawn),
                }
                print(name, figures[name], flush=True)
                context.close()
            browser.close()
    return figures


def tills(given: argparse.Namespace) -> dict[str, Any]:
    """Tills of a catalog of so many photos, alone and while its map is made."""
    drawn = [product for product in products() if product.known]
    photos = [camera.encode(camera.query(product, 0)) for product in drawn]
    with tempfile.TemporaryDirectory() as folder:
        with closing(Catalog.open(Settings.from_env({"CATALOG_DATA": folder}))) as catalog:
            fill(catalog, *vectors_of(max(given.sizes), given))
        with serve_catalog(Path(folder)) as server, server.till() as till:
            for product in drawn:
                add_product(till, product, 0)
            admin = signed_in(server)
            ask(till, photos, 20)  # warms up
            alone = quantiles(ask(till, photos, given.seconds))
            admin.post("/map/make", data={"csrf_token": token_in(admin.get("/map/").text), "anew": "1"})
            looked = [time.perf_counter(), 0.0]

            def over() -> bool:
                if time.perf_counter() > looked[0] + 2:
                    looked[0] = time.perf_counter()
                    looked[1] = float("data-refresh" not in admin.get("/map/").text)
                return bool(looked[1])

            beside = quantiles(ask(till, photos, 900, over))
    figures = {"alone": alone, "a map is made": beside, "p95_ratio": round(beside["p95"] / alone["p95"], 2)}
    print(figures, f"load {os.getloadavg()[0]:.1f}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 40_000], metavar="N")
    parser.add_argument("--vectors", type=Path, metavar="FILE")
    parser.add_argument("--photos", nargs="+", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the till asks alone")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one_library(given.one, given)
        return
    if wrong := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(wrong))}")
    if given.photos and given.vectors is None:
        parser.error("--photos needs --vectors FILE, where their vectors are kept")
    if given.photos and not given.vectors.exists():
        embed(given.photos, given.vectors)
    for part in given.parts or PARTS:
        save("catalog", globals()[part](given), part=f"gallery_map_{part}")


if __name__ == "__main__":
    main()
