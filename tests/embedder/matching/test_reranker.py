from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedder.bundle import RELEASED, RerankerWeights, load_bundle
from embedder.matching import Agreement, Appearance, Candidate, LocalFeatures, reranker
from embedder.matching.reranker import RankedSku


def grid() -> LocalFeatures:
    """400 points, in rows of 20 from the top: the first n rows are the first 20 n points."""
    rows, columns = np.divmod(np.arange(400), 20)
    points = np.column_stack([columns * 10, rows * 10, np.ones(400), np.zeros(400)]).astype(np.float32)
    return LocalFeatures(points, np.zeros((400, 128), np.uint8), 200, 200)


REFERENCE = grid()
FLOOR = 0.6


def agreeing(points: range | list[int]) -> Agreement:
    """Points of the query, the first with the reference's first and so on."""
    pairs = np.array([(point, place) for place, point in enumerate(points)], np.intp).reshape(-1, 2)
    return Agreement(len(pairs), 2 * len(pairs), 0.5, 0.5, np.eye(2, 3), pairs)


def seen(sku: str, cosine: float, match: Agreement | None = None) -> Candidate:
    return Candidate(sku, cosine, REFERENCE, match or Agreement())


def of(name: str, candidates: list[Candidate]) -> dict[str, float]:
    skus, _, table = reranker.features(candidates, FLOOR)
    column = list(reranker.FEATURES).index(name)
    return dict(zip(skus, table[:, column].tolist(), strict=True))


def look(accept: float = 0.8, **weights: float) -> RerankerWeights:
    return RerankerWeights(dict.fromkeys(reranker.FEATURES, 0.0) | weights, accept, 1.0, 0.0, 0.05, FLOOR)


def test_a_sku_has_the_cosine_of_its_nearest_photo_above_the_floor_and_its_margin_over_the_best_other() -> None:
    candidates = [seen("a", 0.9), seen("a", 0.7), seen("b", 0.8), seen("c", 0.5)]
    assert of("cosine", candidates) == pytest.approx({"a": 0.3, "b": 0.2, "c": 0.0})
    assert of("cosine_margin", candidates) == pytest.approx({"a": 0.1, "b": 0.0, "c": 0.0})
    assert of("cosine_margin", candidates[:2]) == {"a": 0.0}  # nothing to be better than
    assert of("constant", candidates) == {"a": 1, "b": 1, "c": 1}


def test_own_points_count_piece_by_piece_and_by_what_they_cover() -> None:
    candidates = [
        seen("a", 0.5, agreeing(range(60))),
        seen("a", 0.4, agreeing(range(200))),  # half of the reference: 10 of 20 rows, 9 of 19 steps
        seen("b", 0.6, agreeing(range(300, 310))),  # a part of one row covers nothing
        seen("c", 0.6, agreeing(range(340, 346))),  # by chance
    ]
    assert of("points_40", candidates) == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert of("points_12", candidates) == {"a": 1.0, "b": 0.5, "c": 0.0}
    assert of("points_8", candidates) == {"a": 1.0, "b": 1.0, "c": 0.0}
    assert of("area", candidates) == pytest.approx({"a": 9 / 19, "b": 0.0, "c": 0.0})
    _, best, _ = reranker.features(candidates, FLOOR)
    assert best == [1, 2, 3]
    assert reranker.agrees(candidates)
    assert not reranker.agrees(candidates[3:])


def test_what_the_vector_says_counts_the_less_the_clearer_another_skus_print_is() -> None:
    def cosines(points: int) -> dict[str, float]:
        return of("cosine", [seen("a", 0.7, agreeing(range(points))), seen("b", 0.9)])

    assert cosines(0) == pytest.approx({"a": 0.1, "b": 0.3})
    half = reranker.CHANCE + reranker.CLEAR // 2
    assert cosines(half) == pytest.approx({"a": 0.1, "b": 0.15})
    assert cosines(reranker.CHANCE + reranker.CLEAR) == pytest.approx({"a": 0.1, "b": 0.0})


