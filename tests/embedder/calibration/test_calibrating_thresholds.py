"""Thresholds on vectors whose right answer is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from embedder.bundle import Thresholds
from embedder.calibration import Pair, calibrate_thresholds, read_alone, read_pair
from embedder.calibration.calibrating_thresholds import Calibration
from embedder.calibration.rates import Known, Unknown, split_folds
from embedder.errors import DataError
from embedder.evaluation import Embedded
from embedder.evaluation.metrics import sku_scores
from embedder.inference import Embedder


def embedded(degrees: Sequence[float], skus: Sequence[str]) -> Embedded:
    """Photos as points on the circle, so that a score is the cosine of the angle between."""
    radians = np.radians(degrees)
    vectors = np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)
    return Embedded(vectors, list(skus), [], 0.0)


#: Four SKUs a right angle apart; each query 10 degrees off its own (0.985), so 80 off the next (0.174).
GALLERY = embedded([0, 90, 180, 270], "abcd")
QUERIES = embedded([10, 100, 190, 280], "abcd")
CLEAR = Pair("clear", GALLERY, QUERIES)


def overlapping(seed: int, skus: int = 30) -> Pair:
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(skus, 12))
    names = [f"{number}" for number in range(skus)]
    parts = []
    for copies in (3, 8):
        points = np.repeat(centers, copies, axis=0) + rng.normal(scale=0.55, size=(skus * copies, 12))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        parts.append(Embedded(points.astype(np.float32), [sku for sku in names for _ in range(copies)], [], 0.0))
    return Pair(f"set {seed}", *parts)


def answers(pair: Pair, limits: Sequence[tuple[float, float]]) -> tuple[Known, Unknown]:
    """Counted photo by photo, each by limits of its own, in the words of catalog.recognize.decide."""
    table, names = sku_scores(pair.queries.vectors, pair.gallery.vectors, pair.gallery.skus)
    known, out = [0, 0, 0, 0], [0, 0, 0]
    for row, sku, (score, margin) in zip(table, pair.queries.skus, limits, strict=True):
        for present in (True, False):
            asked = {name: float(x) for name, x in zip(names, row, strict=True) if present or name != sku}
            best, second = sorted(asked, key=asked.__getitem__, reverse=True)[:2]
            if asked[best] < score:
                answer = "unknown"
            else:
                answer = "ambiguous" if asked[best] - asked[second] < margin else "match"
            if present:
                kind = "wrong" if answer == "match" and best != sku else answer
                known[["match", "wrong", "ambiguous", "unknown"].index(kind)] += 1
            else:
                out[["match", "ambiguous", "unknown"].index(answer)] += 1
    count = len(limits)
    return Known(*(n / count for n in known)), Unknown(*(n / count for n in out))


def same(one: Known | Unknown, other: Known | Unknown) -> None:
    assert vars(one) == pytest.approx(vars(other))


def test_clear_cut_products_are_all_matched() -> None:
    found = calibrate_thresholds([CLEAR], false_accept=0.0, wrong=0.0, folds=2)
    assert found.queries == 4
    for rates in (found.rates, found.in_sample, found.sets[0].rates):
        assert rates.known == Known(1.0, 0.0, 0.0, 0.0)
        assert rates.held_out == Unknown(0.0, 0.0, 1.0)
        assert rates.known.wrong_matches == 0
    assert np.cos(np.radians(80)) < found.thresholds.score < np.cos(np.radians(10))
    assert found.thresholds.false_accept == 0.0
    assert found.warnings == []
    assert found.strangers is None


def test_margin_parts_look_alikes() -> None:
    """Twins 4 degrees apart, whose queries lie on the other's photo as often: only a margin keeps them out."""
    gallery = embedded([0, 4, 90, 94, 180, 270], "abcdef")
    pair = Pair("", gallery, embedded([0, 4, 0, 4, 90, 94, 90, 94, 180, 270], "abbacddcef"))
    loose = calibrate_thresholds([pair], false_accept=1.0, wrong=1.0, folds=2)
    assert loose.in_sample.known.wrong_matches <= 0.4
    strict = calibrate_thresholds([pair], false_accept=1.0, wrong=0.0, folds=2, seed=seed_that_parts(pair, "ef"))
    assert strict.in_sample.known.wrong_matches == 0.0
    assert strict.in_sample.known.right == pytest.approx(2 / 10)
    assert strict.in_sample.known.ambiguous == pytest.approx(8 / 10)
    assert strict.thresholds.margin >= 0.005


