"""Spatial verification: do two photos show the same pack? Local features are matched, then fitted by one affine map.

Philbin et al. 2007, "Object retrieval with large vocabularies and fast spatial matching", on pairs that pass the ratio
test (Lowe 2004, "Distinctive image features from scale-invariant keypoints"). The results are measurements, which
the calibrated re-ranking weighs. The pack's outline is then refined by a homography.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
#: Reprojection error of an inlier of the affine map, in pixels of the query's scaled picture, at most. Wide, since an
#: affine map only approximates the perspective of a tilted pack.
TOLERANCE = 8.0
#: RANSAC iterations at most, of the affine map and of the homography.
TRIES = 1000
#: Of RANSAC for the affine map.
CONFIDENCE = 0.99
#: Any three pairs fit an affine map: the fourth is the first evidence.
MIN_INLIERS = 4
#: Least and greatest plausible scale of a pack in the query, relative to the reference.
SCALES = (0.1, 10.0)
#: Greatest plausible ratio of the map's singular values: how much it may stretch one direction over another.
SHEAR = 4.0
#: An inlier's own angle must agree with the map within this many degrees.
MAX_TURN = 40.0
#: And its own size within this factor.
MAX_RESIZE = 2.5
#: A map that differs from a plain scaling to the query's size by less than this share: a tripod, not a hand at a till.
STILL = 0.03
#: Inliers needed to fit a homography: with fewer, its two additional parameters would fit noise.
MIN_PERSPECTIVE = 10
#: Pairs that the affine map misses by at most this many TOLERANCE are candidates of the homography.
LOOSE = 3.0
#: Reprojection error of the homography's inliers, in pixels, at most.
EXACT = 5.0
#: Greatest plausible ratio of the depths of two corners of a pack.
DEPTH = 3.0
#: References matched together: more share the cost of a call, until their distances leave a core's cache.
TOGETHER = 10
#: A pair's own similarity is supported by pairs that it misses by at most TOLERANCE and this share of the distance (a
#: keypoint's size and angle are rough, and the pack may be tilted), and that turn alike within so many degrees.
LEEWAY, ALIKE_TURN = 0.5, 60.0
#: Pairs that must support one of them, itself included, before a map is fitted.
SUPPORT = 4
#: From so many pairs on a map is fitted without asking for support, whose cost grows with their square.
SURELY_FITTED = 48


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well a query photo agrees with a reference photo.

    `tentative` is the number of pairs that pass the ratio test, `inliers` the number of those that fit one affine map,
    `share` is inliers / tentative (0 without any). `area` is the share of the convex hull of all the reference's points
    that the hull of its inliers covers: all the print of a pack, or only a logo that it shares with another. `pairs` is
    [inliers, 2]: indices into the query's points and into the reference's. `transform` is float64 [2, 3], pixels of the
    reference's scaled picture -> pixels of the query's. `outline` is float32 [4, 2]: the reference's corners in the
    query photo, x and y in shares of its width and height (beyond 0..1: outside), clockwise from the reference's top
    left, by a homography if there are pairs enough. `still`: the map neither turns nor resizes: two photos of a camera
    that did not move, or an edited copy; what they share may be everything but the product.
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
    """Match and verify the local features of two photos. Without agreement: 0 inliers and no transform, never an error.

    Deterministic: all distances are exact, and OpenCV's RANSAC starts from a fixed seed.
    """
    return verify_many(query, [reference])[0]


def verify_many(query: LocalFeatures, references: Iterable[LocalFeatures]) -> list[Agreement]:
    """`verify` a query against each reference -> the agreements, in order.

    On the caller's thread: a server has one for each request, and more of them here would only wait for each other.
    Many references together cost less than each by itself, since a matrix product and a NumPy call serve several.
    """
    listed = list(references)
    converted = _convert(query)
    own = np.einsum("ij,ij->i", converted, converted)
    agreements: list[Agreement] = []
    for start in range(0, len(listed), TOGETHER):
        some = listed[start : start + TOGETHER]
        pairs = _one_a_place(_tentative_pairs(converted, own, some), query, some)
        promising = _is_promising(pairs, query, some)
        agreements += [
            _fit(query, reference, found) if hopeful else Agreement(tentative=len(found))
            for reference, found, hopeful in zip(some, pairs, promising, strict=True)
        ]
    return agreements


def _convert(features: LocalFeatures) -> Floats:
    """Descriptors as float32 [n, 128]. Twice the sum of 128 products of bytes is below 2^24: exact, in any order."""
    return features.descriptors.astype(np.float32)


def _fit(query: LocalFeatures, reference: LocalFeatures, pairs: Pairs) -> Agreement:
    """The agreement of the pairs of a query and a reference, [k, 2], by one affine map."""
    nothing = Agreement(tentative=len(pairs))
    there, here = reference.points[pairs[:, 1]], query.points[pairs[:, 0]]
    found, mask = cv2.estimateAffine2D(
        np.ascontiguousarray(there[:, :2]),
        np.ascontiguousarray(here[:, :2]),
        method=cv2.RANSAC,
        ransacReprojThreshold=TOLERANCE,
        maxIters=TRIES,
        confidence=CONFIDENCE,
    )
    if found is None:  # collinear points
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
    """Descriptors, float32 [n, 128] and [m, 128] -> [k, 2] indices of pairs that pass the ratio test, nearest first.

    A reference point that is nearest to several query points is paired with the nearest of them. Without a second
    reference point there is no ratio, and so no pair.
    """
    return _pairs_of_each(query, np.einsum("ij,ij->i", query, query), reference, [len(reference)])[0]


def _tentative_pairs(query: Floats, own: Floats, references: Sequence[LocalFeatures]) -> list[Pairs]:
    """`tentative_pairs` of a query's descriptors, whose squared lengths are `own` [n], with each reference."""
    stacked = np.concatenate([reference.descriptors for reference in references]).astype(np.float32)
    return _pairs_of_each(query, own, stacked, [len(reference) for reference in references])