def test_appearance_speaks_only_where_it_was_compared() -> None:
    alike = replace(seen("a", 0.5, agreeing(range(50))), appearance=Appearance(20, 0.9, 0.8, 0.02))
    other = replace(seen("b", 0.5, agreeing(range(50, 90))), appearance=Appearance(20, 0.3, 0.1, 0.1))
    candidates = [alike, other, seen("c", 0.5)]
    assert of("print_seen", candidates) == pytest.approx({"a": 0.1, "b": -0.5, "c": 0.0})
    assert of("print_least", candidates) == pytest.approx({"a": 0.2, "b": -0.5, "c": 0.0})
    assert of("hue", candidates) == pytest.approx({"a": -0.02, "b": -0.1, "c": 0.0})


def test_weights_of_how_appearance_was_compared_before_are_of_its_features() -> None:
    names = [*list(reranker.FEATURES)[:-3], *reranker.COARSE]
    before = replace(look(), weights=dict.fromkeys(names, 0.0) | {"constant": -1.0, "appearance": 4.0, "colour": 10.0})
    assert reranker.can_weigh(before)
    assert reranker.compares_coarse(before)
    assert not reranker.compares_coarse(look())
    candidates = [replace(seen("a", 0.5, agreeing(range(50))), appearance=Appearance(20, 0.9, 0.8, 0.02))]
    assert reranker.rank(before, candidates)[0].alone == pytest.approx(1 / (1 + np.exp(1 - 4 * 0.25 + 10 * 0.02)))


def test_compared_are_the_skus_that_most_points_agree_with() -> None:
    at = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)

    def placed(sku: str, points: int) -> Candidate:
        return seen(sku, 0.5, replace(agreeing(range(points)), outline=at))

    candidates = [placed("a", 30), placed("a", 40), placed("b", 9), placed("c", 90), placed("d", 20), placed("e", 10)]
    assert reranker.comparable(candidates) == [3, 1, 4]
    assert reranker.comparable([placed("b", 9)]) == []  # too few to say where it lies
    assert reranker.comparable([seen("c", 0.5, agreeing(range(90)))]) == []  # nowhere


def test_what_a_still_camera_sees_again_is_not_the_product() -> None:
    still = replace(agreeing(range(200)), still=True)
    candidates = [seen("red", 0.7, still), seen("blue", 0.7, agreeing(range(60)))]
    assert of("points_4", candidates) == {"red": 0.0, "blue": 1.0}
    assert of("own", candidates)["blue"] > 0
    assert not reranker.agrees(candidates[:1])


def test_what_a_family_has_in_common_does_not_decide_and_what_is_a_packs_own_does() -> None:
    # 100 points of the brand agree with both; of the flavor line 6 with one and 1 with the other.
    candidates = [
        seen("lemon", 0.8, agreeing([*range(100), *range(200, 206)])),
        seen("orange", 0.8, agreeing([*range(100), 300])),
    ]
    own = of("own", candidates)
    assert own["lemon"] == pytest.approx(np.log(7) - np.log(2))
    assert own["orange"] == pytest.approx(-own["lemon"])
    assert of("points_8", candidates) == {"lemon": 0.5, "orange": 0.0}
    assert of("points_8", candidates[:1]) == {"lemon": 1.0}  # without its sister


def test_a_rival_is_the_other_sku_that_agrees_most() -> None:
    candidates = [
        seen("a", 0.8, agreeing(range(50))),
        seen("b", 0.8, agreeing(range(40))),
        seen("c", 0.8, agreeing(range(60, 70))),
    ]
    own = of("own", candidates)
    assert own["a"] == pytest.approx(np.log(11))
    assert own["c"] == pytest.approx(np.log(11) - np.log(51))
    assert of("own", candidates[:1]) == {"a": 0.0}


