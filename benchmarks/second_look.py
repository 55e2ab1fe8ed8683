"""What the details of a pack find where its vector does not: one picture of each product, and photos by other cameras.

`.venv/bin/python benchmarks/second_look.py DATA [BUNDLE] [--shortlist 20]`

DATA holds grocery-store/ (iconic-images-and-descriptions, train, val) and dvd-covers/; BUNDLE has visual words
(`embedder words`). Two sets: the covers of dvd-covers, one catalog picture each, among the grocery train photos as
clutter, asked by the photos of four cameras; and the packaged grocery SKUs, their catalog pictures the only references,
asked by the val photos. For each: the right SKU first by the vector alone, its recall in the words' shortlist (20, 50),
and first by the inliers of those on the shortlist of both; with milliseconds of one thread. A Markdown table.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import itertools
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedder import datasets
from embedder.bundle import RELEASED
from embedder.datasets import Photos
from embedder.inference import Embedder
from embedder.matching import (
    QUERY,
    REFERENCE,
    LocalFeatures,
    VisualWords,
    Vocabulary,
    extract,
    from_bytes,
    to_bytes,
    verify_many,
)
from embedder.matching.local_features import DetectorSettings

#: Read by OpenBLAS when NumPy is imported: the processor to compute for.
KERNEL = "OPENBLAS_CORETYPE"


@dataclass
class Side:
    """Photos of a set: SKUs [n], vectors float32 [n, dim], details and words."""

    skus: list[str]
    vectors: Any
    details: list[LocalFeatures]
    words: list[VisualWords]


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


def cover_photos(data: Path) -> tuple[Photos, Photos]:
    """Catalog pictures of covers, one each, and photos of them by four cameras."""
    covers = datasets.find_photos(data / "dvd-covers")
    pictures = {sku: [path for path in paths if path.stem == "reference"] for sku, paths in covers.items()}
    return pictures, {sku: [path for path in paths if path.stem != "reference"] for sku, paths in covers.items()}


def pack_photos(data: Path) -> tuple[Photos, Photos]:
    """Catalog pictures of packaged groceries, and the val photos of those."""
    grocery = data / "grocery-store"
    iconic = datasets.find_photos(grocery / "iconic-images-and-descriptions" / "Packages")
    val = datasets.find_photos(grocery / "val" / "Packages")
    return iconic, {sku: paths for sku, paths in val.items() if sku in iconic}


def read_details(paths: Sequence[Path], sight: DetectorSettings, cache: Path | None = None) -> list[LocalFeatures]:
    """The details of photo files; kept for the next run in the folder `cache`, if any, which suits one details.py."""
    if cache:
        cache.mkdir(parents=True, exist_ok=True)

    def one(path: Path) -> LocalFeatures:
        raw = path.read_bytes()
        kept = cache / f"{hashlib.sha256(raw).hexdigest()}-{sight.side}-{sight.count}" if cache else None
        if kept and kept.exists():
            return from_bytes(kept.read_bytes())
        details = extract(raw, sight)
        if kept:
            kept.write_bytes(to_bytes(details))
        return details

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, paths))


def open_with_words(bundle: Path) -> tuple[Embedder, Vocabulary]:
    """A bundle's embedder and its visual words; ends the program when it has none."""
    embedder = Embedder.open(bundle)
    if embedder.vocabulary is None:
        sys.exit(f"{bundle} has no visual words: `embedder words` makes them")
    return embedder, embedder.vocabulary


def read_side(
    embedder: Embedder,
    vocabulary: Vocabulary,
    skus: list[str],
    paths: Sequence[Path],
    sight: DetectorSettings,
    cache: Path | None,
) -> Side:
    """As `read`, by the cache; nothing is timed."""
    vectors = np.stack([vector for _, vector in embedder.embed_files(paths)])
    details = read_details(paths, sight, cache)
    return Side(skus, vectors, details, [vocabulary.encode(one) for one in details])


def word_scores(known: Sequence[VisualWords], asked: Sequence[VisualWords], count: int) -> Any:
    """Products of the sparse vectors, weighed by IDF as Qdrant does -> [queries, references]."""
    rows = np.zeros((len(known), count), np.float32)
    for row, words in zip(rows, known, strict=True):
        row[words.indexes] = words.values
    held = (rows > 0).sum(axis=0)
    idf = np.log((len(rows) - held + 0.5) / (held + 0.5) + 1)
    return np.stack([rows[:, one.indexes] @ (one.values * idf[one.indexes]) for one in asked])


def recall(scores: Any, known: Sequence[str], asked: Sequence[str], top: int) -> float:
    """Share of the queries with their own SKU among the `top` references by scores [queries, references]."""
    skus, best = np.array(known), np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return float(np.mean([sku in skus[row] for sku, row in zip(asked, best, strict=True)]))


def flat(photos: Photos) -> tuple[list[str], list[Path]]:
    """A SKU and a path for each photo."""
    named = [(sku, path) for sku, paths in photos.items() for path in paths]
    return [sku for sku, _ in named], [path for _, path in named]


def alone(call: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a call in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, *arguments).result()


def blas_kernel() -> str:
    """The processor for which NumPy's OpenBLAS computes here ("Haswell"); "unknown" where it can't be asked (Linux).

    One that it doesn't know it takes for a Prescott of 2004, and is four times slower than it could be.
    """
    loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "openblas" in line}
    for path in sorted(loaded, key=lambda path: "numpy" not in path):  # others may have brought their own
        library = ctypes.CDLL(path)
        for prefix, suffix in itertools.product(("", "scipy_"), ("64_", "")):
            if asked := getattr(library, f"{prefix}openblas_get_corename{suffix}", None):
                asked.restype = ctypes.c_char_p
                return str(asked().decode())
    return "unknown"


def kernels() -> Iterator[str]:
    """What OpenBLAS chooses, then what this processor can do; for the processes that are started next."""
    flags = Path("/proc/cpuinfo").read_text()
    able = {"avx2": "Haswell", "avx512f": "SkylakeX"}
    os.environ.pop(KERNEL, None)
    yield "chosen"
    if known := [name for flag, name in able.items() if flag in flags]:
        os.environ[KERNEL] = known[-1]
        yield "set"


def measure(name: str, known: Side, asked: Side, count: int, shortlist: int) -> str:
    skus, right = np.array(known.skus), np.array(asked.skus)
    cosines, by_words = asked.vectors @ known.vectors.T, word_scores(known.words, asked.words, count)
    first = skus[cosines.argmax(axis=1)] == right
    ranks = np.argsort(-by_words, axis=1)
    recalls = [recall(by_words, known.skus, asked.skus, top) for top in (20, 50)]
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