def seed_that_parts(pair: Pair, skus: str) -> int:
    """One by which these two SKUs are in different folds of two."""
    names = np.array(pair.queries.skus)
    for seed in range(100):
        fold = split_folds(np.zeros(len(names), dtype=int), names, [""], 2, seed)
        if len(set(fold[np.isin(names, list(skus))])) == 2:
            return seed
    raise AssertionError


@pytest.mark.parametrize(("false_accept", "wrong"), [(0.05, 0.05), (0.01, 0.02), (0.2, 0.1), (0.0, 0.0)])
def test_rates_are_what_the_thresholds_give(false_accept: float, wrong: float) -> None:
    """Counted again, photo by photo: all of them, a fold, and each photo by the thresholds of its own fold."""
    pair = overlapping(1)
    found = calibrate_thresholds([pair], false_accept=false_accept, wrong=wrong, seed=3)
    limits = found.thresholds
    known, out = answers(pair, [(limits.score, limits.margin)] * len(pair.queries.skus))
    same(found.in_sample.known, known)
    same(found.in_sample.held_out, out)
    assert known.wrong_matches == pytest.approx(found.in_sample.known.wrong_matches)
    assert known.right > 0
    assert out.accepted <= false_accept + 1e-9
    assert known.wrong_matches <= wrong + 1e-9

    skus = np.array(pair.queries.skus)
    fold = split_folds(np.zeros(len(skus), dtype=int), skus, [""], 5, 3)
    known, out = answers(pair, [(found.by_fold[i].score, found.by_fold[i].margin) for i in fold])
    for rates in (found.rates, found.sets[0].rates):
        same(rates.known, known)
        same(rates.held_out, out)
    for number, one in enumerate(found.by_fold):
        rows = np.flatnonzero(fold == number)
        part = Embedded(pair.queries.vectors[rows], [pair.queries.skus[i] for i in rows], [], 0.0)
        known, out = answers(Pair("", pair.gallery, part), [(one.score, one.margin)] * len(rows))
        same(one.rates.known, known)
        same(one.rates.held_out, out)
        assert (one.queries, one.skus) == (48, 6)


def test_no_thresholds_are_better() -> None:
    """Every score to four digits and every margin, tried the long way, on a set that is small enough."""
    pair = overlapping(4, skus=6)
    found = calibrate_thresholds([pair], false_accept=0.1, wrong=0.1, folds=2)

    def value(known: Known, out: Unknown) -> float:
        return known.right + out.unknown + 0.5 * (known.ambiguous + out.ambiguous)

    best = 0.0
    for score in np.arange(0.3, 1.0, 0.01):
        for margin in np.arange(0.0, 0.205, 0.02):
            known, out = answers(pair, [(score, margin)] * len(pair.queries.skus))
            if known.right and out.accepted <= 0.1 and known.wrong_matches <= 0.1:
                best = max(best, value(known, out))
    assert value(found.in_sample.known, found.in_sample.held_out) >= best - 1e-9


def every_rate(found: Calibration) -> list[Known | Unknown]:
    rates = [found.rates, found.in_sample, *(one.rates for one in found.sets), *(one.rates for one in found.by_fold)]
    assert found.strangers is not None
    return [part for one in rates for part in (one.known, one.held_out)] + [found.strangers.rates]


def test_answers_sum_to_one() -> None:
    pairs = [overlapping(1), overlapping(2), overlapping(5, skus=7)]
    found = calibrate_thresholds(pairs, false_accept=0.1, wrong=0.1, strangers=[("others", overlapping(9).queries)])
    for rates in every_rate(found):
        assert sum(vars(rates).values()) == pytest.approx(1.0)
        assert min(vars(rates).values()) >= 0


def test_more_allowed_matches_more() -> None:
    pairs = [overlapping(2)]
    rates = [calibrate_thresholds(pairs, false_accept=rate, wrong=1.0).in_sample for rate in (0.0, 0.02, 0.1, 0.5)]
    value = [one.known.right + one.held_out.unknown for one in rates]
    value = [v + (one.known.ambiguous + one.held_out.ambiguous) / 2 for v, one in zip(value, rates, strict=True)]
    assert value == sorted(value)
    assert rates[-1].known.right > rates[0].known.right