def test_probabilities_leave_room_for_none_of_them() -> None:
    assert reranker.probabilities(np.array([0.0])) == pytest.approx([0.5])
    assert reranker.probabilities(np.array([np.log(3), np.log(4)])) == pytest.approx([3 / 8, 4 / 8])
    # No overflow, however sure.
    assert reranker.probabilities(np.array([2000.0, 1000.0])) == pytest.approx([1.0, 0.0])
    assert reranker.probabilities(np.array([-2000.0])) == pytest.approx([0.0])
    assert reranker.probabilities(np.array([])).size == 0


def test_weigh_gives_skus_by_probability_with_the_photo_that_speaks_for_each() -> None:
    candidates = [seen("a", 0.9), seen("b", 0.5, agreeing(range(400))), seen("b", 0.6)]
    first, second = reranker.rank(look(points_40=np.log(8)), candidates)
    assert (first.sku, first.best, second.sku) == ("b", candidates[1], "a")
    assert first.probability == pytest.approx(8 / 10)
    assert (first.alone, second.alone) == (pytest.approx(8 / 9), 0.5)
    assert reranker.rank(look(), []) == []


def weighed(chance: float, alone: float = 0.0, match: Agreement | None = None) -> RankedSku:
    return RankedSku("sku", chance, alone, seen("sku", 0.5, match))


def test_two_products_in_one_photo_are_for_a_person_and_two_look_alikes_in_one_place_are_not() -> None:
    def at(left: float) -> Agreement:
        corners = [(left, 0.2), (left + 0.4, 0.2), (left + 0.4, 0.8), (left, 0.8)]
        return replace(agreeing(range(50)), outline=np.array(corners, np.float32))

    limits = look(accept=0.7)
    first = weighed(0.8, 0.99, at(0.05))
    assert reranker.decide(limits, [first, weighed(0.19, 0.95, at(0.55))]) == "ambiguous"
    assert reranker.decide(limits, [first, weighed(0.19, 0.95, at(0.10))]) == "match"
    assert reranker.decide(limits, [first, weighed(0.10, 0.60, at(0.55))]) == "match"  # not one by itself
    assert reranker.decide(limits, [first, weighed(0.10, 0.95)]) == "match"  # by its cosine: who knows where


def test_decide() -> None:
    def ask(*chances: float) -> str:
        return reranker.decide(look(accept=0.7), [weighed(one) for one in chances])

    assert ask(0.7, 0.1) == "match"
    assert ask(0.69, 0.1) == "ambiguous"
    assert ask(0.3, 0.3) == "ambiguous"  # one of them it is, but which?
    assert ask(0.3, 0.1) == "unknown"
    assert ask() == "unknown"


def test_a_first_beyond_doubt_ends_the_look_and_a_match_does_after_enough_photos() -> None:
    assert reranker.is_settled(look(), [weighed(0.995)], 10)
    assert not reranker.is_settled(look(), [weighed(0.98)], reranker.ENOUGH - 1)
    assert reranker.is_settled(look(accept=0.8), [weighed(0.8)], reranker.ENOUGH)
    assert not reranker.is_settled(look(accept=0.8), [weighed(0.79)], reranker.ENOUGH)
    assert not reranker.is_settled(look(), [], reranker.ENOUGH)


@lru_cache
def released() -> RerankerWeights:
    found = load_bundle(RELEASED).second_look
    assert found is not None
    return found


COSINES = st.floats(-1, 1)
POINTS = st.sets(st.integers(0, 399), max_size=60).map(sorted)


def chance_of(look: RerankerWeights, sku: str, candidates: list[Candidate]) -> float:
    return next(one.probability for one in reranker.rank(look, candidates) if one.sku == sku)


def test_no_weight_but_the_constants_is_below_0() -> None:
    assert all(weight >= 0 for name, weight in released().weights.items() if name != "constant")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(COSINES, POINTS), min_size=1, max_size=4), st.integers(1, 60))
