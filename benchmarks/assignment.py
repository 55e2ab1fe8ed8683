"""Assigning descriptors to visual words: CPU milliseconds per photo on one core, by vocabulary size and method.

`.venv/bin/python benchmarks/assignment.py [--data DIR]`. 400 descriptors against 8,192, 16,384 and 32,768 words. The
centres are random: they do not affect the time, but they do affect what the approximate methods find. With `--data`
(photos) descriptors and centres come from real photos, and the share that is assigned to the exact nearest word is
meaningful. Methods: the one in use (Vocabulary.assign: the words of the nearest groups); every word, in chunks of
descriptors; one with the centres' lengths as a row of the matrix; half the dimensions (PCA of the centres); and as
peers OpenCV's k-d trees (FLANN) and faiss. Needs faiss (extra `train`). Everything is measured twice: with the kernel
that OpenBLAS chooses, and with one that this processor supports (OPENBLAS_CORETYPE), since an OpenBLAS that is older
than the processor may choose a kernel of 2004. Writes part `assignment` of docs/measurements-second-look.json.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

import cv2
import faiss
import numpy as np
from common.blas import blas_kernel, kernels
from common.figures import save
from common.photo_features import read_details
from common.photo_sets import flat
from common.processes import alone
from common.timing import interleaved

from embedder import datasets
from embedder.matching import REFERENCE
from embedder.matching.local_features import DIM, UNIT
from embedder.matching.vocabulary_learning import grouped

GOAL_MS = 5.0
SIZES = (8192, 16384, 32768)
COUNT = REFERENCE.count
CHUNKS = (32, 64, 256)
ROUNDS = 31
SEED = 1

Assign = Callable[[Any], Any]


def drawn(count: int, seed: int) -> Any:
    """Random RootSIFT descriptors, uint8 [count, 128]: square roots of normalized histograms, as bytes."""
    shares = np.random.default_rng(seed).gamma(0.5, size=(count, DIM))
    return np.minimum(np.sqrt(shares / shares.sum(axis=1, keepdims=True)) * UNIT, 255).round().astype(np.uint8)


def real(data: Path, count: int) -> Any:
    """Shuffled descriptors of photos, uint8 [at least count, 128]."""
    paths = flat(datasets.find_photos(data))[1]
    order = np.random.default_rng(SEED).permutation(len(paths))
    found = read_details([paths[place] for place in order[: 2 * count // COUNT]], REFERENCE)
    return np.random.default_rng(SEED).permutation(np.concatenate([one.descriptors for one in found]))


def in_chunks(centres: Any, chunk: int) -> Assign:
    """Compare with every word, `chunk` descriptors at a time."""
    columns = np.ascontiguousarray(centres.T, np.float32)
    half = 0.5 * (columns**2).sum(axis=0)

    def assign(descriptors: Any) -> Any:
        parts = [descriptors[at : at + chunk].astype(np.float32) for at in range(0, len(descriptors), chunk)]
        return np.concatenate([(half - part @ columns).argmin(axis=1) for part in parts])

    return assign


def folded(centres: Any, chunk: int = 64) -> Assign:
    """|x - c|^2 is smallest where x c - |c|^2 / 2 is largest: one product, with a one appended to each descriptor."""
    columns = np.ascontiguousarray(centres.T, np.float32)
    matrix = np.vstack([columns, -0.5 * (columns**2).sum(axis=0)])

    def assign(descriptors: Any) -> Any:
        rows = np.ones((len(descriptors), DIM + 1), np.float32)
        rows[:, :DIM] = descriptors
        return np.concatenate([(rows[at : at + chunk] @ matrix).argmax(axis=1) for at in range(0, len(rows), chunk)])

    return assign


def half_the_dimensions(centres: Any, chunk: int = 64) -> Assign:
    floats = centres.astype(np.float32)
    mean = floats.mean(axis=0)
    _, _, axes = np.linalg.svd(floats - mean, full_matrices=False)
    axes = np.ascontiguousarray(axes[: DIM // 2].T)
    columns = np.ascontiguousarray(((floats - mean) @ axes).T)
    half = 0.5 * (columns**2).sum(axis=0)

    def assign(descriptors: Any) -> Any:
        rows = (descriptors - mean) @ axes
        return np.concatenate(
            [(half - rows[at : at + chunk] @ columns).argmin(axis=1) for at in range(0, len(rows), chunk)]
        )

    return assign


def k_d_trees(centres: Any) -> Assign:
    index = cv2.flann.Index(centres.astype(np.float32), {"algorithm": 1, "trees": 4})
    return lambda descriptors: index.knnSearch(descriptors.astype(np.float32), 1, params={"checks": 64})[0][:, 0]


def by_faiss(centres: Any) -> Assign:
    index = faiss.IndexFlatL2(DIM)
    index.add(centres.astype(np.float32))
    return lambda descriptors: index.search(descriptors.astype(np.float32), 1)[1][:, 0]


def ways(centres: Any) -> dict[str, Assign]:
    vocabulary = grouped(centres)
    centres = vocabulary.centres  # in its order
    return {
        "as it serves": vocabulary.assign,
        **{f"every word, chunks of {chunk}": in_chunks(centres, chunk) for chunk in CHUNKS},
        "lengths in the product": folded(centres),
        "64 of 128 dimensions": half_the_dimensions(centres),
        "OpenCV's k-d trees, 64 checks": k_d_trees(centres),
        "faiss, flat": by_faiss(centres),
    }


def measure(data: Path | None, sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    cv2.setNumThreads(1)
    faiss.omp_set_num_threads(1)
    pool = real(data, max(sizes) + COUNT) if data else drawn(max(sizes) + COUNT, SEED)
    asked = pool[-COUNT:]
    rows = []
    for size in sizes:
        calls = ways(pool[:size])
        exact = calls[f"every word, chunks of {CHUNKS[0]}"](asked)
        agree = {name: float(np.mean(call(asked) == exact)) for name, call in calls.items()}
        timed = {name: lambda c=call: c(asked) for name, call in calls.items()}
        for name, taken in interleaved(timed, rounds, time.thread_time).items():
            # Meaningless for random descriptors, none of which has a near word.
            same = {"same_word": round(agree[name], 3)} if data else {}
            rows.append({"kernel": blas_kernel(), "words": size, "way": name, "ms": round(taken, 2), **same})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="photos whose descriptors are the queries and the centres")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    rows = []
    print(f"{'kernel':10} {'words':>6}  {'way':32} {'ms':>6} {'exact':>6}   goal: {GOAL_MS} ms")
    for _ in kernels():
        for row in alone(measure, options.data, options.sizes, options.rounds):
            rows.append(row)
            cells = f"{row['kernel']:10} {row['words']:6}  {row['way']:32} {row['ms']:6.2f}"
            print(f"{cells} {row.get('same_word', float('nan')):6.3f}", flush=True)
    save("second-look", {"goal_ms": GOAL_MS, "descriptors": COUNT, "rows": rows}, part="assignment")


if __name__ == "__main__":
    main()
