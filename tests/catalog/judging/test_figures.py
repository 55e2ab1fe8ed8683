"""Figures of both sides, and the rules that they may break."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest

from catalog.config import Settings
from catalog.errors import ConfigError
from catalog.judging.drawing import evenly
from catalog.judging.figures import Figures, Report, make_report, side_by_side
from catalog.judging.rules import broken_rules
from catalog.storage.tables import JudgedQuery

SETTINGS = Settings.from_env({"CATALOG_DATA": "/data"})
ALL_RIGHT = Figures(known=100, first=100, matched=90, wrong=0, unknown=50, accepted=0)


def report(new: Figures, live: Figures = ALL_RIGHT, **more: Any) -> Report:
    return Report(seed=1, asked={"catalog": 150}, live=live, new=new, worse=0, better=0, **more)


def answer(decision: str, *, right: bool) -> dict[str, Any]:
    return {"decision": decision, "sku": "A", "score": 0.5, "by": "embedding", "right": right}


def query(number: int, sku: str, live: Any, new: Any, *, known: bool = True) -> JudgedQuery:
    return JudgedQuery(number=number, kind="catalog", sku=sku, known=known, live=live, new=new)


def test_queries_are_counted_on_both_sides() -> None:
    right, first, wrong = answer("match", right=True), answer("ambiguous", right=True), answer("match", right=False)
    lost, refused = answer("unknown", right=False), answer("unknown", right=True)
    rows = [
        query(0, "A", right, right),
        query(1, "A", right, wrong),
        query(2, "A", first, right),
        query(3, "B", wrong, lost),
        query(4, "C", refused, wrong, known=False),
        query(5, "C", None, None),  # not answered yet
    ]
    found = make_report(7, rows)
    assert found.live == Figures(known=4, first=3, matched=3, wrong=1, unknown=1, accepted=0)
    assert found.new == Figures(known=4, first=2, matched=3, wrong=1, unknown=1, accepted=1)
    assert (found.worse, found.better, found.asked) == (2, 2, {"catalog": 5})
    assert [(product.sku, product.asked, product.live, product.new) for product in found.products] == [("A", 3, 3, 2)]
    assert Report.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    assert side_by_side(found)[0] == ("the right product is first", "3 of 4 (75.0%)", "2 of 4 (50.0%)")


@pytest.mark.parametrize(
    ("new", "rule"),
    [
        ({}, ""),
        ({"first": 99}, ""),
        ({"first": 98}, "CATALOG_SWITCH_WORSE"),
        ({"wrong": 1}, ""),
        ({"wrong": 2}, "CATALOG_SWITCH_WRONG"),
        ({"accepted": 1}, ""),
        ({"accepted": 2}, "CATALOG_SWITCH_WRONG"),
    ],
)
def test_rules(new: dict[str, int], rule: str) -> None:
    broken = broken_rules(report(replace(ALL_RIGHT, **new)), SETTINGS)
    assert len(broken) == bool(rule) and all(rule in sentence for sentence in broken)


def test_as_many_wrong_matches_as_the_live_one_has_are_allowed() -> None:
    live = replace(ALL_RIGHT, wrong=9, accepted=10)
    assert broken_rules(report(live, live), SETTINGS) == []
    assert len(broken_rules(report(replace(live, wrong=10, accepted=11), live), SETTINGS)) == 2


def test_few_photos_of_no_product_say_nothing() -> None:
    few = replace(ALL_RIGHT, unknown=3)
    assert broken_rules(report(replace(few, accepted=3), few), SETTINGS) == []
    enough = replace(ALL_RIGHT, unknown=4)
    assert len(broken_rules(report(replace(enough, accepted=1), enough), SETTINGS)) == 1


def test_a_product_that_loses_most_of_its_photos_is_named() -> None:
    def rows(asked: int, lost: int) -> list[JudgedQuery]:
        right, wrong = answer("match", right=True), answer("unknown", right=False)
        return [query(place, "TEA", right, wrong if place < lost else right) for place in range(asked)]

    lenient = replace(SETTINGS, switch_worse=1.0)
    assert broken_rules(make_report(1, rows(4, 2)), lenient) == []
    assert broken_rules(make_report(1, rows(3, 3)), lenient) == [], "so few say nothing"
    (sentence,) = broken_rules(make_report(1, rows(4, 3)), lenient)
    assert "CATALOG_SWITCH_PRODUCT" in sentence and "TEA (first for 1 of 4 photos, before for 4)" in sentence


def test_the_settings_of_the_rules() -> None:
    env = {"CATALOG_SWITCH_WORSE": "0", "CATALOG_SWITCH_PRODUCT": "1", "CATALOG_SWITCH_WRONG": "0.1"}
    read = Settings.from_env(env)
    assert (read.switch_worse, read.switch_product, read.switch_wrong) == (0.0, 1.0, 0.1)
    for name in env:
        for value in ("-1", "1.1", "many"):
            with pytest.raises(ConfigError, match=f"{name}=.* from 0, at most 1"):
                Settings.from_env({name: value})


def test_photos_are_drawn_one_of_each_product_first_and_the_same_again() -> None:
    tea, milk = uuid.UUID(int=1), uuid.UUID(int=2)
    photos = [(tea, uuid.UUID(int=place)) for place in range(39)] + [(milk, uuid.UUID(int=39))]
    drawn = evenly(photos, 10)
    assert len(drawn) == 10 and drawn == evenly(iter(photos), 10)
    assert uuid.UUID(int=39) in drawn[:2], "one of each product first"
    assert set(drawn[:10]) != {photo for _, photo in photos[:10]}, "by lot"
    assert len(evenly(photos, 2000)) == 40
