"""Verify: do two photos show the same pack? Their details matched, and one affine map asked to explain the matches.

Spatial verification (Philbin et al. 2007, "Object retrieval with large vocabularies and fast spatial matching") of
pairs that pass the ratio test (Lowe 2004, "Distinctive image features from scale-invariant keypoints"). What comes out
are measurements; what they are worth is for the calibrated decision to say. Where the pack lies is then asked once
more, in perspective.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from embedder.matching.local_features import LocalFeatures, Points

Transform = npt.NDArray[np.float64]
Pairs = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]

#: A pair counts when its distance is less than this share of the distance to the second nearest (Lowe 2004, 7.1).
RATIO = 0.8
#: How far from its place, in pixels of the query's details, a point may be mapped. A pack that is tilted is seen in
#: perspective, which an affine map only comes near to.
TOLERANCE = 8.0
TRIES = 1000
CONFIDENCE = 0.99
#: Three pairs fit an affine map whatever they are: the fourth is the first that says anything.
MIN_INLIERS = 4
#: What a pack in front of a camera can look like: its scale in the query, and how much longer than across it may get.
SCALES = (0.1, 10.0)
SHEAR = 4.0
#: An inlier's own angle and size must go with the map: turned by at most so many degrees, and within this factor.
MAX_TURN = 40.0
MAX_RESIZE = 2.5
#: A map that neither turns nor resizes by more than this share comes from a tripod, not from a hand at a till.
STILL = 0.03
#: So many inliers are asked for perspective: with fewer, its two numbers more would fit their noise.
MIN_PERSPECTIVE = 10
#: What the affine map misses by less than this many TOLERANCE may be right in perspective, within so many pixels.
LOOSE = 3.0
EXACT = 5.0
#: How much nearer to the camera one corner of a pack may be than another.
DEPTH = 3.0


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well a query photo agrees with a reference photo.

    `inliers` is the number of places of the reference that are found again where one affine map puts them, `tentative`
    that of the pairs that looked alike to begin with, `share` is inliers / tentative (0 without any). `area` is the
    share of the convex hull of all the reference's points that the hull of the inliers covers: all that is printed on a
    pack, or only the logo that it has in common with another. `pairs` is [inliers, 2]: indices into the query's points
    and into the reference's. `transform` is float64 [2, 3], pixels of the reference's details -> pixels of the query's.
    `outline` is float32 [4, 2]: the reference's corners in the query photo, x and y in shares of its width and height
    (beyond 0..1: outside), from the reference's top left clockwise, seen in perspective, unless the pairs are too few
    to tell. `still`: the map neither turns nor resizes: two
    photographs of one camera that did not move, or one that was edited. What they share may be all but the product.
    """

    inliers: int = 0
    tentative: int = 0
    share: float = 0.0
    area: float = 0.0
    transform: Transform | None = None
    pairs: Pairs = field(default_factory=lambda: np.empty((0, 2), np.intp))
    outline: Floats | None = None
    still: bool = False


def verify(query: LocalFeatures, reference: LocalFeatures) -> Agreement:
    """Match the details of two photos. Where nothing agrees: 0 inliers and no transform, never an error.

    The same details give the same match: all distances are exact, and OpenCV's RANSAC starts from a fixed seed.
    """
    return _verify(query, _convert(query), reference)


def verify_many(query: LocalFeatures, references: Iterable[LocalFeatures], threads: int = 2) -> list[Agreement]:
    """Match a query's details with those of each reference -> the matches, in order; side by side on `threads` threads.

    Products of matrices and OpenCV run outside Python's lock.
    """
    converted = _convert(query)
    if threads == 1:
        return [_verify(query, converted, reference) for reference in references]
    with ThreadPoolExecutor(threads, thread_name_prefix="verify") as pool:
        return list(pool.map(lambda reference: _verify(query, converted, reference), references))


def _convert(details: LocalFeatures) -> Floats:
    """Descriptors as float32 [n, 128]. Twice the sum of 128 products of bytes is below 2^24: exact, in any order."""
    return details.descriptors.astype(np.float32)


def _verify(query: LocalFeatures, converted: Floats, reference: LocalFeatures) -> Agreement:
    pairs = _one_a_place(tentative_pairs(converted, _convert(reference)), query, reference)
    nothing = Agreement(tentative=len(pairs))
    if len(pairs) < MIN_INLIERS:
        return nothing
    there, here = reference.points[pairs[:, 1]], query.points[pairs[:, 0]]
    found, mask = cv2.estimateAffine2D(
        np.ascontiguousarray(there[:, :2]),
        np.ascontiguousarray(here[:, :2]),
        method=cv2.RANSAC,
        ransacReprojThreshold=TOLERANCE,
        maxIters=TRIES,
        confidence=CONFIDENCE,
    )
    if found is None:  # all in one line
        return nothing
    transform = np.asarray(found, np.float64)
    if not is_plausible(transform):
        return nothing
    along = _goes_along(transform, there, here)
    kept = mask.ravel().astype(bool) & along
    pairs = pairs[kept]
    if len(pairs) < MIN_INLIERS:
        return nothing
    seen = np.vstack([transform, (0, 0, 1)])
    if len(pairs) >= MIN_PERSPECTIVE:
        seen = _in_perspective(seen, there[along, :2], here[along, :2], reference)
    return Agreement(
        inliers=len(pairs),
        tentative=nothing.tentative,
        share=len(pairs) / nothing.tentative,
        area=covered(reference, pairs[:, 1]),
        transform=transform,
        pairs=pairs,
        outline=(_mapped(_corners(reference), seen)[0] / (query.width, query.height)).astype(np.float32),
        still=_is_still(transform, query, reference),
    )


