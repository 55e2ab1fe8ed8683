"""Two drawn photos, one warped by a map that is known: the same map is found, and where there is none, none."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks.common.conditions import mapped, tilt
from embedder.matching import QUERY, Agreement, LocalFeatures, extract, verification, verify, verify_many
from embedder.matching.local_features import detect
from embedder.matching.reranker import CHANCE
from embedder.matching.verification import is_plausible, tentative_pairs

Map = tuple[tuple[float, float, float], tuple[float, float, float]]
#: A photograph is of 480 x 480 pixels, and its details are found in a smaller one.
SMALLER = QUERY.side / 480
EMPTY = LocalFeatures(np.empty((0, 4), np.float32), np.empty((0, 128), np.uint8), 320, 240)


@cache
def pack(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A made-up pack: shapes of random colors, one over another, like no other seed's."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", size, tuple(rng.integers(0, 255, 3).tolist()))
    pen = ImageDraw.Draw(picture)
    for _ in range(160):
        corners = rng.uniform(0, size, (1, 2)) + rng.normal(0, 14, (3, 2))
        pen.polygon([tuple(corner) for corner in corners.tolist()], fill=tuple(rng.integers(0, 255, 3).tolist()))
    return picture


def photograph(picture: Image.Image, matrix: Map, size: tuple[int, int] = (480, 480)) -> Image.Image:
    """The picture as a camera sees it: mapped by the affine [2, 3], on grey ground."""
    inverse = np.linalg.inv(np.vstack([matrix, (0, 0, 1)]))[:2]
    ground = (120, 120, 120)
    return picture.transform(
        size, Image.Transform.AFFINE, inverse.ravel().tolist(), Image.Resampling.BICUBIC, fillcolor=ground
    )


def turned(degrees: float, scale: float = 1.0, tilt: float = 1.0, at: tuple[float, float] = (240, 240)) -> Map:
    """Turn and scale the pack about its middle, which comes to `at`; seen at a tilt its height is less."""
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    matrix = np.array([[c, -s], [s, c]]) @ np.diag([1, tilt])
    shift = np.array(at) - matrix @ (160, 120)
    return tuple(tuple(row) for row in np.column_stack([matrix, shift]).tolist())  # type: ignore[return-value]


@cache
def details_of(seed: int) -> LocalFeatures:
    return detect(pack(seed), QUERY)


def corners_by(matrix: Map, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    width, height = size
    return np.array([(0, 0, 1), (width, 0, 1), (width, height, 1), (0, height, 1)]) @ np.array(matrix).T


def none(match: Agreement) -> bool:
    bare = match.transform is None and match.outline is None and match.pairs.shape == (0, 2)
    return bare and (match.inliers, match.share, match.area) == (0, 0.0, 0.0)


@pytest.mark.parametrize(
    "matrix",
    [turned(degrees) for degrees in range(0, 360, 60)]
    + [turned(25, scale=0.6), turned(200, scale=1.3), turned(70, tilt=0.75), turned(310, scale=0.6, at=(120, 330))],
)
def test_the_map_that_was_drawn_is_found(matrix: Map) -> None:
    match = verify(detect(photograph(pack(1), matrix), QUERY), details_of(1))
    assert match.inliers >= 40 and match.transform is not None and match.outline is not None
    drawn = corners_by(matrix)
    assert np.abs(corners_by(match.transform.tolist()) - drawn * SMALLER).max() < 3
    assert match.outline * 480 == pytest.approx(drawn, abs=3)
    assert (match.outline.shape, match.outline.dtype) == ((4, 2), np.float32)
    assert match.pairs.shape == (match.inliers, 2)
    assert match.share == match.inliers / match.tentative > 0.7
    assert 0.5 < match.area <= 1


def test_pairs_name_the_points_that_agree() -> None:
    matrix = turned(130, scale=0.8)
    query, reference = detect(photograph(pack(1), matrix), QUERY), details_of(1)
    match = verify(query, reference)
    here, there = query.points[match.pairs[:, 0], :2], reference.points[match.pairs[:, 1], :2]
    mapped = np.column_stack([there, np.ones(len(there))]) @ np.array(matrix).T
    assert np.hypot(*(mapped * SMALLER - here).T).max() < verification.TOLERANCE + 2
    assert all(len(set(side.tolist())) == match.inliers for side in match.pairs.T), "each point once"
    assert len(np.unique(np.round(np.hstack([here, there])), axis=0)) == match.inliers, "each place once"


def test_poor_photo_is_still_recognized() -> None:
    file = io.BytesIO()
    photograph(pack(1), turned(75, scale=0.6)).save(file, "JPEG", quality=20)
    query = extract(file.getvalue(), QUERY)
    matches = verify_many(query, [details_of(seed) for seed in range(1, 9)])
    assert matches[0].inliers >= 15
    assert matches[0].inliers >= 2 * max(match.inliers for match in matches[1:])


def test_unrelated_pictures_agree_by_chance_only() -> None:
    query = detect(photograph(pack(1), turned(10)), QUERY)
    assert max(verify(query, details_of(seed)).inliers for seed in range(2, 11)) <= 7


def test_two_products_in_one_photo_are_both_found_in_their_places() -> None:
    both = photograph(pack(1), turned(20, scale=0.6, at=(120, 120)))
    other = photograph(pack(2), turned(250, scale=0.6, at=(350, 350)))
    both.paste(other.crop((240, 240, 480, 480)), (240, 240))
    for match, middle in zip(verify_many(detect(both, QUERY), [details_of(1), details_of(2)]), [120, 350], strict=True):
        assert match.outline is not None and match.inliers >= 20
        assert match.outline.mean(axis=0) * 480 == pytest.approx([middle, middle], abs=8)


def test_half_a_pack_covers_half_the_area() -> None:
    whole = verify(detect(pack(1), QUERY), details_of(1))
    half = pack(1).copy()
    half.paste((120, 120, 120), (160, 0, 320, 240))
    assert whole.area > 0.85
    assert 0.35 < verify(detect(half, QUERY), details_of(1)).area < 0.55


def warped(details: LocalFeatures, matrix: Map) -> LocalFeatures:
    """The same descriptors at mapped places, each keypoint's angle and size mapped with it."""
    affine = np.array(matrix)
    points = details.points.copy()
    points[:, :2] = details.points[:, :2] @ affine[:, :2].T + affine[:, 2]
    angles = np.radians(details.points[:, 3])
    mapped = affine[:, :2] @ np.stack([np.cos(angles), np.sin(angles)])
    points[:, 3] = np.degrees(np.arctan2(mapped[1], mapped[0])) % 360
    points[:, 2] *= np.sqrt(abs(np.linalg.det(affine[:, :2])))
    return LocalFeatures(points, details.descriptors, 480, 480)


