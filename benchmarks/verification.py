"""Verifying a query's candidates from their stored local features: reading, matching.

`.venv/bin/python benchmarks/verification.py DATA [BUNDLE] [--cache DIR]`. DATA contains dvd-covers/ and grocery-store/;
BUNDLE has visual words. The catalog pictures of the covers and the grocery train photos are enrolled in an embedded
gallery, and their local features written as files; each cover photo gets its shortlist there. Measured in fresh
processes, with the kernel that OpenBLAS chooses and with one that this processor supports, with one thread for a matrix
product or one per core: reading the files (one after the other), and verifying all by verify_many.
Then the effect of stopping early: how often the first 5 or 10 candidates settle the query, by inliers and by
reranker.py, and how often wrongly. Writes part `verification` of docs/measurements-second-look.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common.blas import blas_kernel, kernels
from common.figures import save
from common.photo_features import Side, open_with_words, read_side
from common.photo_sets import cover_photos, flat
from common.processes import alone
from common.retrieval import enroll, shortlist

from catalog.gallery.edge import EdgeGallery
from embedder import datasets
from embedder.bundle import RELEASED, RerankerWeights
from embedder.matching import QUERY, REFERENCE, Candidate, from_bytes, reranker, to_bytes, verify_many

GOAL_MS = 30
#: Re-ranking might stop after so many candidates.
FIRST = (5, reranker.BATCH)
#: Numbers of inliers that might settle a query.
SURE = (20, 30, 50)
ROUNDS = 3


def timed(queries: Sequence[Path], candidates: Sequence[Sequence[Path]], rounds: int) -> dict[str, Any]:
    """Median milliseconds per query to read its candidates' files and to verify them; the variants alternate.

    `_cpu`: CPU time of all threads, which other load on the machine affects less.
    """
    taken: dict[str, list[float]] = {}

    def clock(name: str, call: Callable[[], Any]) -> Any:
        began, cpu = time.perf_counter(), time.process_time()
        result = call()
        taken.setdefault(f"{name}_ms", []).append((time.perf_counter() - began) * 1000)
        taken.setdefault(f"{name}_cpu_ms", []).append((time.process_time() - cpu) * 1000)
        return result

    for _ in range(rounds):
        for query, paths in zip(queries, candidates, strict=True):
            asked = from_bytes(query.read_bytes())
            stored = clock("read", lambda p=paths: [from_bytes(path.read_bytes()) for path in p])
            clock("verify", lambda a=asked, s=stored: verify_many(a, s))
    medians = {name: round(statistics.median(times), 1) for name, times in taken.items()}
    return {"kernel": blas_kernel(), **medians}


def early(asked: Side, known: Side, lists: list[list[int]], look: RerankerWeights | None) -> Iterator[dict[str, Any]]:
    """How many queries the first candidates settle, by inliers and by the re-ranker, and how many of them wrongly."""
    verified = []
    for vector, details, places in zip(asked.vectors, asked.details, lists, strict=True):
        matches = verify_many(details, [known.details[place] for place in places[: max(FIRST)]])
        pairs = zip(places, matches, strict=False)
        verified.append(
            [
                Candidate(known.skus[at], float(vector @ known.vectors[at]), known.details[at], match)
                for at, match in pairs
            ]
        )
    rules: dict[str, Callable[[list[Candidate]], str | None]] = {
        f"{sure} inliers": lambda some, least=sure: by_inliers(some, least) for sure in SURE
    }
    if look is not None:
        rules["decision.is_settled"] = lambda some: by_decision(some, look)
    for count in FIRST:
        for rule, answer in rules.items():
            answers = [(answer(some[:count]), sku) for some, sku in zip(verified, asked.skus, strict=True)]
            settled = [found == sku for found, sku in answers if found is not None]
            share = round(len(settled) / len(answers), 3)
            yield {"first": count, "rule": rule, "settled": share, "wrong": len(settled) - sum(settled)}


def by_inliers(candidates: list[Candidate], least: int) -> str | None:
    best = max(candidates, key=lambda one: one.match.inliers)
    return best.sku if best.match.inliers >= least else None


def by_decision(candidates: list[Candidate], look: RerankerWeights) -> str | None:
    weighed = reranker.rank(look, candidates)
    return weighed[0].sku if reranker.is_settled(look, weighed, len(candidates)) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("bundle", type=Path, nargs="?", default=RELEASED)
    parser.add_argument("--limit", type=int, help="use only so many SKUs of covers and of groceries, for a trial")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--cache", type=Path, help="keep the photos' local features in this folder")
    options = parser.parse_args()
    embedder, vocabulary = open_with_words(options.bundle)
    clutter = datasets.find_photos(options.data / "grocery-store" / "train")
    sides = [dict(list(photos.items())[: options.limit]) for photos in (*cover_photos(options.data), clutter)]
    known = read_side(embedder, vocabulary, *flat({**sides[0], **sides[2]}), REFERENCE, options.cache)
    asked = read_side(embedder, vocabulary, *flat(sides[1]), QUERY, options.cache)
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
        rows = []
        for _ in kernels():
            for blas in (1, os.cpu_count()):
                os.environ["OPENBLAS_NUM_THREADS"] = str(blas)  # for the process that is started next
                rows.append({"blas_threads": blas, **alone(timed, files[1], candidates, options.rounds)})
                print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    stops = list(early(asked, known, lists, embedder.bundle.second_look))
    for one in stops:
        print(f"of the first {one['first']}, {one['rule']}: {one['settled']:.0%} settled, {one['wrong']} wrongly")
    right = [sku in [known.skus[place] for place in places] for sku, places in zip(asked.skus, lists, strict=True)]
    figures = {
        "goal_ms": GOAL_MS,
        "references": len(known.skus),
        "queries": len(asked.skus),
        "candidates": reranker.SHORTLIST,
        "right_among_them": round(float(np.mean(right)), 3),
        "rows": rows,
        "early": stops,
    }
    print(
        f"the right one is among {reranker.SHORTLIST} candidates: {figures['right_among_them']:.3f}; goal: {GOAL_MS} ms"
    )
    save("second-look", figures, part="verification")


if __name__ == "__main__":
    main()
