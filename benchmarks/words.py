"""Vocabularies of several sizes, and ways to fill the sparse vector: recall, bytes, milliseconds.

`.venv/bin/python benchmarks/words.py DATA [--sizes N ...] [--soft N ...] [--cache DIR]`. DATA contains grozi-in-store/
and luma-apparel/, from which the vocabulary is learned (never from what is measured), and dvd-covers/ and
grocery-store/: the queries are photos of covers from four cameras, the references the covers' catalog pictures and the
grocery train photos. Recall among the first 20 and 50 by products of the sparse vectors, weighted by IDF as in Qdrant.
For each size: descriptors assigned to their nearest word or to the 2 or 3 nearest (`--soft`), or as in use, by groups
of words (Vocabulary.assign); and three ways to count a word that occurs n times in a photo: n, sqrt(n), 1 (as in use).
Milliseconds are of one core. Needs faiss (extra `train`). Writes part `vocabulary` of
docs/measurements-second-look.json, where rows of other sizes stay.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

import numpy as np
from common.blas import blas_kernel
from common.figures import load, save
from common.metrics import recall
from common.photo_features import read_details
from common.photo_sets import cover_photos, flat
from common.processes import alone

from embedder import datasets
from embedder.calibration.asking import shared_words
from embedder.matching import QUERY, REFERENCE, LocalFeatures, VisualWords, Vocabulary
from embedder.matching.local_features import DetectorSettings
from embedder.matching.vocabulary_learning import grouped, train_vocabulary

Assign = Callable[[Any], Any]

SIZES = (4096, 8192, 16384, 32768, 65536)
SOFT = (1, 2, 3)
COUNTED = {"n": lambda n: n, "sqrt(n)": np.sqrt, "1": np.ones_like}
DESCRIPTORS = 300_000
TOPS = (20, 50)
#: Bytes of a word in the gallery: uint32 and float32.
WORD_BYTES = 8
SEED = 1


def sparse(assigned: Any, counted: Any) -> VisualWords:
    """Like Vocabulary.encode, with another way to count."""
    indexes, counts = np.unique(assigned, return_counts=True)
    values = counted(counts.astype(np.float32))
    return VisualWords(indexes.astype(np.uint32), values / max(float(np.linalg.norm(values)), 1e-12))


def nearest(centres: Any, soft: int, chunk: int = 64) -> Assign:
    """Assign to the `soft` nearest words, by all distances."""
    columns = np.ascontiguousarray(centres.T, np.float32)
    half = 0.5 * (columns**2).sum(axis=0)

    def few(rows: Any) -> Any:
        distances = half - rows.astype(np.float32) @ columns
        return distances.argmin(axis=1) if soft == 1 else np.argpartition(distances, soft - 1, axis=1)[:, :soft]

    return lambda rows: np.concatenate(
        [few(rows[at : at + chunk]) for at in range(0, len(rows), chunk)] or [rows[:, 0]]
    )


def ways(vocabulary: Vocabulary, soft: Sequence[int]) -> dict[str, Assign]:
    """How descriptors are assigned to words: exactly, to one or more words each, or as in use."""
    exact: dict[str, Assign] = {f"{count} nearest": nearest(vocabulary.centres, count) for count in soft}
    return {**exact, "as it serves": vocabulary.assign}


def vocabulary(pool: Any, size: int, cache: Path | None) -> Vocabulary:
    """Learned in a fresh process, or read from the cache."""
    kept = cache / f"words-{size}.npy" if cache else None
    if kept and kept.exists():
        return grouped(np.load(kept))
    learned: Vocabulary = alone(train_vocabulary, pool, size)
    if kept:
        np.save(kept, learned.centres)
    return learned


def assigned(assign: Assign, photos: Sequence[LocalFeatures]) -> tuple[list[Any], float]:
    """The words of each photo's descriptors, int64 [n] or [n, soft], and the median milliseconds per photo."""
    found, times = [], []
    for photo in photos:
        began = time.thread_time()
        found.append(assign(photo.descriptors[: REFERENCE.count]))
        times.append((time.thread_time() - began) * 1000)
    return found, statistics.median(times)


def measured() -> list[dict[str, Any]]:
    """The rows of earlier runs; new rows replace those of the same size."""
    rows: list[dict[str, Any]] = load("second-look").get("vocabulary", {}).get("rows", [])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument(
        "--descriptors", type=int, default=DESCRIPTORS, metavar="N", help="descriptors to learn from, at most"
    )
    parser.add_argument("--limit", type=int, help="use only so many photos of each set, for a trial")
    parser.add_argument(
        "--soft", type=int, nargs="+", default=list(SOFT), metavar="N", help="numbers of nearest words to assign"
    )
    parser.add_argument(
        "--cache", type=Path, help="keep the photos' local features, and the vocabularies, in this folder"
    )
    options = parser.parse_args()
    data, rng = options.data, np.random.default_rng(SEED)

    def details(sight: DetectorSettings, *folders: Path) -> list[LocalFeatures]:
        return read_details(flat(datasets.find_photos(*folders))[1][: options.limit], sight, options.cache)

    learned_from = details(QUERY, data / "grozi-in-store", data / "luma-apparel")
    descriptors = np.concatenate([one.descriptors[: REFERENCE.count] for one in learned_from])
    pool = rng.permutation(descriptors)[: options.descriptors]
    pictures, shots = cover_photos(data)
    skus, paths = flat(pictures)
    right, asking = (one[: options.limit] for one in flat(shots))
    clutter = details(REFERENCE, data / "grocery-store" / "train")
    known = read_details(paths, REFERENCE, options.cache) + clutter
    asked = read_details(asking, QUERY, options.cache)
    skus = skus + [""] * len(clutter)
    print(f"{len(pool):,} descriptors of {len(learned_from):,} photos; {len(known):,} references, {len(asked)} queries")
    print(f"{'words':>6} {'assigned':10} {'counted':>8} {'at 20':>6} {'at 50':>6} {'bytes':>6} {'ms':>6}")
    rows = [row for row in measured() if row["words"] not in options.sizes]
    os.environ["OPENBLAS_NUM_THREADS"] = str(os.cpu_count())  # of those that learn; this one is timed
    for size in options.sizes:
        for way, assign in ways(vocabulary(pool, size, options.cache), options.soft).items():
            (of_known, ms), (of_asked, _) = assigned(assign, known), assigned(assign, asked)
            for name, counted in COUNTED.items():
                references, queries = ([sparse(one, counted) for one in side] for side in (of_known, of_asked))
                scores = shared_words(references, queries, size)
                row = {
                    "words": size,
                    "assigned": way,
                    "counted": name,
                    **{f"recall_at_{top}": round(recall(scores, skus, right, top), 3) for top in TOPS},
                    "bytes": WORD_BYTES * round(statistics.mean(len(one) for one in references)),
                    "ms": round(ms, 1),
                }
                rows.append(row)
                at_20, at_50 = (row[f"recall_at_{top}"] for top in TOPS)
                print(
                    f"{size:6} {way:10} {name:>8} {at_20:6.3f} {at_50:6.3f} {row['bytes']:6} {row['ms']:6.1f}",
                    flush=True,
                )
        figures = {
            "kernel": blas_kernel(),
            "learned_from_descriptors": len(pool),
            "references": len(known),
            "queries": len(asked),
            "rows": sorted(rows, key=lambda row: row["words"]),
        }
        save("second-look", figures, part="vocabulary")


if __name__ == "__main__":
    main()