@pytest.mark.parametrize(
    ("matrix", "accepted"),
    [
        (turned(15), True),
        (turned(15, scale=0.3, tilt=0.5), True),
        (((-1, 0, 320), (0, 1, 0)), False),  # mirrored
        (turned(15, scale=0.08), False),  # collapsed
        (turned(15, scale=12), False),  # blown up
        (turned(15, tilt=0.2), False),  # seen from the side
    ],
)
def test_absurd_maps_are_refused_however_many_points_agree(matrix: Map, accepted: bool) -> None:
    match = verify(warped(details_of(1), matrix), details_of(1))
    assert match.tentative > 100
    assert match.inliers > 100 if accepted else none(match)
    assert is_plausible(np.array(matrix, np.float64)) == accepted


def test_infinite_map_is_not_plausible() -> None:
    assert not is_plausible(np.full((2, 3), np.nan))
    assert not is_plausible(np.zeros((2, 3)))


@pytest.mark.parametrize(("column", "change"), [(3, 90), (2, 40)])
def test_points_in_place_but_turned_or_sized_otherwise_do_not_count(column: int, change: float) -> None:
    reference = details_of(1)
    points = reference.points.copy()
    half = len(points) // 2
    points[:half, column] += change
    changed = verify(LocalFeatures(points, reference.descriptors, 320, 240), reference)
    assert 0 < changed.inliers <= 0.6 * verify(reference, reference).inliers


def test_points_in_one_line_give_no_map() -> None:
    reference = details_of(1)
    points = reference.points.copy()
    points[:, 1] = points[:, 0]
    line = LocalFeatures(points, reference.descriptors, 320, 320)
    assert none(verify(line, line))


def few(count: int) -> LocalFeatures:
    whole = details_of(1)
    return LocalFeatures(whole.points[:count], whole.descriptors[:count], whole.width, whole.height)


@pytest.mark.parametrize("query", [EMPTY, few(1), few(2), few(3), few(400)])
@pytest.mark.parametrize("reference", [EMPTY, few(1), few(2), few(3)])
def test_too_few_points_agree_on_nothing(query: LocalFeatures, reference: LocalFeatures) -> None:
    assert none(verify(query, reference))
    assert none(verify(reference, query))


@pytest.mark.parametrize("count", [3, 4])
def test_three_pairs_fit_any_map_and_prove_nothing(count: int) -> None:
    corners = np.array([(10, 10, 8, 0), (200, 20, 8, 0), (30, 150, 8, 0), (220, 190, 8, 0)], np.float32)
    descriptors = np.random.default_rng(8).integers(0, 90, (count, 128), np.uint8)
    match = verify(*[LocalFeatures(corners[:count], descriptors, 320, 240)] * 2)
    assert match.tentative == count
    assert none(match) if count == 3 else match.inliers == 4


def affine_outline(match: Agreement, side: int = 480) -> np.ndarray:
    assert match.transform is not None
    return corners_by(match.transform.tolist()) / side


@pytest.mark.parametrize(("degrees", "axis"), [(40, 90), (-40, 20), (30, 60)])
def test_a_tilted_pack_is_outlined_in_perspective(degrees: float, axis: float) -> None:
    matrix = turned(10)
    seen, by = tilt(photograph(pack(1), matrix), degrees, axis)
    match = verify(detect(seen, QUERY), details_of(1))
    drawn = mapped(corners_by(matrix), by)
    assert match.outline is not None
    assert match.outline * 480 == pytest.approx(drawn, abs=3)
    assert np.abs(affine_outline(match, QUERY.side) * 480 - drawn).max() > 8


