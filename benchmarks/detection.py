"""Other ways to extract local features: how long each takes, and how many covers are recognized with it.

`.venv/bin/python benchmarks/detection.py DATA [--ways NAME ...]`. DATA contains dvd-covers/ and grocery-store/. For
each way: milliseconds of one core to extract the local features of a decoded photo; the share of cover photos (four
cameras) whose right catalog picture of 40 has the most inliers (verification.py); and the same for the packaged
groceries (val photos, 31 catalog pictures). References are processed in the same way, but their picture is smaller by
the ratio of local_features.REFERENCE to local_features.QUERY, with the same limit of keypoints. All ways give points in
the pixels of these two settings, so that verification treats them alike. OpenCV's SIFT always doubles its picture first
and has no parameter for that: a picture of half the side comes closest to no doubling. Writes part `detection` of
docs/measurements-second-look.json.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from common.figures import save
from common.photo_sets import cover_photos, flat, pack_photos
from PIL import Image

from embedder import images, matching
from embedder.datasets import Photos
from embedder.matching import QUERY, REFERENCE, LocalFeatures, local_features, verify_many
from embedder.matching.local_features import CONTRAST, LAYERS, STEP

GOAL_MS = 25
SIGMA = 1.6
ROUNDS = 5
#: Photos of covers that are timed.
TIMED = 60


@dataclass(frozen=True)
class Way:
    """How local features are extracted from a query.

    `side`: longer side of the picture in which keypoints are detected. `described`: longer side of the picture in which
    SIFT describes them, without doubling it (None: detected and described in one step). `known`: the side of references
    (None: see above). `unit`: the side in whose pixels points are given. The rest, except `detector`, is SIFT.create's.
    """

    side: int = QUERY.side
    described: int | None = None
    known: int | None = None
    layers: int = LAYERS
    contrast: float = CONTRAST
    sigma: float = SIGMA
    precise: bool = True
    count: int = QUERY.count
    unit: int = QUERY.side
    detector: str = "SIFT"

    @property
    def want(self) -> int:
        """The longer side to decode a photo for."""
        return max(self.side, self.described or 0)

    @property
    def of_references(self) -> Way:
        share = REFERENCE.side / QUERY.side
        return replace(
            self,
            side=self.known or round(share * self.side),
            described=self.described and round(share * self.described),
            count=min(self.count, REFERENCE.count),
            unit=REFERENCE.side,
        )

    def sift(self) -> Any:
        return cv2.SIFT.create(
            nfeatures=self.count,
            nOctaveLayers=self.layers,
            contrastThreshold=self.contrast,
            sigma=self.sigma,
            enable_precise_upscale=self.precise,
        )


AS_IT_IS = "as it is"
WAYS = {
    AS_IT_IS: Way(),
    "side 480": Way(side=480),
    "side 400": Way(side=400),
    "side 240": Way(side=240),
    "references at 320": Way(known=320),
    "references at 200": Way(known=200),
    "both at 240": Way(side=240, known=240),
    "400 points": Way(count=400),
    "not precise": Way(precise=False),
    "contrast 0.04": Way(contrast=0.04),
    "2 layers": Way(layers=2),
    "1 layer": Way(layers=1),
    "sigma 1.3": Way(sigma=1.3),
    "200 points": Way(count=200),
    "found in 240, described in 480": Way(side=240, described=480),
    "found in 320, described in 480": Way(side=320, described=480),
    "found in 320, described in 640": Way(side=320, described=640),
    "found by ORB in 320": Way(side=320, described=320, detector="ORB"),
    "found by AKAZE in 320": Way(side=320, described=320, detector="AKAZE"),
    "found by ORB in 480": Way(side=480, described=480, detector="ORB"),
    "found by AKAZE in 480": Way(side=480, described=480, detector="AKAZE"),
}
#: SIFT's diameter as a fraction of another detector's: ORB's patch of 31 pixels is as wide as the 4 x 4 histograms of a
#: SIFT keypoint of a sixth of it; AKAZE gives three times sigma where SIFT gives two.
SIZES = {"ORB": 1 / 6, "AKAZE": 2 / 3}


def shrink(picture: Image.Image, side: int) -> Any:
    """As local_features.detect scales a photo, to another side."""
    scale = min(1.0, side / max(picture.size))
    size = tuple(max(1, round(edge * scale)) for edge in picture.size)
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0).convert("L"))


def find(picture: Image.Image, way: Way) -> LocalFeatures:
    grey = shrink(picture, way.side)
    sift = way.sift()
    if way.described is None:
        keypoints, found = sift.detectAndCompute(grey, None)
        side = way.side
    else:
        side = way.described
        wide = shrink(picture, side)
        grow = wide.shape[1] / grey.shape[1]
        keypoints, found = sift.compute(wide, [moved(point, grow, way) for point in detect(grey, way)])
    if not keypoints:
        return LocalFeatures(np.empty((0, 4), np.float32), np.empty((0, 128), np.uint8), grey.shape[1], grey.shape[0])
    order = np.argsort([-point.response for point in keypoints], kind="stable")[: way.count]
    points = np.array([(*point.pt, point.size, point.angle) for point in keypoints])[order]
    points[:, :3] *= way.unit / side
    height, width = (round(edge * way.unit / way.side) for edge in grey.shape)
    steps = np.clip(np.round(points / STEP), 0, np.iinfo(np.uint16).max)
    return LocalFeatures(
        (steps * STEP).astype(np.float32), local_features.root(np.asarray(found)[order]), width, height
    )


def detect(grey: Any, way: Way) -> Sequence[Any]:
    if way.detector == "ORB":
        return cv2.ORB.create(nfeatures=way.count).detect(grey)
    if way.detector == "AKAZE":
        return cv2.AKAZE.create(threshold=0.0005, max_points=way.count).detect(grey)
    return way.sift().detect(grey)


def moved(point: Any, grow: float, way: Way) -> Any:
    """A keypoint in a picture `grow` times as wide, with the octave and layer for SIFT's description.

    No octave below 0, which would double the picture.
    """
    size = point.size * grow * SIZES.get(way.detector, 1)
    place = max(0.0, np.log2(size / 2 / way.sigma))
    octave = int(place)
    layer = min(round((place - octave) * way.layers), way.layers)
    # OpenCV's precise upscale maps x to 2x, Pillow's resize the middle of the first pixel to that of the first.
    x, y = (grow * (edge + 0.5) - 0.5 for edge in point.pt)
    return cv2.KeyPoint(x, y, size, point.angle, point.response, octave | layer << 8)


def first(way: Way, known: Photos, asked: Photos) -> dict[str, Any]:
    """Top-1 accuracy of the queries by inliers, with the inliers of the right SKU and of the others."""

    def found(path: Path, way: Way) -> LocalFeatures:
        return find(images.decode(path.read_bytes(), want=way.want), way)

    references = [(sku, found(path, way.of_references)) for sku, paths in known.items() for path in paths]
    hits, right, wrong = [], [], []
    for sku, paths in asked.items():
        for path in paths:
            matches = verify_many(found(path, way), [one for _, one in references])
            by_sku = [(name == sku, match.inliers) for (name, _), match in zip(references, matches, strict=True)]
            right.append(max(inliers for own, inliers in by_sku if own))
            wrong.append(max((inliers for own, inliers in by_sku if not own), default=0))
            ahead = {name for (name, _), match in zip(references, matches, strict=True) if match.inliers >= right[-1]}
            # SKUs that tie for rank 1 share it; without an inlier nothing is found.
            hits.append(1 / len(ahead) if right[-1] >= max(wrong[-1], 1) else 0)
    return {
        "photos": len(hits),
        "first": round(float(np.mean(hits)), 3),
        "inliers": float(np.median(right)),
        "wrong_p95": round(float(np.percentile(wrong, 95)), 1),
    }


def milliseconds(ways: dict[str, Way], photos: Sequence[bytes], rounds: int) -> dict[str, float]:
    """Median CPU milliseconds per photo, decoded beforehand at the size each way needs; the ways alternate."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for raw in photos:
        pictures = {way.want: images.decode(raw, want=way.want) for way in ways.values()}
        for _ in range(rounds):
            for name, way in ways.items():
                began = time.thread_time()
                find(pictures[way.want], way)
                taken[name].append((time.thread_time() - began) * 1000)
    return {name: statistics.median(times) for name, times in taken.items()}


