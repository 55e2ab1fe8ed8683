"""The second look compared with the baseline, matching every reference with OpenCV's FLANN, by number of references.

`.venv/bin/python benchmarks/plain.py DATA [BUNDLE] [--sizes N:QUERIES ...] [--cache DIR]`. DATA contains dvd-covers/,
grocery-store/, grozi-in-store/ and luma-apparel/; BUNDLE has visual words. The references are the catalog pictures of
the covers, then photos of the other sets, then the same photos mirrored (to SIFT a mirrored print is a different one).
The queries are an even sample of the cover photos. Both methods start from a query's local features and vector, and
answer with the reference that has the most inliers. The baseline matches the query with each reference: k-d trees,
ratio test, estimateAffine2D, with the parameters of verification.py. The second look: words, shortlist of the embedded
gallery, the candidates' local features read from files, verify_many on one thread. The baseline divides the references
between two threads. Both use one thread within a matrix product. Writes part `plain` of
docs/measurements-second-look.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

import cv2
import numpy as np
from common.blas import blas_kernel
from common.figures import save
from common.photo_features import Side, open_with_words, read_side
from common.photo_sets import cover_photos, flat
from common.retrieval import enroll, shortlist
from PIL import ImageOps

from catalog.gallery.edge import EdgeGallery
from embedder import datasets, images
from embedder.bundle import RELEASED
from embedder.matching import QUERY, REFERENCE, LocalFeatures, Vocabulary, from_bytes, to_bytes, verify_many
from embedder.matching.verification import CONFIDENCE, MIN_INLIERS, RATIO, TOLERANCE, TRIES

#: How many times faster with the most references, and how far its top-1 may differ from the baseline's.
GOAL, GOAL_TOP1 = 50, 0.02
#: Of the baseline.
THREADS = 2
SIZES = {100: 40, 1000: 40, 10_000: 6}


def flann_inliers(query: LocalFeatures, reference: LocalFeatures) -> int:
    if len(query) < MIN_INLIERS or len(reference) < MIN_INLIERS:
        return 0
    matcher = cv2.FlannBasedMatcher({"algorithm": 1, "trees": 4}, {"checks": 32})
    pairs = matcher.knnMatch(query.descriptors.astype(np.float32), reference.descriptors.astype(np.float32), k=2)
    good = [first for first, second in pairs if first.distance < RATIO * second.distance]
    if len(good) < MIN_INLIERS:
        return 0
    there = np.ascontiguousarray(reference.points[[match.trainIdx for match in good], :2])
    here = np.ascontiguousarray(query.points[[match.queryIdx for match in good], :2])
    found, mask = cv2.estimateAffine2D(
        there, here, method=cv2.RANSAC, ransacReprojThreshold=TOLERANCE, maxIters=TRIES, confidence=CONFIDENCE
    )
    return int(mask.sum()) if found is not None else 0


def plainly(asked: LocalFeatures, references: Sequence[LocalFeatures]) -> int:
    """The index of the reference with the most inliers."""
    with ThreadPoolExecutor(THREADS) as pool:
        return int(np.argmax(list(pool.map(lambda one: flann_inliers(asked, one), references))))


def second_look(
    gallery: EdgeGallery, vocabulary: Vocabulary, vector: Any, asked: LocalFeatures, files: Sequence[Path]
) -> int:
    places = shortlist(gallery, vector, vocabulary.encode(asked))
    matches = verify_many(asked, [from_bytes(files[place].read_bytes()) for place in places])
    return places[max(range(len(places)), key=lambda at: matches[at].inliers)]


def mirrored(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Mirrored copies of photos, in a folder."""
    copies = [folder / f"{at}.jpg" for at in range(len(paths))]
    for path, copy in zip(paths, copies, strict=True):
        ImageOps.mirror(images.decode(path.read_bytes())).save(copy, quality=95)
    return copies


def first(side: Side, count: int) -> Side:
    return Side(side.skus[:count], side.vectors[:count], side.details[:count], side.words[:count])


