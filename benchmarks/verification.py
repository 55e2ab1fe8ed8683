"""The candidates of a query verified from their stored details: reading, matching, one thread and two.

`.venv/bin/python benchmarks/verification.py DATA BUNDLE [--cache DIR]`. DATA holds dvd-covers/ and grocery-store/;
BUNDLE has visual words. The catalog pictures of the covers and the grocery train photos are enrolled in an embedded
gallery, their details written as files; each photo of a cover gets its shortlist of CANDIDATES there. Measured in fresh
processes, as OpenBLAS has as many threads as it finds cores, or one: reading the files (one after the other) and
verifying all, by 1 and 2 threads. Then what stopping early would save: how often one of the first FIRST candidates is
beyond doubt, and is right. Writes part `verification` of docs/measurements-second-look.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from decoding import save
from second_look import Side, alone, cover_photos, flat, read_side

from catalog.gallery import GalleryPoint, collection_name
from catalog.gallery.edge import EdgeGallery
from embedder import images
from embedder.details import from_bytes, to_bytes
from embedder.serve import Embedder
from embedder.verify import verify_many
from embedder.words import Vocabulary

GOAL_MS = 30
CANDIDATES = 30
FIRST = 5
#: Inliers that may be called beyond doubt.
SURE = (20, 30, 50)
ROUNDS = 3
GENERATION = collection_name("measured")


def enroll(gallery: EdgeGallery, known: Side) -> None:
    """Point n is the n-th of `known`."""
    gallery.create(GENERATION, known.vectors.shape[1])
    rows = enumerate(zip(known.skus, known.vectors, known.words, strict=True))
    gallery.upsert(
        GENERATION, [GalleryPoint(str(uuid.UUID(int=at)), vector, sku, sku, words) for at, (sku, vector, words) in rows]
    )


def shortlist(gallery: EdgeGallery, vector: Any, words: Any, limit: int = CANDIDATES) -> list[int]:
    """Places in `known` of the candidates, the most promising first."""
    return [uuid.UUID(hit.id).int for hit in gallery.shortlist(GENERATION, vector, words, limit)]


def timed(queries: Sequence[Path], candidates: Sequence[Sequence[Path]], rounds: int) -> dict[str, float]:
    """Median milliseconds a query to read its candidates' files, and to verify them; the ways take turns."""
    taken: dict[str, list[float]] = {"read": [], "1": [], "2": []}

    def clock(name: str, began: float) -> None:
        taken[name].append((time.perf_counter() - began) * 1000)

    for _ in range(rounds):
        for query, paths in zip(queries, candidates, strict=True):
            asked = from_bytes(query.read_bytes())
            began = time.perf_counter()
            stored = [from_bytes(path.read_bytes()) for path in paths]
            clock("read", began)
            for threads in (1, 2):
                began = time.perf_counter()
                verify_many(asked, stored, threads)
                clock(str(threads), began)
    return {name: round(statistics.median(times), 1) for name, times in taken.items()}


def early(asked: Side, known: Side, lists: Sequence[Sequence[int]]) -> list[dict[str, float]]:
    """For each number of inliers: queries that one of the first candidates settles, and how many of these rightly."""
    best = []
    for sku, details, places in zip(asked.skus, asked.details, lists, strict=True):
        matches = verify_many(details, [known.details[place] for place in places[:FIRST]], threads=1)
        most = max(range(len(matches)), key=lambda at, m=matches: m[at].inliers)
        best.append((matches[most].inliers, known.skus[places[most]] == sku))
    found = []
    for sure in SURE:
        settled = [right for inliers, right in best if inliers >= sure]
        found.append(
            {"inliers": sure, "settled": round(len(settled) / len(best), 3), "wrong": len(settled) - sum(settled)}
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--limit", type=int, help="so many SKUs of covers and of groceries, for a trial")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--cache", type=Path, help="keep the details of the photos in this folder")
    options = parser.parse_args()
    embedder = Embedder.open(options.bundle)
    if embedder.bundle.words_path is None:
        parser.error(f"{options.bundle} has no visual words: `embedder words` makes them")
    vocabulary = Vocabulary.load(embedder.bundle.words_path)
    clutter = images.find_photos(options.data / "grocery-store" / "train")
    sides = [dict(list(photos.items())[: options.limit]) for photos in (*cover_photos(options.data), clutter)]
    known, asked = (
        read_side(embedder, vocabulary, *flat(photos), options.cache) for photos in ({**sides[0], **sides[2]}, sides[1])
    )
    with tempfile.TemporaryDirectory() as folder:
        gallery = EdgeGallery(Path(folder) / "gallery")
        enroll(gallery, known)
        lists = [shortlist(gallery, *one) for one in zip(asked.vectors, asked.words, strict=True)]
        gallery.close()
        files = []
        for name, side in (("known", known), ("asked", asked)):
            files.append([Path(folder) / f"{name}-{at}" for at in range(len(side.details))])
            for path, details in zip(files[-1], side.details, strict=True):
                path.write_bytes(to_bytes(details))
        candidates = [[files[0][place] for place in places] for places in lists]
        cores = os.cpu_count()
        rows = []
        for blas in (1, cores):
            os.environ["OPENBLAS_NUM_THREADS"] = str(blas)  # for the process that is started next
            row = {"blas_threads": blas, **alone(timed, files[1], candidates, options.rounds)}
            rows.append(
                {"blas_threads": blas, "read_ms": row["read"], "1_thread_ms": row["1"], "2_threads_ms": row["2"]}
            )
            print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    stops = early(asked, known, lists)
    for one in stops:
        print(f"among the first {FIRST}: {one['inliers']} inliers settle {one['settled']:.0%}, {one['wrong']} wrongly")
    right = [sku in [known.skus[place] for place in places] for sku, places in zip(asked.skus, lists, strict=True)]
    figures = {
        "goal_ms": GOAL_MS,
        "references": len(known.skus),
        "queries": len(asked.skus),
        "candidates": CANDIDATES,
        "right_among_them": round(float(np.mean(right)), 3),
        "rows": rows,
        "first": FIRST,
        "early": stops,
    }
    print(f"the right one is among {CANDIDATES} candidates: {figures['right_among_them']:.3f}; goal: {GOAL_MS} ms")
    save("second-look", figures, part="verification")


if __name__ == "__main__":
    main()