def _pairs_of_each(query: Floats, own: Floats, stacked: Floats, lengths: Sequence[int]) -> list[Pairs]:
    """`stacked`: the descriptors of references one after the other, so many of each -> the pairs of each."""
    nothing = np.empty((0, 2), np.intp)
    able = [place for place, length in enumerate(lengths) if length >= 2] if len(query) else []
    if not able:
        return [nothing] * len(lengths)
    # Squared distances, less the query point's own square, which is constant in a row.
    squares = query @ (-2 * stacked).T
    squares += np.einsum("ij,ij->i", stacked, stacked)
    ends = np.cumsum(lengths)
    rows = np.arange(len(query))
    nearest = np.empty((len(able), len(query)), np.intp)
    first, second = np.empty((2, len(able), len(query)), np.float32)
    for row, place in enumerate(able):
        block = squares[:, ends[place] - lengths[place] : ends[place]]
        block.argmin(axis=1, out=nearest[row])
        first[row] = block[rows, nearest[row]]
        block[rows, nearest[row]] = np.inf
        block.min(axis=1, out=second[row])
    first += own
    second += own
    of, point = np.nonzero(first < RATIO**2 * second)
    order = np.lexsort((first[of, point], of))
    of, point = of[order], point[order]
    _, closest = np.unique(of * stacked.shape[0] + nearest[of, point], return_index=True)
    kept = np.sort(closest)
    of, point = of[kept], point[kept]
    found = [nothing] * len(lengths)
    for row, pairs in enumerate(np.split(np.stack([point, nearest[of, point]], axis=1), _ends(of, len(able)))):
        found[able[row]] = pairs
    return found


