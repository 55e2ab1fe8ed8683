from __future__ import annotations

import numpy as np
import pytest

from embedder.calibration import conditional_logit


def even(count: int) -> np.ndarray:
    return np.full(count, 1 / count)


def test_one_alternative_and_nothing_known_of_it_is_chosen_as_often_as_it_was() -> None:
    # The closed form of a logit with a constant alone: log(p / (1 - p)).
    tables = [np.ones((1, 1))] * 10
    weights = conditional_logit.fit_conditional_logit(tables, [0] * 8 + [-1] * 2, even(10), ridge=0.0)
    assert weights == pytest.approx([np.log(0.8 / 0.2)])


def test_choosers_that_count_more_decide_more() -> None:
    shares = np.array([0.9, 0.1])
    assert conditional_logit.fit_conditional_logit([np.ones((1, 1))] * 2, [0, -1], shares, ridge=0.0) == pytest.approx(
        [np.log(9)]
    )


def test_the_weights_that_made_the_choices_are_found_again() -> None:
    rng = np.random.default_rng(3)
    true = np.array([-1.0, 2.0, 0.5])
    tables, chosen = [], []
    for _ in range(4000):
        table = np.column_stack([np.ones(count := int(rng.integers(1, 6))), rng.normal(size=(count, 2))])
        powers = np.exp(np.append(table @ true, 0.0))
        picked = int(rng.choice(count + 1, p=powers / powers.sum()))
        tables.append(table)
        chosen.append(picked if picked < count else -1)
    assert conditional_logit.fit_conditional_logit(tables, chosen, even(4000), ridge=0.0) == pytest.approx(
        true, abs=0.12
    )


def test_no_other_weights_are_likelier() -> None:
    rng = np.random.default_rng(5)
    tables = [rng.normal(size=(3, 2)) for _ in range(200)]
    chosen = [int(one) for one in rng.integers(-1, 3, 200)]

    def likelihood(weights: np.ndarray) -> float:
        found = 0.0
        for table, pick in zip(tables, chosen, strict=True):
            utilities = np.append(table @ weights, 0.0)
            found += utilities[pick] - np.log(np.exp(utilities).sum())
        return found

    best = conditional_logit.fit_conditional_logit(tables, chosen, even(200), ridge=0.0)
    for step in (-0.02, 0.02):
        for axis in range(2):
            assert likelihood(best + step * np.eye(2)[axis]) < likelihood(best)


def test_what_always_tells_does_not_run_away() -> None:
    tables = [np.array([[1.0], [-1.0]])] * 20
    (weight,) = conditional_logit.fit_conditional_logit(tables, [0] * 20, even(20))
    assert 1 < weight < 20


def test_a_weight_that_would_be_below_0_is_0_and_the_others_are_as_without_its_feature() -> None:
    rng = np.random.default_rng(7)
    tables, chosen = [], []
    for _ in range(300):
        table = np.column_stack([np.ones(3), rng.normal(size=(3, 2))])
        powers = np.exp(np.append(table @ np.array([-1.0, 2.0, -1.0]), 0.0))
        picked = int(rng.choice(4, p=powers / powers.sum()))
        tables.append(table)
        chosen.append(picked if picked < 3 else -1)
    free = conditional_logit.fit_conditional_logit(tables, chosen, even(300))
    held = conditional_logit.fit_conditional_logit(tables, chosen, even(300), free=1)
    assert free[2] < -0.5 and held[2] == 0
    assert held[0] < 0  # it may have any sign
    assert held[:2] == pytest.approx(
        conditional_logit.fit_conditional_logit([table[:, :2] for table in tables], chosen, even(300))
    )


def test_the_log_likelihood_is_that_of_the_choices() -> None:
    tables, weights = [np.array([[1.0], [0.0]])] * 2, np.array([np.log(2)])
    found = conditional_logit.log_likelihood(weights, tables, [0, -1], np.array([0.25, 0.75]))
    assert found == pytest.approx(0.25 * np.log(2 / 4) + 0.75 * np.log(1 / 4))
