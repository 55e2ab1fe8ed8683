from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embedder.bundle import RerankerWeights
from embedder.errors import BundleError
from embedder.matching import Agreement, Candidate, LocalFeatures, reranker
from embedder.matching.reranker import RankedSku


def grid() -> LocalFeatures:
    """400 points, in rows of 20 from the top: the first n rows are the first 20 n points."""
    rows, columns = np.divmod(np.arange(400), 20)
    points = np.column_stack([columns * 10, rows * 10, np.ones(400), np.zeros(400)]).astype(np.float32)
    return LocalFeatures(points, np.zeros((400, 128), np.uint8), 200, 200)


REFERENCE = grid()


def agreeing(points: range | list[int]) -> Agreement:
    """Points of the query, the first with the reference's first and so on."""
    pairs = np.array([(point, place) for place, point in enumerate(points)], np.intp).reshape(-1, 2)
    return Agreement(len(pairs), 2 * len(pairs), 0.5, 0.5, np.eye(2, 3), pairs)


def seen(sku: str, cosine: float, match: Agreement | None = None) -> Candidate:
    return Candidate(sku, cosine, REFERENCE, match or Agreement())


def of(name: str, candidates: list[Candidate]) -> dict[str, float]:
    skus, _, table = reranker.features(candidates)
    column = list(reranker.FEATURES).index(name)
    return dict(zip(skus, table[:, column].tolist(), strict=True))


def look(accept: float = 0.8, **weights: float) -> RerankerWeights:
    return RerankerWeights(dict.fromkeys(reranker.FEATURES, 0.0) | weights, accept, 1.0, 0.0, 0.05)


def test_a_sku_has_the_cosine_of_its_nearest_photo_and_its_margin_over_the_best_other() -> None:
    candidates = [seen("a", 0.9), seen("a", 0.7), seen("b", 0.8), seen("c", 0.5)]
    assert of("cosine", candidates) == {"a": 0.9, "b": 0.8, "c": 0.5}
    assert of("cosine_margin", candidates) == pytest.approx({"a": 0.1, "b": -0.1, "c": -0.4})
    assert of("cosine_margin", candidates[:2]) == {"a": 0.0}  # nothing to be better than
    assert of("constant", candidates) == {"a": 1, "b": 1, "c": 1}


def test_print_is_of_the_photo_that_agrees_best_beyond_chance_and_by_what_it_covers() -> None:
    candidates = [
        seen("a", 0.5, agreeing(range(60))),
        seen("a", 0.4, agreeing(range(200))),  # half of the reference: 10 of 20 rows, 9 of 19 steps
        seen("b", 0.6, agreeing(range(300, 320))),  # one row covers nothing
        seen("c", 0.6, agreeing(range(340, 346))),  # by chance
    ]
    assert of("print", candidates) == pytest.approx({"a": np.log(195) * 9 / 19, "b": 0.0, "c": 0.0})
    _, best, _ = reranker.features(candidates)
    assert best == [1, 2, 3]
    assert reranker.agrees(candidates)
    assert not reranker.agrees(candidates[3:])


def test_what_a_still_camera_sees_again_is_not_the_product() -> None:
    still = replace(agreeing(range(200)), still=True)
    candidates = [seen("red", 0.7, still), seen("blue", 0.7, agreeing(range(60)))]
    printed = of("print", candidates)
    assert printed["red"] == 0.0 < printed["blue"]
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
    assert of("print", candidates) == {"lemon": 0.0, "orange": 0.0}
    assert of("print", candidates[:1])["lemon"] > 1  # without its sister


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
    first, second = reranker.rank(look(print=1.0), candidates)
    assert (first.sku, first.best, second.sku) == ("b", candidates[1], "a")
    assert first.probability == pytest.approx(395 / 397)
    assert (first.alone, second.alone) == (pytest.approx(395 / 396), 0.5)
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


@pytest.mark.parametrize(("probability", "alone", "is_one"), [(0.5, 0.5, True), (0.49, 0.79, False), (0.49, 0.8, True)])
def test_a_guess_is_likelier_than_not_or_would_be_a_match_by_itself(
    probability: float, alone: float, is_one: bool
) -> None:
    assert reranker.is_guess(look(accept=0.8), [weighed(probability, alone)]) == is_one


def test_a_first_beyond_doubt_ends_the_look() -> None:
    assert reranker.is_settled([weighed(0.995)])
    assert not reranker.is_settled([weighed(0.98)])
    assert not reranker.is_settled([])


def test_what_the_first_look_matched_stays_a_match_unless_details_prefer_another() -> None:
    few = [weighed(0.3), replace(weighed(0.1), sku="other")]
    limits = look(accept=0.7)
    assert reranker.decide(limits, few) == "unknown"
    assert reranker.decide(limits, few, matched="sku") == "match"
    assert reranker.decide(limits, few, matched="other") == "unknown"


def test_weights_of_other_features_are_refused() -> None:
    reranker.check_weights(look())
    with pytest.raises(BundleError, match="'own', 'print'"):
        reranker.check_weights(RerankerWeights({"cosine": 1.0}, 0.5, 1.0, 0.0, 0.05))