def _ends(of: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """Ascending numbers below `count` -> where each but the last of them ends, [count - 1]."""
    return np.searchsorted(of, np.arange(1, count))


def _one_a_place(pairs: Sequence[Pairs], query: LocalFeatures, references: Sequence[LocalFeatures]) -> list[Pairs]:
    """Each reference's pairs, of those that join the same two positions only the nearest.

    A keypoint of two angles counts once.
    """
    of = np.repeat(np.arange(len(pairs)), [len(found) for found in pairs])
    here, there = _joined(pairs, query, references)
    # A position has at most 11 bits: of a feature file's picture, it is at most 1,024.
    places = np.round(np.hstack([here[:, :2], there[:, :2]])).astype(np.int64)
    keys = of
    for column in places.T:
        keys = keys << 11 | column
    _, first = np.unique(keys, return_index=True)
    kept = np.sort(first)
    return np.split(np.concatenate(pairs)[kept], _ends(of[kept], len(pairs)))


def _joined(pairs: Sequence[Pairs], query: LocalFeatures, references: Sequence[LocalFeatures]) -> tuple[Points, Points]:
    """The points [k, 4] in query and references that the pairs of all references join."""
    here = query.points[np.concatenate(pairs)[:, 0]]
    there = np.concatenate([one.points[found[:, 1]] for one, found in zip(references, pairs, strict=True)])
    return here, there


def _is_promising(
    pairs: Sequence[Pairs], query: LocalFeatures, references: Sequence[LocalFeatures]
) -> npt.NDArray[np.bool_]:
    """Whether a fit of each reference's pairs is worth its time, [references].

    A keypoint has a position, a size and an angle, so each pair alone says roughly where the reference lies (a
    similarity: Philbin 2007, Jegou 2008). Pairs that pass the ratio test by chance say each something else; where none
    is supported by SUPPORT pairs (itself included), RANSAC would run all its TRIES for a handful of inliers by chance.
    """
    counts = np.array([len(found) for found in pairs])
    promising = counts >= SURELY_FITTED
    asked = np.flatnonzero((counts >= MIN_INLIERS) & ~promising)
    if not len(asked):
        return promising
    some = [pairs[place] for place in asked]
    here, there = _joined(some, query, [references[place] for place in asked])
    # Each reference's pairs in a row; those that fill it up are nowhere.
    row = np.repeat(np.arange(len(asked)), counts[asked])
    column = np.concatenate([np.arange(count) for count in counts[asked]])
    shape = len(asked), int(counts[asked].max())
    at, reference_at, change = np.zeros((3, *shape), np.complex64)
    at[row, column] = here[:, 0] + 1j * here[:, 1]
    reference_at[row, column] = there[:, 0] + 1j * there[:, 1]
    change[row, column] = here[:, 2] / there[:, 2] * np.exp(1j * np.radians(here[:, 3] - there[:, 3]))
    exists = change != 0
    change[~exists] = 1
    expected = change[:, :, np.newaxis] * (reference_at[:, np.newaxis] - reference_at[:, :, np.newaxis])
    missed = np.abs(at[:, np.newaxis] - at[:, :, np.newaxis] - expected)
    relative = change[:, np.newaxis] / change[:, :, np.newaxis]
    supports = missed <= TOLERANCE + LEEWAY * np.abs(expected)
    supports &= relative.real >= np.cos(np.radians(ALIKE_TURN)) * np.abs(relative)
    supports &= exists[:, np.newaxis] & exists[:, :, np.newaxis]
    promising[asked] = supports.sum(axis=2).max(axis=1) >= SUPPORT
    return promising


def is_plausible(transform: Transform) -> bool:
    """Whether a camera can have seen the reference so: affine [2, 3] -> not mirrored, nor of extreme scale or shear.

    The map's singular values are its largest and its smallest scaling of a length.
    """
    if not np.isfinite(transform).all():
        return False
    longest, shortest = np.linalg.svd(transform[:, :2], compute_uv=False)
    if np.linalg.det(transform[:, :2]) <= 0 or longest > SHEAR * shortest:
        return False
    return bool(SCALES[0] <= np.sqrt(longest * shortest) <= SCALES[1])


def _goes_along(transform: Transform, there: Points, here: Points) -> npt.NDArray[np.bool_]:
    """Points [n, 4] of reference and query -> [n]: whether the keypoint's own angle and size change as the map says.

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
    """Area of the convex hull of some points of a reference, as a share of the hull of all its points."""
    return _hull(reference.points[points]) / max(_hull(reference.points), 1.0)


def _hull(points: Points) -> float:
    """Points [n, 4] -> the area of their convex hull, in square pixels."""
    return float(cv2.contourArea(cv2.convexHull(np.ascontiguousarray(points[:, :2]))))


def _is_still(transform: Transform, query: LocalFeatures, reference: LocalFeatures) -> bool:
    resized = max(reference.width, reference.height) / max(query.width, query.height)
    return bool(np.abs(transform[:, :2] * resized - np.eye(2)).max() < STILL)


def _corners(features: LocalFeatures) -> Floats:
    width, height = features.width, features.height
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)


def _mapped(places: Floats, by: Transform) -> tuple[Transform, Transform]:
    """Positions [n, 2] and a homography [3, 3] -> mapped positions [n, 2], and their depths [n], 1 at the origin."""
    ends = places @ by[:, :2].T + by[:, 2]
    return ends[:, :2] / ends[:, 2:], ends[:, 2]


def _in_perspective(affine: Transform, there: Floats, here: Floats, reference: LocalFeatures) -> Transform:
    """The homography [3, 3] of the pairs' positions [n, 2]; the affine map where that is not plausible.

    By MAGSAC++ (Barath et al. 2020, "MAGSAC++, a fast, reliable and accurate robust estimator").
    """
    near = np.hypot(*(_mapped(there, affine)[0] - here).T) <= LOOSE * TOLERANCE
    found, _ = cv2.findHomography(there[near], here[near], cv2.USAC_MAGSAC, EXACT, maxIters=TRIES)
    if found is None or not np.isfinite(found).all() or np.linalg.det(found) <= 0:  # none found, or mirrored
        return affine
    _, depths = _mapped(_corners(reference), found)
    return found if 0 < depths.max() <= DEPTH * depths.min() else affine
