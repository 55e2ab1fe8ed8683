"""The fused query (vectors and words) of the embedded gallery, by its size; with its use of disk and memory.

`.venv/bin/python benchmarks/shortlist.py DATA [BUNDLE] [--sizes N ...] [--cache DIR]`. DATA contains dvd-covers/,
grocery-store/, grozi-in-store/ and luma-apparel/; BUNDLE has visual words. Beyond the photos of DATA, photos are
synthetic: each has half of the words of one real photo and half of another's, so that words are as rare and photos as
full as real ones. Vectors are random: both searches compare all of them. The queries are the words of the cover photos.
Peers, queried in turns: the search by vector alone; up to PEER_MOST photos also qdrant-client's local mode. Each
gallery is opened in its own process, as written and after optimize(). Writes part `shortlist` of
docs/measurements-second-look.json.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common.figures import save
from common.photo_features import open_with_words, read_details
from common.photo_sets import cover_photos, flat
from common.processes import alone, memory
from common.timing import interleaved
from qdrant_client import QdrantClient

from catalog.gallery import GalleryPoint, collection_name
from catalog.gallery.edge import EdgeGallery
from catalog.gallery.server import ServerGallery
from embedder import datasets
from embedder.bundle import RELEASED
from embedder.matching import QUERY, REFERENCE, VisualWords, reranker

GOAL_MS, GOAL_MB = 10.0, 1000
SIZES = (2900, 20000, 47553)
LIMIT = reranker.SHORTLIST
#: The local mode of qdrant-client scans in Python.
PEER_MOST = 2900
DIM = 256
SEED = 1
GENERATION = collection_name("measured")


def mixed(one: VisualWords, other: VisualWords, rng: np.random.Generator) -> VisualWords:
    """Half of the words of each, as many as they have."""
    halves = [np.sort(rng.permutation(len(words))[: (len(words) + 1) // 2]) for words in (one, other)]
    indexes = np.concatenate([one.indexes[halves[0]], other.indexes[halves[1]]])
    values = np.concatenate([one.values[halves[0]], other.values[halves[1]]])
    indexes, places = np.unique(indexes, return_index=True)
    values = values[places]
    return VisualWords(indexes, values / max(float(np.linalg.norm(values)), 1e-12))


def unit(count: int, seed: int) -> Any:
    vectors = np.random.default_rng(seed).standard_normal((count, DIM), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def drawn_points(real: Sequence[VisualWords], count: int) -> Iterator[GalleryPoint]:
    rng = np.random.default_rng(SEED)
    for at, vector in enumerate(unit(count, SEED)):
        words = real[at] if at < len(real) else mixed(*(real[place] for place in rng.integers(len(real), size=2)), rng)
        yield GalleryPoint(str(uuid.UUID(int=at)), vector, f"SKU-{at // 4}", f"product-{at // 4}", words)


def build(folder: Path, real: Sequence[VisualWords], count: int) -> dict[str, float]:
    """Write a gallery of `count` points -> the seconds it took."""
    gallery = EdgeGallery(folder)
    gallery.create(GENERATION, DIM)
    points = list(drawn_points(real, count))
    began = time.perf_counter()
    gallery.upsert(GENERATION, points)
    seconds = time.perf_counter() - began
    gallery.close()
    return {
        "write_seconds": round(seconds, 1),
        "words_a_photo": round(statistics.mean(len(p.words or ()) for p in points)),
    }


def optimize(folder: Path) -> dict[str, float]:
    gallery = EdgeGallery(folder)
    began = time.perf_counter()
    gallery.optimize(GENERATION)
    seconds = time.perf_counter() - began
    gallery.close()
    return {"optimize_seconds": round(seconds, 1)}


def ask(folder: Path, asked: Sequence[VisualWords], rounds: int) -> dict[str, Any]:
    """Open and query a gallery in this fresh process: first answer, medians, disk, memory."""
    before = memory()
    vectors = unit(len(asked), SEED + 1)
    began = time.perf_counter()
    gallery = EdgeGallery(folder)
    gallery.shortlist(GENERATION, vectors[0], asked[0], LIMIT)
    opened = time.perf_counter() - began
    times = in_turns(gallery, vectors, asked, rounds)
    figures = {
        "photos": gallery.count(GENERATION),
        "first_answer_seconds": round(opened, 2),
        **times,
        "disk_mb": round(sum(path.stat().st_blocks for path in folder.rglob("*")) * 512 / 2**20),
        "memory_mb": round(memory()),
        "of_it_gallery_mb": round(memory() - before),
        "of_it_private_mb": round(memory("RssAnon")),
    }
    gallery.close()
    return figures


def in_turns(
    gallery: EdgeGallery | ServerGallery, vectors: Any, asked: Sequence[VisualWords], rounds: int
) -> dict[str, float]:
    taken: dict[str, list[float]] = {"fused_ms": [], "vector_ms": []}
    for vector, words in zip(vectors, asked, strict=True):
        times = interleaved(
            {
                "fused_ms": lambda v=vector, w=words: gallery.shortlist(GENERATION, v, w, LIMIT),
                "vector_ms": lambda v=vector: gallery.search(GENERATION, v, LIMIT),
            },
            rounds,
        )
        for name, one in times.items():
            taken[name].append(one)
    return {name: round(statistics.median(one), 2) for name, one in taken.items()} | {
        "fused_p95_ms": round(float(np.percentile(taken["fused_ms"], 95)), 2)
    }


def local(real: Sequence[VisualWords], count: int, asked: Sequence[VisualWords], rounds: int) -> dict[str, Any]:
    """The same for qdrant-client's local mode."""
    gallery = ServerGallery({"local mode": QdrantClient(":memory:")})
    gallery.create(GENERATION, DIM)
    points = list(drawn_points(real, count))
    before, began = memory(), time.perf_counter()
    gallery.upsert(GENERATION, points)
    seconds = time.perf_counter() - began
    times = in_turns(gallery, unit(len(asked), SEED + 1), asked, rounds)
    return {"photos": count, **times, "write_seconds": round(seconds, 1), "of_it_gallery_mb": round(memory() - before)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("bundle", type=Path, nargs="?", default=RELEASED)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument("--limit", type=int, help="use only so many real photos, for a trial")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions of each query (default: 3)")
    parser.add_argument("--cache", type=Path, help="keep the photos' local features in this folder")
    options = parser.parse_args()
    _, vocabulary = open_with_words(options.bundle)
    pictures, shots = cover_photos(options.data)
    others = (options.data / "grocery-store" / "train", options.data / "grozi-in-store", options.data / "luma-apparel")
    known = flat(pictures)[1] + [path for folder in others for path in flat(datasets.find_photos(folder))[1]]
    real = [vocabulary.encode(one) for one in read_details(known[: options.limit], REFERENCE, options.cache)]
    asked = [vocabulary.encode(one) for one in read_details(flat(shots)[1][: options.limit], QUERY, options.cache)]
    rows = []
    print(f"{LIMIT} hits; {len(real)} real photos, others drawn; goals: fused {GOAL_MS:.0f} ms, below {GOAL_MB} MB")
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            built = alone(build, Path(folder), real, size)
            show(rows, {"gallery": "Edge, as written", **alone(ask, Path(folder), asked, options.rounds), **built})
            built |= alone(optimize, Path(folder))
            show(rows, {"gallery": "Edge, optimized", **alone(ask, Path(folder), asked, options.rounds), **built})
        if size <= PEER_MOST:
            some = asked[:: max(1, len(asked) // 20)]
            show(rows, {"gallery": "qdrant-client, local mode", **alone(local, real, size, some, 1)})
    save("second-look", {"goal_ms": GOAL_MS, "goal_mb": GOAL_MB, "hits": LIMIT, "rows": rows}, part="shortlist")


def show(rows: list[dict[str, Any]], row: dict[str, Any]) -> None:
    rows.append(row)
    print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
