"""Thresholds on vectors whose right answer is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from embedder.calibrate import calibrate
from embedder.errors import DataError
from embedder.evaluate import Embedded, sku_scores


def embedded(degrees: Sequence[float], skus: Sequence[str]) -> Embedded:
    """Photos as points on the circle, so that a score is the cosine of the angle between."""
    radians = np.radians(degrees)
    vectors = np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)
    return Embedded(vectors, list(skus), [], 0.0)


#: Four SKUs a right angle apart; each query 10 degrees off its own (0.985), so 80 off the next (0.174).
GALLERY = embedded([0, 90, 180, 270], "abcd")
QUERIES = embedded([10, 100, 190, 280], "abcd")


def test_clear_cut_products_are_all_matched() -> None:
    thresholds, rates = calibrate([(GALLERY, QUERIES)], false_accept=0.0, wrong=0.0)
    assert (rates.queries, rates.matched, rates.wrong, rates.false_accept) == (4, 1.0, 0.0, 0.0)
    assert rates.unknown_told == 1.0
    assert np.cos(np.radians(80)) < thresholds.score < np.cos(np.radians(10))
    assert (thresholds.score, thresholds.margin) == (rates.score, rates.margin)
    assert thresholds.false_accept == 0.0


def test_margin_parts_look_alikes() -> None:
    """Two SKUs 4 degrees apart, whose queries lie on the other's photo as often: only a margin keeps them out."""
    gallery = embedded([0, 4, 90, 180], "abcd")
    queries = embedded([0, 4, 0, 4, 90, 180], "abbacd")
    _, loose = calibrate([(gallery, queries)], false_accept=1.0, wrong=1.0)
    assert loose.wrong == pytest.approx(2 / 6)
    thresholds, strict = calibrate([(gallery, queries)], false_accept=1.0, wrong=0.0)
    assert strict.wrong == 0.0
    assert strict.matched == pytest.approx(2 / 6)
    assert thresholds.margin >= 0.005


def overlapping(seed: int) -> tuple[Embedded, Embedded]:
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(30, 12))
    skus = [f"{number}" for number in range(30)]
    parts = []
    for copies in (3, 8):
        points = np.repeat(centers, copies, axis=0) + rng.normal(scale=0.55, size=(30 * copies, 12))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        parts.append(Embedded(points.astype(np.float32), [sku for sku in skus for _ in range(copies)], [], 0.0))
    return parts[0], parts[1]


@pytest.mark.parametrize(("false_accept", "wrong"), [(0.05, 0.05), (0.01, 0.02), (0.2, 0.1), (0.0, 0.0)])
def test_rates_are_what_the_thresholds_give(false_accept: float, wrong: float) -> None:
    """Counted again, photo by photo, by the thresholds as the bundle holds them."""
    gallery, queries = overlapping(1)
    thresholds, rates = calibrate([(gallery, queries)], false_accept=false_accept, wrong=wrong)
    table, names = sku_scores(queries.vectors, gallery.vectors, gallery.skus)
    right = mistaken = accepted_unknown = told = 0
    for row, sku in zip(table, queries.skus, strict=True):
        second, first = np.sort(row)[-2:]
        if first >= thresholds.score and first - second >= thresholds.margin:
            right += names[int(row.argmax())] == sku
            mistaken += names[int(row.argmax())] != sku
        without = np.delete(row, names.index(sku))
        second, first = np.sort(without)[-2:]
        accepted_unknown += first >= thresholds.score and first - second >= thresholds.margin
        told += first < thresholds.score
    count = len(queries.skus)
    assert rates.matched == pytest.approx(right / count)
    assert rates.wrong == pytest.approx(mistaken / max(1, right + mistaken))
    assert rates.false_accept == pytest.approx(accepted_unknown / count)
    assert rates.unknown_told == pytest.approx(told / count)
    assert rates.false_accept <= false_accept
    assert rates.wrong <= wrong
    assert rates.matched > 0


def test_more_allowed_matches_more() -> None:
    pairs = [overlapping(2)]
    rates = [calibrate(pairs, false_accept=rate, wrong=1.0)[1] for rate in (0.0, 0.02, 0.1, 0.5)]
    right = [one.matched + one.unknown_told for one in rates]
    assert right == sorted(right)
    assert rates[-1].matched > rates[0].matched


def test_several_galleries_are_judged_together() -> None:
    _, rates = calibrate([(GALLERY, QUERIES), overlapping(3)], false_accept=0.1, wrong=0.1)
    assert rates.queries == 4 + 240


def test_every_set_weighs_the_same() -> None:
    """Eight queries that are right, and a set of two of which one lies on another SKU's photo."""
    many = embedded([0, 90, 180, 270] * 2, "abcd" * 2)
    few = embedded([0, 90], "ac")
    _, rates = calibrate([(GALLERY, many), (GALLERY, few)], false_accept=1.0, wrong=1.0)
    assert rates.queries == 10
    assert rates.matched == pytest.approx(0.75)
    assert rates.wrong == pytest.approx(0.25)


def test_queries_of_unknown_skus_are_left_out() -> None:
    queries = embedded([10, 100, 45], "abz")
    assert calibrate([(GALLERY, queries)], false_accept=0.0, wrong=0.0)[1].queries == 2


def test_nothing_to_calibrate_on() -> None:
    with pytest.raises(DataError, match="No query is of a SKU"):
        calibrate([(GALLERY, embedded([10], "z"))], false_accept=0.1, wrong=0.1)
    with pytest.raises(DataError, match="three SKUs"):
        calibrate([(embedded([0, 90], "ab"), QUERIES)], false_accept=0.1, wrong=0.1)


def test_rates_that_nothing_keeps_to() -> None:
    """Every query lies on a photo of another SKU: each match is wrong, and none can be kept out by its score."""
    queries = embedded([90, 180, 270, 0], "abcd")
    with pytest.raises(DataError, match="No thresholds keep both rates"):
        calibrate([(GALLERY, queries)], false_accept=1.0, wrong=0.0)
