"""Measures against a plain loop, or against figures that are worked out by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from embedder.evaluation import metrics


def at(*degrees: float) -> np.ndarray:
    """Unit vectors on the circle: float32 [n, 2]."""
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def cloud(rng: np.random.Generator, count: int, skus: int) -> tuple[np.ndarray, list[str]]:
    """Unit vectors [count, 5] of SKUs that overlap, and their SKUs."""
    owner = rng.integers(0, skus, count)
    points = np.random.default_rng(0).normal(size=(skus, 5))[owner] + rng.normal(size=(count, 5))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32), [f"sku-{number:02}" for number in owner]


def test_sku_scores_takes_each_skus_best_photo() -> None:
    gallery = at(0, 90, 180, 60)
    scores, names = metrics.sku_scores(at(0, 90), gallery, ["pear", "apple", "pear", "fig"])
    assert names == ["apple", "fig", "pear"]
    expected = [[0, math.cos(math.radians(60)), 1], [1, math.cos(math.radians(30)), 0]]
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_sku_scores_against_a_plain_loop() -> None:
    rng = np.random.default_rng(5)
    (gallery, skus), (queries, _) = cloud(rng, 40, 11), cloud(rng, 9, 11)
    scores, names = metrics.sku_scores(queries, gallery, skus)
    assert names == sorted(set(skus))
    for i, query in enumerate(queries):
        for j, name in enumerate(names):
            best = max(float(photo @ query) for photo, sku in zip(gallery, skus, strict=True) if sku == name)
            assert scores[i, j] == pytest.approx(best, abs=1e-5)


def test_top_shares() -> None:
    names = list("abcdefg")
    scores = np.tile(np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3], np.float32), (4, 1))
    assert metrics.top_k_accuracy(scores, names, ["a", "b", "e", "f"]) == (0.25, 0.75)
    assert metrics.top_k_accuracy(scores, names, ["z"] * 4) == (0.0, 0.0)
    assert metrics.top_k_accuracy(scores[:, ::-1], names, ["g", "g", "c", "b"]) == (0.5, 0.75)
    assert metrics.top_k_accuracy(scores[:, :3], names[:3], ["c"] * 4) == (0.0, 1.0)  # fewer SKUs than five


def test_average_precision_by_hand() -> None:
    """Ranked a, b, a, b: for a (1/1 + 2/3) / 2, for b (1/2 + 2/4) / 2; c is not in the gallery and does not count."""
    gallery, skus = at(0, 10, 20, 30), list("abab")
    assert metrics.mean_average_precision(at(0), "a", gallery, skus) == pytest.approx(5 / 6)
    assert metrics.mean_average_precision(at(0), "b", gallery, skus) == pytest.approx(1 / 2)
    assert metrics.mean_average_precision(at(0, 0, 0), "abc", gallery, skus) == pytest.approx((5 / 6 + 1 / 2) / 2)
    assert metrics.mean_average_precision(at(0), "c", gallery, skus) is None


def test_average_precision_against_a_plain_loop() -> None:
    rng = np.random.default_rng(3)
    # More queries than are ranked at once.
    (gallery, skus), (queries, wanted) = cloud(rng, 60, 9), cloud(rng, metrics.CHUNK + 30, 12)
    averages = []
    for query, sku in zip(queries, wanted, strict=True):
        if sku not in skus:
            continue
        ranked = [skus[i] for i in sorted(range(60), key=lambda i: -float(gallery[i] @ query))]
        precisions = [ranked[: r + 1].count(sku) / (r + 1) for r in range(60) if ranked[r] == sku]
        averages.append(sum(precisions) / skus.count(sku))
    assert 0 < len(averages) < len(queries)
    found = metrics.mean_average_precision(queries, wanted, gallery, skus)
    assert found == pytest.approx(np.mean(averages), abs=1e-6)


def test_answers_and_the_own_sku_taken_out() -> None:
    scores = np.array([[0.9, 0.2, 0.5], [0.1, 0.3, 0.8], [0.4, 0.6, 0.0]], np.float32)
    answers = metrics.answer(scores)
    assert answers.best.tolist() == [0, 2, 1]
    np.testing.assert_allclose(answers.score, [0.9, 0.8, 0.6], atol=1e-6)
    np.testing.assert_allclose(answers.margin, [0.4, 0.5, 0.2], atol=1e-6)
    before = scores.copy()
    out = metrics.answer(metrics.hold_out(scores, np.array([0, 1, -1])))
    assert out.best.tolist() == [2, 2, 1]
    np.testing.assert_allclose(out.score, [0.5, 0.8, 0.6], atol=1e-6)
    np.testing.assert_allclose(out.margin, [0.3, 0.7, 0.2], atol=1e-6)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize("seed", range(5))
def test_auroc_against_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    known = np.round(rng.normal(0.7, 0.2, 31), 1).astype(np.float32)  # one decimal: many ties
    unknown = np.round(rng.normal(0.5, 0.2, 47), 1).astype(np.float32)
    won = sum(1.0 if k > u else 0.5 if k == u else 0.0 for k, u in itertools.product(known, unknown))
    assert metrics.auroc(known, unknown) == pytest.approx(won / (31 * 47))


def test_auroc_at_its_ends() -> None:
    low, high = np.array([0.1, 0.2], np.float32), np.array([0.8, 0.9, 0.7], np.float32)
    assert metrics.auroc(high, low) == 1.0
    assert metrics.auroc(low, high) == 0.0
    assert metrics.auroc(low, low) == 0.5


@pytest.mark.parametrize(("count", "share"), [(20, 0.95), (40, 0.95), (7, 0.95), (1, 0.95), (33, 0.5), (10, 1.0)])
def test_false_accepts_against_every_level(count: int, share: float) -> None:
    rng = np.random.default_rng(count)
    known = np.round(rng.normal(0.7, 0.2, count), 2).astype(np.float32)
    unknown = np.round(rng.normal(0.5, 0.2, 50), 2).astype(np.float32)
    level = max(level for level in known if (known >= level).mean() >= share - 1e-9)
    assert metrics.false_accepts(known, unknown, share) == (unknown >= level).mean()


def test_false_accepts_by_hand() -> None:
    """19 of 20 known reach 0.2, and a quarter of the unknown do."""
    known = np.arange(0.1, 2.1, 0.1).astype(np.float32)
    assert metrics.false_accepts(known, np.array([0.05, 0.1, 0.15, 0.2], np.float32), 0.95) == 0.25


def test_decisions_by_hand() -> None:
    answers = metrics.Answers(
        best=np.array([0, 1, 2, 0, 1]),
        score=np.array([0.9, 0.8, 0.8, 0.5, 0.75], np.float32),
        margin=np.array([0.5, 0.25, 0.1, 0.5, 0.25], np.float32),
    )
    shares = metrics.decisions(answers, np.array([0, 2, 2, 0, -1]), score=0.75, margin=0.25)
    # match (right), match (wrong), ambiguous, unknown, match at both limits (nothing is right)
    assert shares == metrics.DecisionRates(queries=5, match=0.6, right=0.2, ambiguous=0.2, unknown=0.2)


def test_accuracy_by_sku_the_worst_first() -> None:
    found = metrics.per_sku(list("aaabbcdddd"), list("aaxbbxdxxd"))
    assert [(one.sku, one.queries, one.right) for one in found] == [("c", 1, 0), ("d", 4, 2), ("a", 3, 2), ("b", 2, 2)]
    assert [one.share for one in found] == [0.0, 0.5, 2 / 3, 1.0]


def test_confusions_the_most_frequent_first() -> None:
    scores = np.array([0.5, 0.9, 0.7, 0.6, 0.8, 0.4], np.float32)
    found = metrics.confusions(list("ababaa"), list("babbbc"), scores)
    assert found == [("a", "b", 3, 4), ("a", "c", 1, 5), ("b", "a", 1, 1)]
    assert metrics.confusions(list("ab"), list("ab"), scores[:2]) == []
