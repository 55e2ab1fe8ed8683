"""Vocabularies of several sizes, and ways to fill the sparse vector: recall, bytes, milliseconds.

`.venv/bin/python benchmarks/words.py DATA [--sizes N ...] [--descriptors N] [--cache DIR]`. DATA holds grozi-in-store/
and luma-apparel/, from which the words are learned (never from what is measured), and dvd-covers/ and grocery-store/:
the photos of covers by four cameras ask for their catalog pictures among those and the grocery train photos. Recall in
the first 20 and 50 by products of the sparse vectors, weighed by IDF as Qdrant does. For each size: descriptors that
count for their nearest word or for 2 or 3 (`soft`), or for the one that two levels find (assignment.py); and three ways
to count a word that a photo holds n times: n, sqrt(n) (as it is), 1.
Needs faiss (extra `train`). Writes part `vocabulary` of docs/measurements-second-look.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

import numpy as np
from assignment import Assign, two_levels
from decoding import save
from second_look import alone, blas_kernel, cover_photos, flat, read_details, recall, word_scores

from embedder import images
from embedder.details import Details
from embedder.words import Vocabulary, Words, learn

SIZES = (4096, 8192, 16384, 32768, 65536)
SOFT = (1, 2, 3)
COUNTED = {"n": lambda n: n, "sqrt(n)": np.sqrt, "1": np.ones_like}
DESCRIPTORS = 300_000
TOPS = (20, 50)
#: What the store is given of a word: uint32 and float32.
WORD_BYTES = 8
SEED = 1


def sparse(assigned: Any, counted: Any) -> Words:
    """As Vocabulary.words does it, with another way to count."""
    indexes, counts = np.unique(assigned, return_counts=True)
    values = counted(counts.astype(np.float32))
    return Words(indexes.astype(np.uint32), values / max(float(np.linalg.norm(values)), 1e-12))


def ways(centres: Any) -> dict[str, Assign]:
    """How descriptors are given words: exactly, to one or more of them each, or to one that is near."""
    exact: dict[str, Assign] = {f"{soft} nearest": Vocabulary(centres, soft).assign for soft in SOFT}
    return {**exact, "two levels": two_levels(centres)}


def assigned(assign: Assign, photos: Sequence[Details]) -> tuple[list[Any], float]:
    """The words of each photo's descriptors, int64 [n] or [n, soft], and the median milliseconds a photo."""
    found, times = [], []
    for photo in photos:
        began = time.perf_counter()
        found.append(assign(photo.descriptors))
        times.append((time.perf_counter() - began) * 1000)
    return found, statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument("--descriptors", type=int, default=DESCRIPTORS, metavar="N", help="to learn from, at most")
    parser.add_argument("--limit", type=int, help="so many photos of each set, for a trial")
    parser.add_argument("--cache", type=Path, help="keep the details of the photos in this folder")
    options = parser.parse_args()
    data, rng = options.data, np.random.default_rng(SEED)

    def details(*folders: Path) -> list[Details]:
        return read_details(flat(images.find_photos(*folders))[1][: options.limit], options.cache)

    learned_from = details(data / "grozi-in-store", data / "luma-apparel")
    pool = rng.permutation(np.concatenate([one.descriptors for one in learned_from]))[: options.descriptors]
    pictures, shots = cover_photos(data)
    skus, paths = flat(pictures)
    right, asking = (one[: options.limit] for one in flat(shots))
    clutter = details(data / "grocery-store" / "train")
    known, asked = read_details(paths, options.cache) + clutter, read_details(asking, options.cache)
    skus = skus + [""] * len(clutter)
    print(f"{len(pool):,} descriptors of {len(learned_from):,} photos; {len(known):,} references, {len(asked)} queries")
    print(f"{'words':>6} {'assigned':10} {'counted':>8} {'at 20':>6} {'at 50':>6} {'bytes':>6} {'ms':>6}")
    rows = []
    os.environ["OPENBLAS_NUM_THREADS"] = str(os.cpu_count())  # of those that learn; this one is timed
    for size in options.sizes:
        began = time.perf_counter()
        learned = alone(learn, pool, size)
        seconds = round(time.perf_counter() - began)
        for way, assign in ways(learned.centres).items():
            (of_known, ms), (of_asked, _) = assigned(assign, known), assigned(assign, asked)
            for name, counted in COUNTED.items():
                references, queries = ([sparse(one, counted) for one in side] for side in (of_known, of_asked))
                scores = word_scores(references, queries, size)
                row = {
                    "words": size,
                    "assigned": way,
                    "counted": name,
                    **{f"recall_at_{top}": round(recall(scores, skus, right, top), 3) for top in TOPS},
                    "bytes": WORD_BYTES * round(statistics.mean(len(one) for one in references)),
                    "ms": round(ms, 1),
                    "learned_in_seconds": seconds,
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
            "rows": rows,
        }
        save("second-look", figures, part="vocabulary")


if __name__ == "__main__":
    main()