def compare(known: Side, asked: Side, vocabulary: Vocabulary, folder: Path) -> dict[str, Any]:
    files = [folder / str(at) for at in range(len(known.details))]
    for path, details in zip(files, known.details, strict=True):
        path.write_bytes(to_bytes(details))
    gallery = EdgeGallery(folder / "gallery")
    enroll(gallery, known)
    taken: dict[str, list[tuple[float, float]]] = {"plain": [], "second look": []}
    right: dict[str, list[bool]] = {"plain": [], "second look": []}
    for sku, vector, details in zip(asked.skus, asked.vectors, asked.details, strict=True):
        ways = {
            "second look": lambda v=vector, d=details: second_look(gallery, vocabulary, v, d, files),
            "plain": lambda d=details: plainly(d, known.details),
        }
        for name, way in ways.items():
            began, cpu = time.perf_counter(), time.process_time()
            place = way()
            taken[name].append(((time.perf_counter() - began) * 1000, (time.process_time() - cpu) * 1000))
            right[name].append(known.skus[place] == sku)
    gallery.close()
    times = {name: [statistics.median(clock) for clock in zip(*some, strict=True)] for name, some in taken.items()}
    return {
        "references": len(known.skus),
        "queries": len(asked.skus),
        "ms": {name: round(wall, 1) for name, (wall, _) in times.items()},
        "cpu_ms": {name: round(cpu, 1) for name, (_, cpu) in times.items()},
        "times_faster": round(times["plain"][0] / times["second look"][0], 1),
        "times_faster_by_cpu": round(times["plain"][1] / times["second look"][1], 1),
        "top1": {name: round(float(np.mean(some)), 3) for name, some in right.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("bundle", type=Path, nargs="?", default=RELEASED)
    sizes = [f"{size}:{queries}" for size, queries in SIZES.items()]
    parser.add_argument("--sizes", nargs="+", default=sizes, metavar="REFERENCES:QUERIES", help=f"(default: {sizes})")
    parser.add_argument("--cache", type=Path, help="keep the photos' local features in this folder")
    options = parser.parse_args()
    sizes = {int(size): int(queries) for size, _, queries in (one.partition(":") for one in options.sizes)}
    embedder, vocabulary = open_with_words(options.bundle)
    pictures, shots = cover_photos(options.data)
    folders = [options.data / "grocery-store" / "train", options.data / "grozi-in-store", options.data / "luma-apparel"]
    others = [path for one in folders for path in flat(datasets.find_photos(one))[1]]
    skus, paths = flat(pictures)
    most = max(sizes)
    with tempfile.TemporaryDirectory() as folder:
        paths += others
        paths += mirrored(others[: max(0, most - len(paths))], Path(folder))
        # No query is of the other sets, and their folder names are SKUs of covers, too.
        skus += ["" for _ in paths[len(skus) :]]
        known = read_side(embedder, vocabulary, skus[:most], paths[:most], REFERENCE, options.cache)
    if len(known.skus) < most:
        parser.error(f"{options.data} has no {most} references, mirrored ones counted: ask for less by --sizes")
    asked = read_side(embedder, vocabulary, *flat(shots), QUERY, options.cache)
    print(f"bundle {embedder.bundle.id}; goals: {GOAL} x faster at {most} references, top-1 within {GOAL_TOP1}")
    rows = []
    for size, queries in sizes.items():
        chosen = np.linspace(0, len(asked.skus) - 1, queries).round().astype(int)
        some = Side(
            [asked.skus[at] for at in chosen],
            asked.vectors[chosen],
            [asked.details[at] for at in chosen],
            [asked.words[at] for at in chosen],
        )
        with tempfile.TemporaryDirectory() as folder:
            row = compare(first(known, size), some, vocabulary, Path(folder))
        rows.append(row)
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        figures = {"bundle": embedder.bundle.id, "goal": GOAL, "kernel": blas_kernel(), "rows": rows}
        save("second-look", figures, part="plain")  # after each, since the last takes long


if __name__ == "__main__":
    main()
