"""The catalog at scale: the embedded gallery with many vectors, and the product list with many products.

`.venv/bin/python benchmarks/scale.py [--sizes N ...] [--products N] [--index-most N] [--no-sql]`

The gallery is the product's own EdgeGallery, at the paper's size (47,553 photos of 5,000 SKUs) unless `--sizes` gives
others. Its vectors are random, with 256 dimensions and unit length, as many per SKU as in the paper. A family of 20
SKUs has a random direction; a SKU is that plus a random one of equal length; a photo is its SKU plus a random one of
0.7 of its length. So two photos of one SKU have a cosine of 0.67, two of one family 0.34, others 0. Queries are further
photos of these SKUs; they are sent one at a time, for 50 hits each, without words.

Measured: writing all, and one more product of 4 photos (searchable, flushed); search as written, after optimize(), and
then with its graph (the shard searched without the exact flag), with the share of queries whose first hit is that of an
exact scan, and the recall of the 50 true hits; the time from opening to the first answer, in a fresh process and again;
growth of that process's resident memory by opening and searching; bytes on disk. Peers, queried in turns with it:
FAISS's flat inner product with one thread and with two, a NumPy scan with one; in turns in a process of its own,
qdrant-client's local mode in memory (up to LOCAL_MOST vectors: its upsert takes a minute at the paper's size). Building
the graph takes long: `--index-most` limits the number of vectors for which it is built. Each step runs in its own
process. `cpu_ms` is the CPU time of all threads, `p5_ms` the time in an undisturbed moment; `load` is the machine's,
before and after.

The product list: scale_sql.py. Writes docs/measurements-catalog.json, a part for each size and part `sql`.
"""

from __future__ import annotations

import argparse
import os

# FAISS's and NumPy's helpers would spin after their scan, and slow down whoever has the next turn. Read at import.
os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}

import tempfile
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from common import product_list
from common.figures import save
from common.processes import alone, memory
from qdrant_client import QdrantClient
from qdrant_edge import Query, QueryRequest, SearchParams

from catalog.gallery import GalleryPoint, collection_name
from catalog.gallery.collection_schema import VECTOR_NAME
from catalog.gallery.edge import EdgeGallery
from catalog.gallery.server import ServerGallery

PAPER, PAPER_SKUS = 47_553, 5_000
#: At the paper's size: milliseconds of a search without and with the graph, seconds of reopening; share of first hits.
GOALS = {"search_ms": 4.0, "index_ms": 1.5, "reopen_seconds": 1.0, "first_hit": 0.999}
DIM, HITS, QUERIES, FAMILY, SPREAD = 256, 50, 1000, 20, 0.7
#: Vectors up to which qdrant-client's local mode is filled, and a graph is built.
LOCAL_MOST, INDEX_MOST = 100_000, 100_000
#: The search's `ef` in the graph, besides the library's default.
FAR = 256
#: Points handed to one upsert, and new products of 4 photos that are added to the full gallery.
BLOCK, PRODUCTS = 10_000, 50
#: Queries above a hundred thousand vectors, where a scan takes long; and to the local mode.
FEW, FEWER = 100, 30
SEED = 1
GENERATION = collection_name("measured")


def unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def noise(rng: np.random.Generator, count: int) -> Any:
    return unit(rng.standard_normal((count, DIM), np.float32))