def test_every_set_weighs_the_same() -> None:
    """Eight queries that are right, and a set of two of which one lies on another SKU's photo."""
    many = Pair("many", GALLERY, embedded([0, 90, 180, 270] * 2, "abcd" * 2))
    few = Pair("few", embedded([0, 90, 180], "efg"), embedded([0, 90], "eg"))
    found = calibrate_thresholds([many, few], false_accept=1.0, wrong=1.0, folds=2)
    assert found.queries == 10
    assert found.in_sample.known.right == pytest.approx(0.75)
    assert found.in_sample.known.wrong_matches == pytest.approx(0.25)
    assert [(one.name, one.queries, one.skus, one.gallery, one.gallery_skus) for one in found.sets] == [
        ("many", 8, 4, 4, 4),
        ("few", 2, 2, 3, 3),
    ]
    for kind in ("right", "wrong", "ambiguous", "unknown"):
        both = [getattr(one.rates.known, kind) for one in found.sets]
        assert getattr(found.rates.known, kind) == pytest.approx(np.mean(both))


def test_queries_of_unknown_skus_are_left_out() -> None:
    pair = Pair("", GALLERY, embedded([10, 100, 45], "abz"))
    assert calibrate_thresholds([pair], false_accept=0.0, wrong=0.0, folds=2).queries == 2


def sets_and_skus() -> tuple[np.ndarray, np.ndarray]:
    """40 SKUs of a set, 20 of another, of which 10 are the same; 1 to 4 queries each, in no order."""
    rng = np.random.default_rng(0)
    rows = [(0, f"{sku}") for sku in range(40)] + [(1, f"{sku}") for sku in range(30, 50)]
    rows = [row for row in rows for _ in range(rng.integers(1, 5))]
    rng.shuffle(rows)
    return np.array([int(place) for place, _ in rows]), np.array([str(sku) for _, sku in rows])


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_folds_part_skus_and_share_every_set(folds: int) -> None:
    place, sku = sets_and_skus()
    fold = split_folds(place, sku, ["a", "b"], folds, 1)
    assert set(fold) == set(range(folds))
    assert all(len(set(fold[sku == name])) == 1 for name in sku)  # in whatever sets it is
    for which, count in ((0, 40), (1, 20)):
        sizes = [len(set(sku[(place == which) & (fold == number)])) for number in range(folds)]
        assert sum(sizes) == count
        assert max(sizes) - min(sizes) <= 2


def test_folds_follow_from_the_seed() -> None:
    place, sku = sets_and_skus()
    fold = split_folds(place, sku, ["a", "b"], 5, 1)
    assert (fold == split_folds(place, sku, ["a", "b"], 5, 1)).all()
    assert (fold[::-1] == split_folds(place[::-1], sku[::-1], ["a", "b"], 5, 1)).all()
    assert (fold != split_folds(place, sku, ["a", "b"], 5, 2)).any()
    one, other = (calibrate_thresholds([overlapping(1)], false_accept=0.1, wrong=0.1, seed=2) for _ in range(2))
    assert one == other


def test_too_few_skus_for_the_folds() -> None:
    with pytest.raises(DataError, match=r"clear asks for 4 SKUs .* 5 folds: .* or --folds 4\."):
        calibrate_thresholds([overlapping(1), CLEAR], false_accept=0.1, wrong=0.1)
    lone = Pair("lone", GALLERY, embedded([10, 11], "aa"))
    with pytest.raises(DataError, match=r"lone asks for 1 SKUs .* photos of more SKUs\.$"):
        calibrate_thresholds([lone], false_accept=0.1, wrong=0.1, folds=2)


def look_alikes(degrees: Sequence[float]) -> Pair:
    """Pairs of SKUs so many degrees apart, pairs far from each other in their own planes; a query on each photo."""
    count = len(degrees)
    vectors = np.zeros((2 * count, 2 * count), dtype=np.float32)
    for i, angle in enumerate(np.radians(degrees)):
        vectors[2 * i, 2 * i] = 1
        vectors[2 * i + 1, 2 * i : 2 * i + 2] = np.cos(angle), np.sin(angle)
    photos = Embedded(vectors, [f"{i}" for i in range(2 * count)], [], 0.0)
    return Pair("look-alikes", photos, photos)


def test_each_set_is_answered_by_thresholds_fitted_on_the_others() -> None:
    pairs = [overlapping(1), overlapping(2), overlapping(5, skus=7)]
    found = calibrate_thresholds(pairs, false_accept=0.1, wrong=0.1)
    assert [one.name for one in found.sets_left_out] == [pair.name for pair in pairs]
    for place, one in enumerate(found.sets_left_out):
        others = [pair for number, pair in enumerate(pairs) if number != place]
        limits = calibrate_thresholds(others, false_accept=0.1, wrong=0.1).thresholds
        assert (one.score, one.margin) == (limits.score, limits.margin)
        known, out = answers(pairs[place], [(limits.score, limits.margin)] * len(pairs[place].queries.skus))
        assert one.rates is not None
        same(one.rates.known, known)
        same(one.rates.held_out, out)
    assert calibrate_thresholds(pairs[:1], false_accept=0.1, wrong=0.1).sets_left_out == []


