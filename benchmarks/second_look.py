"""What the details of a pack find where its vector does not: one picture of each product, and photos by other cameras.

`.venv/bin/python benchmarks/second_look.py DATA BUNDLE [--shortlist 20]`

DATA holds grocery-store/ (iconic-images-and-descriptions, train, val) and dvd-covers/; BUNDLE has visual words
(`embedder words`). Two sets: the covers of dvd-covers, one catalog picture each, among the grocery train photos as
clutter, asked by the photos of four cameras; and the packaged grocery SKUs, their catalog pictures the only references,
asked by the val photos. For each: the right SKU first by the vector alone, its recall in the words' shortlist (20, 50),
and first by the inliers of those on the shortlist of both; with milliseconds of one thread. A Markdown table.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedder import images
from embedder.details import Details, from_photo
from embedder.serve import Embedder
from embedder.splits import Photos
from embedder.verify import verify_many
from embedder.words import Vocabulary, Words


@dataclass
class Side:
    """Photos of a set: SKUs [n], vectors float32 [n, dim], details and words."""

    skus: list[str]
    vectors: Any
    details: list[Details]
    words: list[Words]


def read(embedder: Embedder, vocabulary: Vocabulary, photos: Photos, times: list[float]) -> Side:
    named = [(sku, path) for sku, paths in photos.items() for path in paths]

    def one(path: Path) -> tuple[Any, Details, Words]:
        raw = path.read_bytes()
        vector = embedder.embed_bytes(raw)
        began = time.thread_time()
        details = from_photo(raw)
        words = vocabulary.words(details)
        times.append(1000 * (time.thread_time() - began))
        return vector, details, words

    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(one, [path for _, path in named]))
    vectors, details, words = ([row[place] for row in rows] for place in range(3))
    return Side([sku for sku, _ in named], np.stack(vectors), details, words)


def word_scores(known: Side, asked: Side, count: int) -> Any:
    """Products of the sparse vectors, weighed by IDF as Qdrant does -> [queries, references]."""
    rows = np.zeros((len(known.skus), count), np.float32)
    for row, words in zip(rows, known.words, strict=True):
        row[words.indexes] = words.values
    held = (rows > 0).sum(axis=0)
    idf = np.log((len(rows) - held + 0.5) / (held + 0.5) + 1)
    return np.stack([rows[:, one.indexes] @ (one.values * idf[one.indexes]) for one in asked.words])


def measure(name: str, known: Side, asked: Side, count: int, shortlist: int) -> str:
    skus, right = np.array(known.skus), np.array(asked.skus)
    cosines, by_words = asked.vectors @ known.vectors.T, word_scores(known, asked, count)
    first = skus[cosines.argmax(axis=1)] == right
    ranks = np.argsort(-by_words, axis=1)
    recall = [np.mean([sku in skus[row[:top]] for sku, row in zip(right, ranks, strict=True)]) for top in (20, 50)]
    near = np.argsort(-cosines, axis=1)
    found, times, inliers, wrong = [], [], [], []
    for place, details in enumerate(asked.details):
        few = list(dict.fromkeys(x for both in zip(ranks[place], near[place], strict=True) for x in both))[:shortlist]
        began = time.perf_counter()
        matches = verify_many(details, [known.details[one] for one in few], threads=1)
        times.append(1000 * (time.perf_counter() - began))
        order = sorted(range(len(few)), key=lambda x: (-matches[x].inliers, -cosines[place, few[x]]))
        found.append(skus[few[order[0]]] == right[place])
        inliers.append(
            max([m.inliers for m, x in zip(matches, few, strict=True) if skus[x] == right[place]], default=0)
        )
        wrong.append(max([m.inliers for m, x in zip(matches, few, strict=True) if skus[x] != right[place]], default=0))
    cells = [np.mean(first), *recall, np.mean(found)]
    return (
        f"| {name} | {len(skus):,} | {len(right)} | "
        + " | ".join(f"{cell:.3f}" for cell in cells)
        + f" | {np.median(inliers):.0f}, {np.percentile(wrong, 95):.0f} | {np.median(times):.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--shortlist", type=int, default=20)
    options = parser.parse_args()
    embedder = Embedder.open(options.bundle)
    if embedder.bundle.words_path is None:
        parser.error(f"{options.bundle} has no visual words: `embedder words` makes them")
    vocabulary = Vocabulary.load(embedder.bundle.words_path)
    grocery = options.data / "grocery-store"
    covers = images.find_photos(options.data / "dvd-covers")
    pictures = {sku: [path for path in paths if path.stem == "reference"] for sku, paths in covers.items()}
    shots = {sku: [path for path in paths if path.stem != "reference"] for sku, paths in covers.items()}
    iconic = images.find_photos(grocery / "iconic-images-and-descriptions" / "Packages")
    times: list[float] = []
    known = read(embedder, vocabulary, {**pictures, **images.find_photos(grocery / "train")}, times)
    asked = read(embedder, vocabulary, shots, times)
    print(
        "| set | references | queries | vector first | words: recall at 20 | at 50 | inliers first "
        "| inliers of the right SKU (median), most of a wrong one (p95) | ms to verify |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    print(measure("covers among clutter", known, asked, len(vocabulary), options.shortlist), flush=True)
    packs = read(embedder, vocabulary, iconic, times)
    val = read(
        embedder,
        vocabulary,
        {s: p for s, p in images.find_photos(grocery / "val" / "Packages").items() if s in iconic},
        times,
    )
    print(measure("packs by catalog pictures", packs, val, len(vocabulary), options.shortlist), flush=True)
    print(f"\ndetails and words of a photo: {np.median(times):.0f} ms (one core)")


if __name__ == "__main__":
    main()