def tentative_pairs(query: Floats, reference: Floats) -> Pairs:
    """Descriptors, float32 [n, 128] and [m, 128] -> [k, 2] indices of pairs that passed the ratio test, nearest first.

    A reference point that is the nearest of several query points goes to the nearest of them. Without a second
    reference point there is no ratio, and so no pair.
    """
    if not len(query) or len(reference) < 2:
        return np.empty((0, 2), np.intp)
    own = np.einsum("ij,ij->i", query, query)
    # Squared distances, less what is the same in a whole row: the query point's own square.
    squares = query @ (-2 * reference).T
    squares += np.einsum("ij,ij->i", reference, reference)
    rows = np.arange(len(query))
    nearest = squares.argmin(axis=1)
    first = squares[rows, nearest] + own
    squares[rows, nearest] = np.inf
    second = squares.min(axis=1) + own
    passed = np.flatnonzero(first < RATIO**2 * second)
    passed = passed[np.argsort(first[passed], kind="stable")]
    _, closest = np.unique(nearest[passed], return_index=True)
    passed = passed[np.sort(closest)]
    return np.stack([passed, nearest[passed]], axis=1)


def _one_a_place(pairs: Pairs, query: LocalFeatures, reference: LocalFeatures) -> Pairs:
    """Only the nearest of the pairs that join the same two places: a keypoint of two angles agrees once, not twice."""
    places = np.round(np.hstack([query.points[pairs[:, 0], :2], reference.points[pairs[:, 1], :2]]))
    _, first = np.unique(places, axis=0, return_index=True)
    return pairs[np.sort(first)]


def is_plausible(transform: Transform) -> bool:
    """Can a camera have seen the reference so? Affine [2, 3] -> not mirrored, collapsed, blown up or sheared.

    Its singular values are what the map makes of a length, at most and at least.
    """
    if not np.isfinite(transform).all():
        return False
    longest, shortest = np.linalg.svd(transform[:, :2], compute_uv=False)
    if np.linalg.det(transform[:, :2]) <= 0 or longest > SHEAR * shortest:
        return False
    return bool(SCALES[0] <= np.sqrt(longest * shortest) <= SCALES[1])


def _goes_along(transform: Transform, there: Points, here: Points) -> npt.NDArray[np.bool_]:
    """Points [n, 4] of reference and query -> [n]: the keypoint itself is turned and resized as the map says.

    Chance puts a few points in the right places, seldom with the right angle and size too (weak geometric consistency:
    Jegou, Douze and Schmid 2008, "Hamming embedding and weak geometric consistency").
    """
    matrix = transform[:, :2]
    angles = np.radians(there[:, 3])
    mapped = matrix @ np.stack([np.cos(angles), np.sin(angles)])
    turned = np.degrees(np.arctan2(mapped[1], mapped[0])) - here[:, 3]
    resized = np.log(here[:, 2] / (there[:, 2] * np.sqrt(np.linalg.det(matrix))))
    goes: npt.NDArray[np.bool_] = np.abs((turned + 180) % 360 - 180) <= MAX_TURN
    goes &= np.abs(resized) <= np.log(MAX_RESIZE)
    return goes


def covered(reference: LocalFeatures, points: npt.NDArray[np.intp]) -> float:
    """The share of all that is printed on a reference that some of its points cover: of one convex hull the other."""
    return _hull(reference.points[points]) / max(_hull(reference.points), 1.0)


def _hull(points: Points) -> float:
    """Points [n, 4] -> the area of their convex hull, in square pixels."""
    return float(cv2.contourArea(cv2.convexHull(np.ascontiguousarray(points[:, :2]))))


def _is_still(transform: Transform, query: LocalFeatures, reference: LocalFeatures) -> bool:
    resized = max(reference.width, reference.height) / max(query.width, query.height)
    return bool(np.abs(transform[:, :2] * resized - np.eye(2)).max() < STILL)


def _corners(details: LocalFeatures) -> Floats:
    width, height = details.width, details.height
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)


def _mapped(places: Floats, by: Transform) -> tuple[Transform, Transform]:
    """Places [n, 2] and a map [3, 3] -> where they come to, [n, 2], and how far away that is, [n]: 1 at the origin."""
    ends = places @ by[:, :2].T + by[:, 2]
    return ends[:, :2] / ends[:, 2:], ends[:, 2]


def _in_perspective(affine: Transform, there: Floats, here: Floats, reference: LocalFeatures) -> Transform:
    """The map [3, 3] of the pairs' places [n, 2] as a homography; the affine one where that is not plausible.

    By MAGSAC++ (Barath et al. 2020, "MAGSAC++, a fast, reliable and accurate robust estimator").
    """
    near = np.hypot(*(_mapped(there, affine)[0] - here).T) <= LOOSE * TOLERANCE
    found, _ = cv2.findHomography(there[near], here[near], cv2.USAC_MAGSAC, EXACT, maxIters=TRIES)
    if found is None or not np.isfinite(found).all() or np.linalg.det(found) <= 0:  # none, or mirrored
        return affine
    _, depths = _mapped(_corners(reference), found)
    return found if 0 < depths.max() <= DEPTH * depths.min() else affine
