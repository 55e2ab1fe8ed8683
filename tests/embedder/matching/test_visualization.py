"""The proof of an answer: what is drawn lies where it should, and the rest of both pictures is as it was."""

from __future__ import annotations

import io

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from catalog.demo import camera
from catalog.demo.products import products
from embedder.matching import QUERY, REFERENCE, Agreement, LocalFeatures, draw_agreement, to_jpeg, verify
from embedder.matching.local_features import detect
from embedder.matching.visualization import GAP, GROUND, HEIGHT, LINES, OUTLINE, WIDTH

Rows = list[tuple[float, float]]


def details(places: Rows, size: tuple[int, int]) -> LocalFeatures:
    """Keypoints at these places of a picture of that size; what they look like is not drawn."""
    points = np.array([(*place, 8, 0) for place in places], np.float32).reshape(-1, 4)
    return LocalFeatures(points, np.zeros((len(places), 128), np.uint8), *size)


def match(count: int, outline: Rows) -> Agreement:
    pairs = np.stack([np.arange(count)] * 2, axis=1)
    return Agreement(inliers=count, tentative=count, share=1.0, pairs=pairs, outline=np.array(outline, np.float32))


def grounds(first: str, second: str, size: tuple[int, int] = (480, 480)) -> list[Image.Image]:
    return [Image.new("RGB", size, color) for color in (first, second)]


def pixels(picture: Image.Image) -> npt.NDArray[np.int16]:
    return np.asarray(picture).astype(np.int16)


def bare(query: Image.Image, reference: Image.Image) -> Image.Image:
    nothing = details([], (1, 1))
    return draw_agreement(query, reference, nothing, nothing, Agreement())


SQUARE: Rows = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
FAR: Rows = [(-9, -9), (-8, -9), (-8, -8), (-9, -8)]
#: Two square pictures are drawn beside each other, each of this side.
SIDE = (WIDTH - GAP) // 2