def test_references_that_are_left_out_do_not_answer() -> None:
    """Each query has a reference on it, which is left out, and another 40 degrees off."""
    gallery = embedded([0, 90, 180, 270, 40, 130, 220, 310], "abcdabcd")
    queries = embedded([0, 90, 180, 270], "abcd")
    left_out = np.hstack([np.eye(4, dtype=bool), np.zeros((4, 4), dtype=bool)])
    kept = calibrate_thresholds([Pair("", gallery, queries)], false_accept=0, wrong=0, folds=2)
    found = calibrate_thresholds([Pair("", gallery, queries, left_out)], false_accept=1, wrong=0, folds=2)
    assert kept.thresholds.score > np.cos(np.radians(50)) > found.thresholds.score - 0.001
    assert (found.same_visit, found.sets[0].same_visit, found.sets[0].not_asked) == ("left-out", 4, 0)
    left_out[0, 4] = True
    found = calibrate_thresholds([Pair("", gallery, queries, left_out)], false_accept=1, wrong=0, folds=3)
    assert (found.queries, found.sets[0].not_asked) == (3, 1)


def test_poor_photos_make_no_room_for_false_accepts() -> None:
    """Degraded queries that lie far from everything are never accepted; the limit holds for the others alone."""
    pair = overlapping(1)
    far = np.zeros((len(pair.queries.skus), 12), np.float32)
    far[:, 0], far[np.arange(len(far)), np.arange(len(far)) % 11 + 1] = 0.1, 0.99**0.5
    poor = Pair("poor", pair.gallery, Embedded(far, pair.queries.skus, [], 0.0), originals=pair.queries)
    limits = {"false_accept": 0.1, "wrong": 0.1}
    alone = calibrate_thresholds([pair], **limits)
    both = calibrate_thresholds([pair, poor], **limits)
    fits = (both.thresholds.score, both.thresholds.margin)
    known, out = answers(pair, [fits] * len(pair.queries.skus))
    assert out.accepted <= 0.1 + 1e-9
    assert known.wrong_matches <= 0.1 + 1e-9
    assert both.thresholds.score >= alone.thresholds.score - 0.05
    _, out = answers(poor, [fits] * len(pair.queries.skus))
    assert out.accepted <= 0.1 + 1e-9


def test_what_only_the_fit_has_seen_shows_out_of_fold() -> None:
    """SKU 11 has a query that lies almost on a photo of SKU 0, nearer than any twins are. Fitted on all, the score is
    above it and nothing is accepted; the fold of SKU 11 meets thresholds that do not know of it.
    """
    pair = look_alikes([60, 50, 40, 30, 20, 10])
    odd = np.zeros((1, 12), dtype=np.float32)
    odd[0, 0], odd[0, 11] = np.sqrt([0.99, 0.01])
    queries = Embedded(np.vstack([pair.queries.vectors, odd]), [*pair.queries.skus, "11"], [], 0.0)
    found = calibrate_thresholds(
        [Pair("odd", pair.gallery, queries)], false_accept=0.0, wrong=0.2, folds=12
    )  # a fold a SKU
    assert found.in_sample.held_out.accepted == 0
    assert sorted(one.rates.held_out.accepted for one in found.by_fold) == [0.0] * 11 + [0.5]
    assert found.rates.held_out.accepted == pytest.approx(1 / 13)
    assert found.thresholds.score > 0.99**0.5 > min(one.score for one in found.by_fold)
    assert len(found.warnings) == 1
    assert re.search(r"False accepts of SKUs .* are 7\.69%, above the stated 0\.00%", found.warnings[0])


def test_strangers_are_measured_and_never_fitted_on() -> None:
    pairs = [overlapping(1), overlapping(2)]
    fitted = calibrate_thresholds(pairs, false_accept=0.1, wrong=0.1)
    others = [("x", overlapping(8).queries), ("y", pairs[0].gallery)]  # y is no stranger to the first gallery
    found = calibrate_thresholds(pairs, false_accept=0.1, wrong=0.1, strangers=others)
    assert found.thresholds == fitted.thresholds
    assert found.rates == fitted.rates
    assert found.strangers is not None
    assert (found.strangers.names, found.strangers.photos) == (["x", "y"], 240 + 90)
    limits = found.thresholds
    shares = []
    for pair in pairs:
        for _, photos in others:
            table, _ = sku_scores(photos.vectors, pair.gallery.vectors, pair.gallery.skus)
            accepted = 0
            for row in table.astype(np.float64):
                second, first = np.sort(row)[-2:]
                accepted += first >= limits.score and first - second >= limits.margin
            shares.append(accepted / len(photos.skus))
    assert found.strangers.rates.accepted == pytest.approx(np.mean(shares))
    assert found.strangers.rates.accepted > 0.1
    assert any("strangers" in line for line in found.warnings)


