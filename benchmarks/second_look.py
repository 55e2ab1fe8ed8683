"""What local features find where the vector does not: one picture per product, and queries from other cameras.

`.venv/bin/python benchmarks/second_look.py DATA [BUNDLE] [--shortlist 20]`

DATA contains grocery-store/ (iconic-images-and-descriptions, train, val) and dvd-covers/; BUNDLE has visual words
(`embedder words`). Two sets: the covers of dvd-covers, one catalog picture each, among the grocery train photos as
clutter, with the photos of four cameras as queries; and the packaged grocery SKUs, with their catalog pictures as the
only references and the val photos as queries. For each: top-1 accuracy by the vector alone, recall of the shortlist by
words (20, 50), and top-1 by the inliers of the candidates from both shortlists; with milliseconds of one thread. Prints
a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from common.metrics import recall
from common.photo_features import Side, open_with_words
from common.photo_sets import cover_photos, flat, pack_photos

from embedder import datasets
from embedder.bundle import RELEASED
from embedder.calibration.asking import shared_words
from embedder.datasets import Photos
from embedder.inference import Embedder
from embedder.matching import (
    QUERY,
    REFERENCE,
    LocalFeatures,
    VisualWords,
    Vocabulary,
    extract,
    verify_many,
)
from embedder.matching.local_features import DetectorSettings


def read(
    embedder: Embedder, vocabulary: Vocabulary, photos: Photos, sight: DetectorSettings, times: list[float]
) -> Side:
    skus, paths = flat(photos)

    def one(path: Path) -> tuple[Any, LocalFeatures, VisualWords]:
        raw = path.read_bytes()
        vector = embedder.embed_bytes(raw)
        began = time.thread_time()
        details = extract(raw, sight)
        words = vocabulary.encode(details)
        times.append(1000 * (time.thread_time() - began))
        return vector, details, words

    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(one, paths))
    vectors, details, words = ([row[place] for row in rows] for place in range(3))
    return Side(skus, np.stack(vectors), details, words)


def measure(name: str, known: Side, asked: Side, count: int, shortlist: int) -> str:
    skus, right = np.array(known.skus), np.array(asked.skus)
    cosines, by_words = asked.vectors @ known.vectors.T, shared_words(known.words, asked.words, count)
    first = skus[cosines.argmax(axis=1)] == right
    ranks = np.argsort(-by_words, axis=1)
    recalls = [recall(by_words, known.skus, asked.skus, top) for top in (20, 50)]
    near = np.argsort(-cosines, axis=1)
    found, times, inliers, wrong = [], [], [], []
    for place, details in enumerate(asked.details):
        few = list(dict.fromkeys(x for both in zip(ranks[place], near[place], strict=True) for x in both))[:shortlist]
        began = time.perf_counter()
        matches = verify_many(details, [known.details[one] for one in few])
        times.append(1000 * (time.perf_counter() - began))
        order = sorted(range(len(few)), key=lambda x: (-matches[x].inliers, -cosines[place, few[x]]))
        found.append(skus[few[order[0]]] == right[place])
        inliers.append(
            max([m.inliers for m, x in zip(matches, few, strict=True) if skus[x] == right[place]], default=0)
        )
        wrong.append(max([m.inliers for m, x in zip(matches, few, strict=True) if skus[x] != right[place]], default=0))
    cells = [np.mean(first), *recalls, np.mean(found)]
    return (
        f"| {name} | {len(skus):,} | {len(right)} | "
        + " | ".join(f"{cell:.3f}" for cell in cells)
        + f" | {np.median(inliers):.0f}, {np.percentile(wrong, 95):.0f} | {np.median(times):.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("bundle", type=Path, nargs="?", default=RELEASED)
    parser.add_argument("--shortlist", type=int, default=20)
    options = parser.parse_args()
    embedder, vocabulary = open_with_words(options.bundle)
    pictures, shots = cover_photos(options.data)
    clutter = datasets.find_photos(options.data / "grocery-store" / "train")
    times: list[float] = []
    known = read(embedder, vocabulary, {**pictures, **clutter}, REFERENCE, times)
    asked = read(embedder, vocabulary, shots, QUERY, query_times := [])
    print(
        "| set | references | queries | vector first | words: recall at 20 | at 50 | inliers first "
        "| inliers of the right SKU (median), most of a wrong one (p95) | ms to verify |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    print(measure("covers among clutter", known, asked, len(vocabulary), options.shortlist), flush=True)
    packs, val = (
        read(embedder, vocabulary, side, sight, taken)
        for side, sight, taken in zip(pack_photos(options.data), (REFERENCE, QUERY), (times, query_times), strict=True)
    )
    print(measure("packs by catalog pictures", packs, val, len(vocabulary), options.shortlist), flush=True)
    print(
        f"\ndetails and words of a reference photo: {np.median(times):.0f} ms, "
        f"of a query: {np.median(query_times):.0f} ms (one core)"
    )


if __name__ == "__main__":
    main()