def draw(folder: Path, count: int) -> int:
    """Write vectors.npy [count, DIM] and queries.npy [QUERIES, DIM] -> number of SKUs; photo i is of SKU i % SKUs."""
    rng = np.random.default_rng(SEED)
    skus = max(1, round(count * PAPER_SKUS / PAPER))
    families = noise(rng, -(-skus // FAMILY))
    centers = unit(families[np.arange(skus) // FAMILY] + noise(rng, skus))
    for name, owners in (("vectors", np.arange(count) % skus), ("queries", rng.integers(skus, size=QUERIES))):
        photos = centers[owners]
        for start in range(0, len(owners), BLOCK):
            some = photos[start : start + BLOCK]
            some += SPREAD * noise(rng, len(some))
            some /= np.linalg.norm(some, axis=1, keepdims=True)
        np.save(folder / f"{name}.npy", photos)
    return skus


def identity(at: int) -> str:
    return str(uuid.UUID(int=at))


def points(vectors: Any, skus: int, start: int = 0) -> list[GalleryPoint]:
    return [
        GalleryPoint(identity(start + at), vector, f"SKU-{(start + at) % skus}", f"product-{(start + at) % skus}")
        for at, vector in enumerate(vectors)
    ]


def percentiles(milliseconds: list[float]) -> dict[str, float]:
    """The median, the 95th percentile, and the 5th, which approximates an idle machine."""
    return {f"p{share}_ms": round(float(np.percentile(milliseconds, share)), 2) for share in (50, 95, 5)}


def disk_mb(folder: Path) -> int:
    return round(sum(path.stat().st_blocks for path in folder.rglob("*")) * 512 / 1e6)


def build(folder: Path, skus: int) -> dict[str, Any]:
    """Write the gallery, then more products one by one, which are deleted again."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    gallery = EdgeGallery(folder / "edge")
    gallery.create(GENERATION, DIM)
    seconds, busy = 0.0, 0.0
    for start in range(0, len(vectors), BLOCK):
        some = points(np.array(vectors[start : start + BLOCK]), skus, start)
        began, cpu = time.perf_counter(), time.process_time()
        gallery.upsert(GENERATION, some)
        busy += time.process_time() - cpu
        seconds += time.perf_counter() - began
    added: list[float] = []
    more = points(noise(np.random.default_rng(SEED + 1), 4 * PRODUCTS), skus, len(vectors))
    for start in range(0, len(more), 4):
        began = time.perf_counter()
        gallery.upsert(GENERATION, more[start : start + 4])
        added.append((time.perf_counter() - began) * 1000)
    gallery.delete(GENERATION, [point.id for point in more])
    gallery.close()
    return {
        "points_a_second": round(len(vectors) / seconds),
        "points_a_cpu_second": round(len(vectors) / busy),
        "one_product": percentiles(added),
    }


def optimize(folder: Path) -> dict[str, float]:
    gallery = EdgeGallery(folder / "edge")
    began, cpu = time.perf_counter(), time.process_time()
    gallery.optimize(GENERATION)
    busy, seconds = time.process_time() - cpu, time.perf_counter() - began
    gallery.close()
    return {"optimize_seconds": round(seconds, 1), "optimize_cpu_seconds": round(busy, 1)}


def reopened(open_it: Callable[[], Any], answer: Callable[[Any], Any], close: Callable[[Any], Any]) -> dict[str, Any]:
    """Seconds from opening to the first answer, in a fresh process and repeatedly; and the memory that it took."""
    before, private = memory(), memory("RssAnon")
    took: list[float] = []
    for _ in range(6):
        began = time.perf_counter()
        store = open_it()
        answer(store)
        took.append(time.perf_counter() - began)
        if len(took) == 1:
            for _ in range(100):
                answer(store)
            grown, own = memory() - before, memory("RssAnon") - private
        began = time.perf_counter()
        close(store)
        # Closing counts as well: a restart does both.
        took[-1] += time.perf_counter() - began
    return {
        "first_open_seconds": round(took[0], 2),
        "reopen_seconds": round(float(np.median(took[1:])), 3),
        "memory_mb": round(grown),
        "of_it_private_mb": round(own),
    }


def reopen(folder: Path) -> dict[str, Any]:
    query = np.load(folder / "queries.npy")[0]
    found = reopened(
        lambda: EdgeGallery(folder / "edge"),
        lambda gallery: gallery.search(GENERATION, query, HITS),
        lambda gallery: gallery.close(),
    )
    return {**found, "disk_mb": disk_mb(folder / "edge")}


def reopen_flat(folder: Path) -> dict[str, Any]:
    """The same of FAISS, with the time to fill and to write it."""
    vectors = np.load(folder / "vectors.npy")
    query = np.load(folder / "queries.npy")[:1]
    target = folder / "flat" / "index"
    target.parent.mkdir()
    began = time.perf_counter()
    index = faiss.IndexFlatIP(DIM)
    index.add(vectors)
    faiss.write_index(index, str(target))
    seconds = time.perf_counter() - began
    del index, vectors
    found = reopened(lambda: faiss.read_index(str(target)), lambda one: one.search(query, HITS), lambda one: None)
    return {"fill_and_write_seconds": round(seconds, 2), **found, "disk_mb": disk_mb(target.parent)}


def by_graph(gallery: EdgeGallery, vector: Any, far: int | None = None) -> list[tuple[str, float]]:
    """As EdgeGallery.search asks, but not for an exact answer."""
    with gallery._shards.opened(GENERATION) as (shard, _):
        query = Query.Nearest(vector.tolist(), using=VECTOR_NAME)
        params = SearchParams(hnsw_ef=far)
        found = shard.query(QueryRequest(limit=HITS, query=query, with_payload=True, params=params))
    return [(str(point.id), point.score) for point in found]


def ask(folder: Path, graph: bool) -> dict[str, Any]:
    """Milliseconds of each way to search, in turns, and how far its answers are the true ones."""
    vectors, queries = np.load(folder / "vectors.npy"), np.load(folder / "queries.npy")
    gallery = EdgeGallery(folder / "edge")
    flat = faiss.IndexFlatIP(DIM)
    flat.add(vectors)

    def by_search(query: Any) -> list[tuple[str, float]]:
        return [(hit.id, hit.score) for hit in gallery.search(GENERATION, query, HITS)]

    def by_flat(query: Any, threads: int) -> list[tuple[str, float]]:
        faiss.omp_set_num_threads(threads)
        scores, places = flat.search(query[None], HITS)
        return [(identity(int(at)), float(score)) for at, score in zip(places[0], scores[0], strict=True)]

    def by_numpy(query: Any) -> list[tuple[str, float]]:
        scores = vectors @ query
        best = np.argpartition(-scores, HITS)[:HITS]
        best = best[np.argsort(-scores[best])]
        return [(identity(int(at)), float(scores[at])) for at in best]

    ways: dict[str, Callable[[Any], list[tuple[str, float]]]] = {"gallery.search": by_search}
    if graph:
        ways["graph"] = lambda query: by_graph(gallery, query)
        ways[f"graph, ef {FAR}"] = lambda query: by_graph(gallery, query, FAR)
    ways["FAISS flat, 1 thread"] = lambda query: by_flat(query, 1)
    ways["FAISS flat, 2 threads"] = lambda query: by_flat(query, 2)
    ways["NumPy"] = by_numpy
    for way in ways.values():
        for query in queries[:3]:
            way(query)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    busy: dict[str, list[float]] = {name: [] for name in ways}
    first: dict[str, int] = dict.fromkeys(ways, 0)
    shared: dict[str, int] = dict.fromkeys(ways, 0)
    asked = queries if len(vectors) <= INDEX_MOST else queries[:FEW]
    for query in asked:
        answers = {}
        for name, way in ways.items():
            began, cpu = time.perf_counter(), time.process_time()
            answers[name] = way(query)
            busy[name].append((time.process_time() - cpu) * 1000)
            taken[name].append((time.perf_counter() - began) * 1000)
        true = answers["NumPy"]
        for name, hits in answers.items():
            # Two that differ only by rounding both count as the first hit.
            first[name] += hits[0][0] == true[0][0] or true[0][1] - float(vectors[place(hits[0][0])] @ query) < 1e-6
            shared[name] += len({id for id, _ in hits} & {id for id, _ in true})
    gallery.close()
    mine = float(np.median(taken["gallery.search"]))
    return {
        name: {
            **percentiles(taken[name]),
            "cpu_ms": round(float(np.median(busy[name])), 2),
            "of_gallery_search": round(float(np.median(taken[name])) / mine, 2),
            "first_hit": round(first[name] / len(asked), 4),
            "true_hits": round(shared[name] / len(asked) / HITS, 4),
        }
        for name in ways
    }


def place(id: str) -> int:
    return uuid.UUID(id).int


def local(folder: Path, skus: int) -> dict[str, Any]:
    """qdrant-client's local mode: filled, and queried in turns with the gallery."""
    warnings.simplefilter("ignore")  # it advises against so many points
    vectors, queries = np.load(folder / "vectors.npy"), np.load(folder / "queries.npy")
    peer = ServerGallery({"local mode": QdrantClient(":memory:")})
    peer.create(GENERATION, DIM)
    some = points(vectors, skus)
    before = memory()
    began = time.perf_counter()
    peer.upsert(GENERATION, some)
    seconds = time.perf_counter() - began
    grown = memory() - before
    gallery = EdgeGallery(folder / "edge")
    taken: dict[str, list[float]] = {"search": [], "gallery.search": []}
    for query in queries[:FEWER]:
        for name, one in (("search", peer), ("gallery.search", gallery)):
            began = time.perf_counter()
            one.search(GENERATION, query, HITS)
            taken[name].append((time.perf_counter() - began) * 1000)
    gallery.close()
    return {
        "points_a_second": round(len(vectors) / seconds),
        **percentiles(taken["search"]),
        "gallery_search_p50_ms": percentiles(taken["gallery.search"])["p50_ms"],
        "of_gallery_search": round(float(np.median(taken["search"]) / np.median(taken["gallery.search"])), 1),
        "memory_mb": round(grown),
    }


def measure(count: int, index_most: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        load = os.getloadavg()[0]
        skus = alone(draw, folder, count)
        figures: dict[str, Any] = {"vectors": count, "skus": skus, "add": alone(build, folder, skus)}
        figures["as_written"] = {**alone(reopen, folder), "search": alone(ask, folder, False)}
        figures["faiss_flat"] = alone(reopen_flat, folder)
        if count <= LOCAL_MOST:
            figures["local_mode"] = alone(local, folder, skus)
        if count <= index_most:
            built = alone(optimize, folder)
            figures["optimized"] = {**built, **alone(reopen, folder), "search": alone(ask, folder, True)}
        figures["load"] = [round(load, 1), round(os.getloadavg()[0], 1)]
    return figures


def verdicts(figures: dict[str, Any]) -> dict[str, bool]:
    """Which goals are reached; they are set for the paper's size."""
    search = figures["as_written"]["search"]["gallery.search"]
    found = {
        "search_ms": search["p50_ms"] < GOALS["search_ms"],
        "reopen_seconds": figures["as_written"]["reopen_seconds"] < GOALS["reopen_seconds"],
        "first_hit": search["first_hit"] >= GOALS["first_hit"],
    }
    if "optimized" in figures:
        optimized = figures["optimized"]
        found["index_ms"] = optimized["search"]["graph"]["p50_ms"] < GOALS["index_ms"]
        found["reopen_seconds"] &= optimized["reopen_seconds"] < GOALS["reopen_seconds"]
        found["first_hit_by_index"] = optimized["search"]["graph"]["first_hit"] >= GOALS["first_hit"]
    return found


def show(figures: dict[str, Any], depth: int = 0) -> None:
    for name, value in figures.items():
        if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
            print("  " * depth + f"{name}:")
            show(value, depth + 1)
        elif isinstance(value, dict):
            print("  " * depth + f"{name}: " + "  ".join(f"{key} {one}" for key, one in value.items()))
        else:
            print("  " * depth + f"{name}: {value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[PAPER], metavar="N", help="vectors (default: 47553)")
    parser.add_argument("--products", type=int, default=product_list.PRODUCTS, metavar="N", help="in SQL")
    parser.add_argument("--index-most", type=int, default=INDEX_MOST, metavar="N", help="build no graph above this")
    parser.add_argument("--no-sql", action="store_true", help="the gallery alone")
    options = parser.parse_args()
    for size in options.sizes:
        figures = measure(size, options.index_most)
        if size == PAPER:
            figures |= {"goals": GOALS, "reached": verdicts(figures)}
        show(figures)
        save("catalog", figures, part=f"gallery_{size}")
    if not options.no_sql:
        save("catalog", product_list.run(options.products), part="sql")


if __name__ == "__main__":
    main()
