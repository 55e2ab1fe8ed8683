"""Descriptors to visual words: CPU milliseconds a photo on one core, by the size of the vocabulary and the way.

`.venv/bin/python benchmarks/assignment.py [--data DIR]`. 400 descriptors against 4,096, 8,192 and 16,384 words. The
centres are random: time does not depend on them, but what the ways that are not exact find does; with `--data` (photos)
descriptors and centres are those of real photos, and the share that gets the exact word is worth reading. Ways: the one
that serves (Vocabulary.assign); the same product in other chunks; one that has the centres' lengths as a row of the
matrix; half the dimensions (PCA of the centres); two levels (the centres grouped by k-means, a descriptor compared with
the nearest groups only); and as peers OpenCV's k-d trees (FLANN) and, where it is installed, faiss. All of it once as
OpenBLAS chooses its kernel, and once by one that this processor has (OPENBLAS_CORETYPE): an OpenBLAS that is older than
the processor may choose one of 2004. Writes part `assignment` of docs/measurements-second-look.json.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

import cv2
import numpy as np
from decoding import interleaved, save
from second_look import alone, blas_kernel, flat, kernels, read_details

from embedder import images
from embedder.details import COUNT, DIM, UNIT
from embedder.words import Vocabulary

try:
    import faiss
except ImportError:  # extra `train`
    faiss = None

GOAL_MS = 5.0
SIZES = (4096, 8192, 16384)
CHUNKS = (16, 32, 128, 256, COUNT)
#: Two levels: groups of about so many words, and the groups that a descriptor is compared with.
GROUP, NEAREST = 128, 8
LLOYD = 8
ROUNDS = 31
SEED = 1

Assign = Callable[[Any], Any]


def drawn(count: int, seed: int) -> Any:
    """Random RootSIFT, uint8 [count, 128]: the square root of shares, as bytes."""
    shares = np.random.default_rng(seed).gamma(0.5, size=(count, DIM))
    return np.minimum(np.sqrt(shares / shares.sum(axis=1, keepdims=True)) * UNIT, 255).round().astype(np.uint8)


def real(data: Path, count: int) -> Any:
    """Descriptors of photos, uint8 [at least count, 128], mixed."""
    paths = flat(images.find_photos(data))[1]
    order = np.random.default_rng(SEED).permutation(len(paths))
    found = read_details([paths[place] for place in order[: 2 * count // COUNT]])
    return np.random.default_rng(SEED).permutation(np.concatenate([one.descriptors for one in found]))


def in_chunks(centres: Any, chunk: int) -> Assign:
    """As Vocabulary.assign."""
    columns = np.ascontiguousarray(centres.T, np.float32)
    half = 0.5 * (columns**2).sum(axis=0)

    def assign(descriptors: Any) -> Any:
        parts = [descriptors[at : at + chunk].astype(np.float32) for at in range(0, len(descriptors), chunk)]
        return np.concatenate([(half - part @ columns).argmin(axis=1) for part in parts])

    return assign


def folded(centres: Any, chunk: int = 64) -> Assign:
    """|x - c|^2 is least where x c - |c|^2 / 2 is most: one product, of descriptors with a one at their end."""
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


def two_levels(centres: Any) -> Assign:
    """The words of each group lie together, so that a group is a slice; its members are compared in one product."""
    floats = centres.astype(np.float32)
    groups = floats[np.random.default_rng(SEED).choice(len(floats), len(floats) // GROUP, replace=False)]
    for _ in range(LLOYD):
        owner = (0.5 * (groups**2).sum(axis=1) - floats @ groups.T).argmin(axis=1)
        groups = np.stack(
            [floats[owner == at].mean(axis=0) if (owner == at).any() else groups[at] for at in range(len(groups))]
        )
    owner = (0.5 * (groups**2).sum(axis=1) - floats @ groups.T).argmin(axis=1)
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(len(groups) + 1))
    columns = np.ascontiguousarray(floats[order].T)
    half = 0.5 * (columns**2).sum(axis=0)
    nearest = min(NEAREST, len(groups))
    group_columns, group_half = np.ascontiguousarray(groups.T), 0.5 * (groups**2).sum(axis=1)
    slices = [(np.ascontiguousarray(columns[:, a:b]), half[a:b], a) for a, b in pairwise(starts)]

    def assign(descriptors: Any) -> Any:
        rows = descriptors.astype(np.float32)
        near = np.argpartition(group_half - rows @ group_columns, nearest - 1, axis=1)[:, :nearest]
        by_group = np.argsort(near.ravel(), kind="stable")
        members, bounds = by_group // nearest, np.searchsorted(near.ravel()[by_group], np.arange(len(groups) + 1))
        best, word = np.full(len(rows), np.inf, np.float32), np.zeros(len(rows), np.int64)
        for (part, lengths, start), (low, high) in zip(slices, pairwise(bounds), strict=True):
            if low == high or not len(lengths):
                continue
            asking = members[low:high]
            distances = lengths - rows[asking] @ part
            at = distances.argmin(axis=1)
            least = distances[np.arange(len(asking)), at]
            closer = least < best[asking]
            best[asking[closer]] = least[closer]
            word[asking[closer]] = at[closer] + start
        return order[word]

    return assign


def k_d_trees(centres: Any) -> Assign:
    index = cv2.flann.Index(centres.astype(np.float32), {"algorithm": 1, "trees": 4})
    return lambda descriptors: index.knnSearch(descriptors.astype(np.float32), 1, params={"checks": 64})[0][:, 0]


def by_faiss(centres: Any) -> Assign:
    index = faiss.IndexFlatL2(DIM)
    index.add(centres.astype(np.float32))
    return lambda descriptors: index.search(descriptors.astype(np.float32), 1)[1][:, 0]


def ways(centres: Any) -> dict[str, Assign]:
    vocabulary = Vocabulary(centres)
    return {
        "as it serves": lambda descriptors: vocabulary.assign(descriptors)[:, 0],
        **{f"chunks of {chunk}": in_chunks(centres, chunk) for chunk in CHUNKS},
        "lengths in the product": folded(centres),
        "64 of 128 dimensions": half_the_dimensions(centres),
        f"two levels, {NEAREST} nearest groups": two_levels(centres),
        "OpenCV's k-d trees, 64 checks": k_d_trees(centres),
        **({"faiss, flat": by_faiss(centres)} if faiss else {}),
    }


def measure(data: Path | None, sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    cv2.setNumThreads(1)
    if faiss:
        faiss.omp_set_num_threads(1)
    pool = real(data, max(sizes) + COUNT) if data else drawn(max(sizes) + COUNT, SEED)
    asked = pool[-COUNT:]
    rows = []
    for size in sizes:
        calls = ways(pool[:size])
        exact = calls["as it serves"](asked)
        agree = {name: float(np.mean(call(asked) == exact)) for name, call in calls.items()}
        timed = {name: lambda c=call: c(asked) for name, call in calls.items()}
        for name, taken in interleaved(timed, rounds, time.thread_time).items():
            # Of drawn descriptors, none of which has a near word, it would say nothing.
            same = {"same_word": round(agree[name], 3)} if data else {}
            rows.append({"kernel": blas_kernel(), "words": size, "way": name, "ms": round(taken, 2), **same})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="photos, whose descriptors are asked and are the centres")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    rows = []
    print(f"{'kernel':10} {'words':>6}  {'way':32} {'ms':>6} {'exact':>6}   goal at 8,192 words: {GOAL_MS} ms")
    for _ in kernels():
        for row in alone(measure, options.data, options.sizes, options.rounds):
            rows.append(row)
            cells = f"{row['kernel']:10} {row['words']:6}  {row['way']:32} {row['ms']:6.2f}"
            print(f"{cells} {row.get('same_word', float('nan')):6.3f}", flush=True)
    save("second-look", {"goal_ms": GOAL_MS, "descriptors": COUNT, "rows": rows}, part="assignment")


if __name__ == "__main__":
    main()