def test_more_points_that_agree_never_lower_a_probability(others: list[tuple[float, list[int]]], more: int) -> None:
    (cosine, points), *rivals = others
    taken = {point for _, some in others for point in some}
    new = [point for point in range(400, 1000) if point not in taken][:more]
    beside = [seen(f"rival {place}", rival, agreeing(some)) for place, (rival, some) in enumerate(rivals)]
    before, after = (
        chance_of(released(), "a", [seen("a", cosine, agreeing(some)), *beside]) for some in (points, [*points, *new])
    )
    assert after >= before - 1e-12


@settings(deadline=None, max_examples=50)
@given(COSINES, st.lists(COSINES, min_size=1, max_size=8))
def test_a_low_cosine_never_outvotes_clear_print(cosine: float, rivals: list[float]) -> None:
    by_chance = [seen(f"rival {place}", rival, agreeing(range(6))) for place, rival in enumerate(rivals)]
    candidates = [seen("a", cosine, agreeing(range(40, 240))), *by_chance]
    weighed = reranker.rank(released(), candidates)
    assert weighed[0].sku == "a"
    assert reranker.decide(released(), weighed) == "match"


@settings(deadline=None, max_examples=50)
@given(COSINES, COSINES, POINTS)
def test_print_that_another_sku_has_too_never_decides(one: float, other: float, points: list[int]) -> None:
    shared, none = (
        reranker.features([seen("a", one, match), seen("b", other, match)], FLOOR)[2]
        for match in (agreeing(points), Agreement())
    )
    assert shared.tolist() == none.tolist()


def test_what_the_first_look_matched_stays_a_match_unless_details_prefer_another() -> None:
    few = [weighed(0.3), replace(weighed(0.1), sku="other")]
    limits = look(accept=0.7)
    assert reranker.decide(limits, few) == "unknown"
    assert reranker.decide(limits, few, matched="sku") == "match"
    assert reranker.decide(limits, few, matched="other") == "unknown"
    compared = replace(few[0], best=replace(few[0].best, appearance=Appearance(20, 0.4, 0.1, 0.1)))
    assert reranker.decide(limits, [compared, few[1]], matched="sku") == "unknown"


def test_weights_of_other_features_are_not_weighed_by_and_those_of_an_older_version_as_they_were() -> None:
    assert reranker.can_weigh(look())
    assert not reranker.can_weigh(RerankerWeights({"cosine": 1.0}, 0.5, 1.0, 0.0, 0.05))
    older = RerankerWeights(dict.fromkeys(reranker.OLDER, 0.0) | {"print": 1.0}, 0.8, 1.0, 0.0, 0.05)
    assert reranker.can_weigh(older)
    candidates = [seen("a", 0.9), seen("b", 0.5, agreeing(range(400))), seen("b", 0.6)]
    first, second = reranker.rank(older, candidates)
    assert (first.sku, first.best, second.sku) == ("b", candidates[1], "a")
    assert first.probability == pytest.approx(395 / 397)
    _, _, table = reranker.older_features(candidates)
    assert table[:, 1:3] == pytest.approx(np.array([(0.9, 0.3), (0.6, -0.3)]))


@pytest.mark.parametrize(("probability", "alone", "keeps"), [(0.5, 0.5, False), (0.49, 0.79, True), (0.49, 0.8, False)])
def test_only_with_weights_of_an_older_version_a_first_that_is_no_guess_leaves_the_vectors_order(
    probability: float, alone: float, keeps: bool
) -> None:
    older = RerankerWeights(dict.fromkeys(reranker.OLDER, 0.0), 0.8, 1.0, 0.0, 0.05)
    assert reranker.keeps_older_order(older, [weighed(probability, alone)]) == keeps
    assert not reranker.keeps_older_order(look(accept=0.8), [weighed(probability, alone)])
