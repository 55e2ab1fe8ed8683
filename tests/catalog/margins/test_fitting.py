from __future__ import annotations

import pytest

from catalog.margins.fitting import ABOVE, SHRINKAGE, Answer, fit_margin

USUAL = 0.08


def answers(right: list[float], wrong: list[float]) -> list[Answer]:
    return [Answer(margin, True, "own") for margin in right] + [Answer(m, False, f"by {m}") for m in wrong]


def shrunk(margin: float, count: int) -> float:
    return USUAL + count / (count + SHRINKAGE) * (margin + ABOVE - USUAL)


def test_without_a_wrong_match_the_usual_margin_is_enough() -> None:
    assert fit_margin([], USUAL, 0.01) is None
    assert fit_margin(answers([0.1] * 50, []), USUAL, 0.01) is None


def test_answers_below_the_usual_margin_are_no_matches() -> None:
    assert fit_margin(answers([0.1], [0.079, 0.01]), USUAL, 0.01) is None


def test_few_photos_need_a_margin_above_every_wrong_match() -> None:
    fitted = fit_margin(answers([0.1, 0.2, 0.3], [0.12, 0.15]), USUAL, 0.01)
    assert fitted is not None
    assert fitted.margin == pytest.approx(shrunk(0.15, 5))
    assert (fitted.rival, fitted.matches, fitted.wrong) == ("by 0.15", 5, 2)


def test_many_photos_may_leave_the_stated_share_of_wrong_matches() -> None:
    found = answers([0.5] * 98, [0.1, 0.4])
    for rate, margin in ((0.005, 0.4), (0.0102, 0.1), (0.015, 0.1)):
        fitted = fit_margin(found, USUAL, rate)
        assert fitted is not None and fitted.margin == pytest.approx(shrunk(margin, 100))
        assert fitted.margin > USUAL
    assert fit_margin(found, USUAL, 0.02) is None


def test_it_is_never_below_the_usual_margin_and_grows_with_the_evidence() -> None:
    margins = []
    for count in (0, 5, 50, 500):
        fitted = fit_margin(answers([0.5] * count, [0.3] * max(1, count // 5)), USUAL, 0.01)
        assert fitted is not None
        margins.append(fitted.margin)
    assert margins == sorted(margins) and margins[0] > USUAL and margins[-1] < 0.3


def test_a_lower_rate_never_asks_for_less() -> None:
    found = answers([0.09 + place / 100 for place in range(40)], [0.1, 0.2, 0.25, 0.31])
    fitted = [fit_margin(found, USUAL, rate) for rate in (0.5, 0.1, 0.05, 0.02, 0.01)]
    margins = [USUAL if one is None else one.margin for one in fitted]
    assert margins == sorted(margins) and margins[0] == USUAL < margins[-1]