@pytest.mark.parametrize(
    ("query", "reference", "first", "second"),
    [
        ((300, 300), (500, 500), (0, 0, SIDE, SIDE), (SIDE + GAP, 0, WIDTH, SIDE)),
        ((600, 800), (600, 800), (0, 0, SIDE, 632), (SIDE + GAP, 0, WIDTH, 632)),
        ((800, 400), (800, 400), (0, 0, 960, 480), (0, 492, 960, 972)),
        ((640, 480), (640, 640), (0, 0, 724, 543), (0, 555, 724, 1279)),
        ((100, 400), (100, 400), (0, 0, 320, 1280), (332, 0, 652, 1280)),
    ],
)
def test_both_pictures_whole_beside_or_above_each_other(
    query: tuple[int, int], reference: tuple[int, int], first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    pictures = [Image.linear_gradient("L").resize(size).convert("RGB") for size in (query, reference)]
    drawn = bare(*pictures)
    assert drawn.size == second[2:] and drawn.mode == "RGB"
    expected = Image.new("RGB", drawn.size, GROUND)
    for picture, (left, top, right, bottom) in zip(pictures, (first, second), strict=True):
        expected.paste(
            picture.resize((right - left, bottom - top), Image.Resampling.LANCZOS, reducing_gap=2.0), (left, top)
        )
    assert np.array_equal(pixels(drawn), pixels(expected))


@pytest.mark.parametrize("shapes", [((8, 2000), (300, 300)), ((2000, 8), (300, 300)), ((2000, 8), (8, 2000))])
def test_no_shape_is_too_long(shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    width, height = bare(*(Image.new("RGB", shape, "navy") for shape in shapes)).size
    assert width <= WIDTH and height <= HEIGHT


def test_outline_is_drawn_where_the_product_lies_and_nowhere_else() -> None:
    query, reference = grounds("navy", "white")
    drawn = pixels(draw_agreement(query, reference, *[details([(240, 240)], (480, 480))] * 2, match(1, SQUARE)))
    for along in np.linspace(0.25, 0.75, 20):
        for x, y in ((along, 0.25), (along, 0.75), (0.25, along), (0.75, along)):
            assert np.abs(drawn[round(y * SIDE), round(x * SIDE)] - OUTLINE).max() <= 8
    untouched = pixels(bare(query, reference))
    low, high = round(0.25 * SIDE) - 7, round(0.75 * SIDE) + 7
    outside = np.ones(drawn.shape[:2], bool)
    outside[low:high, low:WIDTH] = False  # the pair's line leads to the right
    assert np.array_equal(drawn[outside], untouched[outside])
    inside = np.s_[low + 14 : SIDE // 2 - 14, low + 14 : high - 14]
    assert np.array_equal(drawn[inside], untouched[inside])


def test_outline_beyond_the_photo_is_cut_off_at_its_edge() -> None:
    query, reference = grounds("navy", "white")
    outline = [(0.5, 0.5), (1.6, 0.5), (1.6, 1.6), (0.5, 1.6)]
    drawn = pixels(draw_agreement(query, reference, *[details([(2, 2)], (480, 480))] * 2, match(1, outline)))
    assert np.abs(drawn[SIDE // 2, 3 * SIDE // 4] - OUTLINE).max() <= 8
    assert np.abs(drawn[3 * SIDE // 4, SIDE // 2] - OUTLINE).max() <= 8
    rest = np.s_[20:, SIDE:]
    assert np.array_equal(drawn[rest], pixels(bare(query, reference))[rest])


def test_plain_ground_around_the_reference_is_not_outlined() -> None:
    query, reference = grounds("navy", "white")
    reference.paste((200, 30, 30), (120, 60, 360, 420))
    whole: Rows = [(0, 0), (1, 0), (1, 1), (0, 1)]
    drawn = pixels(draw_agreement(query, reference, *[details([(240, 240)], (480, 480))] * 2, match(1, whole)))
    for x, y in ((0.25, 0.4), (0.75, 0.4), (0.4, 0.125), (0.6, 0.875)):
        assert np.abs(drawn[round(y * SIDE), round(x * SIDE)] - OUTLINE).max() <= 8
    assert np.array_equal(drawn[:40], pixels(bare(query, reference))[:40])


def test_product_that_was_photographed_by_hand_is_outlined_where_its_points_are() -> None:
    query, reference = grounds("navy", "white")
    reference.paste((90, 60, 30), (0, 240, 480, 480))  # a table
    corners = details([(120, 60), (360, 60), (360, 420), (120, 420)], (480, 480))
    whole: Rows = [(0, 0), (1, 0), (1, 1), (0, 1)]
    drawn = pixels(draw_agreement(query, reference, *[corners] * 2, match(4, whole)))
    for x, y in ((0.22, 0.4), (0.78, 0.4), (0.4, 0.095), (0.6, 0.905)):
        assert np.abs(drawn[round(y * SIDE), round(x * SIDE)] - OUTLINE).max() <= 8
    assert np.array_equal(drawn[:36], pixels(bare(query, reference))[:36])


def test_lines_join_the_places_of_a_pair() -> None:
    query, reference = grounds("grey", "grey")
    here, there = details([(48, 96)], (240, 240)), details([(360, 300)], (480, 480))
    start = np.array([48 / 240, 96 / 240]) * SIDE
    end = np.array([360 / 480, 300 / 480]) * SIDE + (SIDE + GAP, 0)
    changed = np.abs(
        pixels(draw_agreement(query, reference, here, there, match(1, FAR))) - pixels(bare(query, reference))
    )
    for share in np.linspace(0, 1, 30):
        x, y = np.round(start + share * (end - start)).astype(int)
        assert changed[y, x].max() > 60
    far = np.ones(changed.shape[:2], np.uint8)
    cv2.line(far, *np.round([start, end]).astype(int).tolist(), 0, 16)
    assert changed[far == 1].max() == 0


@pytest.mark.parametrize("ground", ["white", "black", "grey", "yellow", "red", "lime", "cyan", "blue", "magenta"])
def test_lines_and_outline_are_seen_on_any_ground(ground: str) -> None:
    query, reference = grounds(ground, ground)
    around = 240 + 200 * np.array([(np.cos(angle), np.sin(angle)) for angle in np.linspace(0, 6, 12)])
    places = [(float(x), float(y)) for x, y in around]
    drawn = pixels(draw_agreement(query, reference, *[details(places, (480, 480))] * 2, match(12, SQUARE)))
    changed = np.abs(drawn - pixels(bare(query, reference))).max(axis=2)
    assert changed[SIDE // 4 - 6 : SIDE // 4 + 6, SIDE // 2].max() > 80
    for x, y in places:
        row, column = round(y / 480 * SIDE), round(x / 480 * SIDE)
        assert changed[row - 6 : row + 7, column - 6 : column + 7].max() > 100
        middle = column + (SIDE + GAP) // 2
        assert changed[row - 4 : row + 5, middle].max() > 60


def test_at_most_so_many_lines_and_spread_over_all_of_the_product() -> None:
    query, reference = grounds("black", "black", (800, 400))
    crowd = [(10 + 0.1 * place, 10.0) for place in range(300)]
    alone = [(120.0 * place + 100, 190.0) for place in range(4)]
    both = details(crowd + alone, (480, 240))
    drawn = pixels(draw_agreement(query, reference, both, both, match(304, FAR)))
    gap = drawn[480 + GAP // 2].sum(axis=1) < 3 * 250
    assert 5 <= np.count_nonzero(np.diff(gap.astype(int)) == 1) <= LINES
    for x, _ in alone:
        assert gap[round(x * 2) - 1 : round(x * 2) + 2].any()
    places = np.random.default_rng(1).uniform(20, 460, (400, 2)) / (1, 2)
    many = details([(float(x), float(y)) for x, y in places], (480, 240))
    turned = details([(480 - float(x), 240 - float(y)) for x, y in places], (480, 240))
    dots = pixels(draw_agreement(query, reference, many, turned, match(400, FAR)))
    assert (dots.max(axis=2) > 0).mean() < 0.25


@pytest.fixture(scope="module")
def real() -> tuple[Image.Image, Image.Image, LocalFeatures, LocalFeatures, Agreement]:
    product = products()[0]
    query, reference = camera.query(product, 1), camera.reference(product, 0)
    here, there = detect(query, QUERY), detect(reference, REFERENCE)
    return query, reference, here, there, verify(here, there)


def test_proof_of_a_pack_in_a_till_s_photo(
    real: tuple[Image.Image, Image.Image, LocalFeatures, LocalFeatures, Agreement],
) -> None:
    query, reference, here, there, found = real
    before = query.tobytes(), reference.tobytes()
    drawn = draw_agreement(query, reference, here, there, found)
    assert found.inliers > 30
    changed = np.abs(pixels(drawn) - pixels(bare(query, reference))).max(axis=2) > 0
    assert 0.02 < changed.mean() < 0.3
    close = np.abs(pixels(drawn) - OUTLINE).max(axis=2) < 12
    rows, _ = np.nonzero(close)
    assert np.ptp(rows) > 0.5 * drawn.width * 480 / 640 and rows.max() < drawn.width * 480 / 640
    assert np.array_equal(pixels(draw_agreement(query, reference, here, there, found)), pixels(drawn))
    assert (query.tobytes(), reference.tobytes()) == before


def test_as_a_file_it_is_a_jpeg_of_the_same_picture(
    real: tuple[Image.Image, Image.Image, LocalFeatures, LocalFeatures, Agreement],
) -> None:
    drawn = draw_agreement(*real)
    with Image.open(io.BytesIO(to_jpeg(drawn))) as back:
        assert (back.format, back.mode, back.size) == ("JPEG", "RGB", drawn.size)
        assert np.abs(pixels(back) - pixels(drawn)).mean() < 4