def is_same(raw: bytes) -> bool:
    """Whether AS_IT_IS extracts the same as embedder/matching/local_features.py."""
    looks = ((Way(), QUERY), (Way().of_references, REFERENCE))
    pairs = [(find(images.decode(raw, want=way.want), way), matching.extract(raw, sight)) for way, sight in looks]
    return all(
        np.array_equal(one.points, other.points) and np.array_equal(one.descriptors, other.descriptors)
        for one, other in pairs
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="NAME", help="(default: all)")
    parser.add_argument("--limit", type=int, default=None, help="use only so many SKUs of each set, for a trial")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of the timing (default: {ROUNDS})")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    ways = {name: WAYS[name] for name in [AS_IT_IS, *(name for name in options.ways if name != AS_IT_IS)]}
    sets = {}
    for name, (known, asked) in {"covers": cover_photos(options.data), "packs": pack_photos(options.data)}.items():
        few = sorted(known)[: options.limit]
        sets[name] = {sku: known[sku] for sku in few}, {sku: asked[sku] for sku in few if sku in asked}
    paths = [path for side in sets["covers"] for path in flat(side)[1]]
    photos = [path.read_bytes() for path in paths[:: max(1, len(paths) // TIMED)]]
    if not all(is_same(raw) for raw in photos[:3]):
        sys.exit(f"{AS_IT_IS!r} differs from local_features.py: the measurements would not apply to it.")
    times = milliseconds(ways, photos, options.rounds)
    print(f"side {QUERY.side}, {len(photos)} photos timed; goal: {GOAL_MS} ms")
    print(f"{'way':32} {'ms':>6} {'faster':>7} " + " ".join(f"{name + ' first':>14} inliers wrong" for name in sets))
    rows = []
    for name, way in ways.items():
        figures = {which: first(way, *both) for which, both in sets.items()}
        faster = times[AS_IT_IS] / times[name]
        rows.append({"way": name, "ms": round(times[name], 1), "times_faster": round(faster, 2), **figures})
        cells = [f"{one['first']:14.3f} {one['inliers']:7.0f} {one['wrong_p95']:5.0f}" for one in figures.values()]
        print(f"{name:32} {times[name]:6.1f} {faster:6.2f}x " + " ".join(cells), flush=True)
    save(
        "second-look",
        {"goal_ms": GOAL_MS, "side": QUERY.side, "photos_timed": len(photos), "rows": rows},
        part="detection",
    )


if __name__ == "__main__":
    main()