@pytest.mark.parametrize(
    ("count", "asked"), [(verification.MIN_PERSPECTIVE - 1, False), (verification.MIN_PERSPECTIVE, True)]
)
def test_few_pairs_are_not_asked_for_perspective(count: int, asked: bool) -> None:
    x, y = np.meshgrid([40, 120, 200, 280], [40, 120, 200])
    points = np.column_stack([x.ravel(), y.ravel(), np.full(12, 8), np.zeros(12)])[:count].astype(np.float32)
    descriptors = np.random.default_rng(8).integers(0, 90, (count, 128), np.uint8)
    seen = points.copy()
    seen[:, :2] = mapped(points[:, :2], np.array([(1, 0, 20), (0, 1, 30), (2e-4, 1e-4, 1)]))
    match = verify(LocalFeatures(seen, descriptors, 480, 480), LocalFeatures(points, descriptors, 320, 240))
    assert match.inliers == count and match.outline is not None
    assert np.allclose(match.outline, affine_outline(match), atol=1e-6) != asked


def test_perspective_that_no_camera_sees_is_left_out() -> None:
    reference = details_of(1)
    near = np.abs(reference.points[:, :2] - (160, 120)).max(axis=1) < 50
    points, descriptors = reference.points[near], reference.descriptors[near]
    # The horizon runs through the picture: its left side would lie behind the camera.
    by = np.array([(1, 0, -160), (0, 1, -120), (0.008, 0, 1 - 0.008 * 160)])
    seen = points.copy()
    seen[:, :2] = mapped(points[:, :2], by) + 240
    match = verify(LocalFeatures(seen, descriptors, 480, 480), LocalFeatures(points, descriptors, 320, 240))
    assert match.inliers >= verification.MIN_PERSPECTIVE and match.outline is not None
    assert np.allclose(match.outline, affine_outline(match), atol=1e-6)


def vectors(*rows: tuple[float, float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_ratio_test_by_hand() -> None:
    reference = vectors((0, 0), (10, 0), (0, 100))
    clear, unsure = (1, 0), (4.9, 0)  # 1 to 9, and 4.9 to 5.1
    assert tentative_pairs(vectors(clear), reference).tolist() == [[0, 0]]
    assert tentative_pairs(vectors(unsure), reference).tolist() == []


def test_of_several_query_points_the_nearest_gets_the_reference_point() -> None:
    reference = vectors((0, 0), (100, 0))
    assert tentative_pairs(vectors((3, 0), (1, 0), (2, 0), (99, 5)), reference).tolist() == [[1, 0], [3, 1]]


def test_nearest_and_second_are_those_of_a_plain_search() -> None:
    query, reference = details_of(1).descriptors[:60], detect(photograph(pack(1), turned(30)), QUERY).descriptors
    pairs = tentative_pairs(query.astype(np.float32), reference.astype(np.float32))
    expected = {}
    for row, one in enumerate(query.astype(int)):
        squares = ((reference.astype(int) - one) ** 2).sum(axis=1)
        first, second = np.sort(squares)[:2]
        if first < verification.RATIO**2 * second:
            rival = expected.get(int(squares.argmin()))
            if rival is None or first < rival[0]:
                expected[int(squares.argmin())] = (first, row)
    assert {(row, column) for column, (_, row) in expected.items()} == {tuple(pair) for pair in pairs.tolist()}
    assert len(pairs) > 20


@pytest.mark.parametrize("together", [1, 2, 4])
def test_many_are_the_same_as_one_by_one(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "TOGETHER", together)
    query = detect(photograph(pack(3), turned(60)), QUERY)
    references = [details_of(1), details_of(3), EMPTY, details_of(5)]
    many = verify_many(query, references)
    apart = [verify(query, reference) for reference in references]
    for one, other in zip(many, apart, strict=True):
        assert (one.inliers, one.tentative, one.share, one.area) == (
            other.inliers,
            other.tentative,
            other.share,
            other.area,
        )
        assert np.array_equal(one.pairs, other.pairs)
        assert (one.transform is None) == (other.transform is None)
        assert one.transform is None or np.array_equal(one.transform, other.transform)
    assert many[1].inliers > 40 and none(many[2])
    assert verify_many(query, []) == []


@pytest.mark.parametrize("scale", [0.4, 0.7, 1.2])
@pytest.mark.parametrize("tilt", [0.5, 0.75, 1.0])
def test_what_a_fit_would_find_is_never_left_out_for_want_of_support(
    scale: float, tilt: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = [detect(photograph(pack(seed), turned(40 * seed, scale, tilt)), QUERY) for seed in range(1, 5)]
    references = [details_of(seed) for seed in range(1, 9)]
    asked = [match.inliers for query in queries for match in verify_many(query, references)]
    monkeypatch.setattr(verification, "SUPPORT", 0)
    everything = [match.inliers for query in queries for match in verify_many(query, references)]
    assert [found for found in asked if found > CHANCE] == [found for found in everything if found > CHANCE]
    assert any(found > CHANCE for found in asked)