def test_nothing_to_calibrate_on() -> None:
    with pytest.raises(DataError, match=r"No query is of a SKU .*\(odd\)"):
        calibrate_thresholds([CLEAR, Pair("odd", GALLERY, embedded([10], "z"))], false_accept=0.1, wrong=0.1)
    with pytest.raises(DataError, match="three SKUs"):
        calibrate_thresholds([Pair("", embedded([0, 90], "ab"), QUERIES)], false_accept=0.1, wrong=0.1)


def tried(pair: Pair, **allowed: float) -> str:
    """What is said of no thresholds; nothing when there are some, or when it is a fold alone that finds none."""
    try:
        calibrate_thresholds([pair], **allowed, folds=2)
    except DataError as error:
        return "" if str(error).startswith("Without fold") else str(error)
    return ""


@pytest.mark.parametrize(("shift", "false_accept", "wrong"), [(3, 0.0, 0.0), (3, 0.0, 0.5), (3, 0.9, 0.0)])
def test_rates_that_nothing_keeps_to_name_those_that_can_be(shift: int, false_accept: float, wrong: float) -> None:
    """What the error names is enough, and nothing less is."""
    flat = overlapping(3)
    skus = list(np.roll(flat.queries.skus, shift))  # so many of eight photos of each SKU bear the wrong name
    pair = Pair("", flat.gallery, Embedded(flat.queries.vectors, skus, [], 0.0))
    allowed = {"false_accept": false_accept, "wrong": wrong}
    said = tried(pair, **allowed)
    assert "No thresholds keep both rates" in said
    for way in said.partition("at least ")[2].split(" or "):
        named = {name.replace("-", "_"): float(rate) for name, rate in re.findall(r"--([a-z-]+) (\d\.\d{4})", way)}
        assert named
        assert not tried(pair, **(allowed | named))
        for name, rate in named.items():
            assert "No thresholds" in tried(pair, **(allowed | named | {name: rate - 2e-4}))


def test_queries_that_are_all_wrong() -> None:
    """Every query lies on a photo of another SKU."""
    queries = embedded([90, 180, 270, 0], "abcd")
    with pytest.raises(DataError, match="no query is ever nearest to its own SKU"):
        calibrate_thresholds([Pair("", GALLERY, queries)], false_accept=0.5, wrong=0.5, folds=2)


def test_a_fold_that_nothing_keeps_the_rates_in_says_so() -> None:
    """Without SKU d, no query is right."""
    pair = Pair("", GALLERY, embedded([90, 180, 0, 270], "abcd"))
    with pytest.raises(DataError, match=r"^Without fold [1-4]: No thresholds .* nearest to its own SKU"):
        calibrate_thresholds([pair], false_accept=1.0, wrong=1.0, folds=4)


def test_thresholds_are_those_of_the_bundle() -> None:
    found = calibrate_thresholds([overlapping(1)], false_accept=0.1, wrong=0.1)
    assert found.thresholds == Thresholds(round(found.thresholds.score, 4), round(found.thresholds.margin, 4), 0.1)
    facts = found.as_dict()
    assert facts["thresholds"]["score"] == found.thresholds.score
    assert set(facts["rates"]["known"]) == {"right", "wrong", "ambiguous", "unknown"}
    assert set(facts["rates"]["held_out"]) == {"accepted", "ambiguous", "unknown"}


def test_sets_of_folders_and_split_files(released: Embedder, shapes: Path, shape_queries: Path) -> None:
    pair = read_pair(released, shapes, shape_queries)
    assert pair.name == f"{shape_queries.parent.name}/queries in shapes"
    assert (len(pair.gallery.skus), len(pair.queries.skus)) == (60, 24)
    listed = shapes.parent / "listed.txt"
    listed.write_text(
        "".join(f"shapes/{sku}/{number}.png\n" for sku in sorted(set(pair.gallery.skus)) for number in range(5))
    )
    alone = read_alone(released, listed, 2)
    assert (alone.name, len(alone.gallery.skus), len(alone.queries.skus)) == ("listed", 12, 18)
    with pytest.raises(DataError, match="more than 5 photos"):
        read_alone(released, listed, 5)
