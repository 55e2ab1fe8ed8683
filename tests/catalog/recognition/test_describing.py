"""What a person is told about each match, and what tells look-alikes apart."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from PIL import Image

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from catalog.recognition import Evidence, Match, recognize
from catalog.recognition.answer import Recognition
from catalog.recognition.describing import describe
from embedder.matching import Agreement, LocalFeatures
from tests.catalog.recognition.test_barcode_lookup import COFFEE, TEA, shown
from tests.support.drawn import DRAWN, front, side_by_side, small_and_turned
from tests.support.pictures import encode, jpeg


def create(catalog: Catalog, facts: Facts, *photos: bytes) -> products.AddResult:
    return products.create(catalog, facts, [NewPhoto("a.jpg", photo) for photo in photos], Intake("test"))


def ambiguous(*matches: Match) -> Recognition:
    return Recognition("ambiguous", list(matches), "bundle", 1.0, np.zeros(2, np.float32))


def test_a_match_has_the_facts_of_its_product_and_the_photo_that_it_rests_on(catalog: Catalog) -> None:
    facts = Facts("TEA", "Tea", "Leaf", "Drinks", (TEA, COFFEE), variant_group="TEAS")
    first, second = create(catalog, facts, jpeg(1), jpeg(2)).photos
    for seed, photo in ((1, first), (2, second)):
        [match] = recognize(catalog, jpeg(seed)).as_dict()["matches"]
        assert match["photo"] == {"id": str(photo.id), "sha256": photo.sha256}
        assert match["barcodes"] == ["0" + TEA, "0" + COFFEE]
        assert (match["brand"], match["category"], match["variant_group"]) == ("Leaf", "Drinks", "TEAS")
        assert match["differs"] is None


@pytest.fixture
def packs(catalog: Catalog) -> Catalog:
    """Eight drawn packs, with time enough for the second look however busy the machine is."""
    catalog = dataclasses.replace(catalog, settings=dataclasses.replace(catalog.settings, second_look_ms=60_000))
    for place in range(8):
        create(catalog, Facts(DRAWN[place].sku), front(DRAWN[place]), jpeg(100 + place))
    return catalog


def test_a_match_by_details_rests_on_the_photo_of_its_evidence(packs: Catalog) -> None:
    packs = dataclasses.replace(packs, settings=dataclasses.replace(packs.settings, second_look="always"))
    answer = recognize(packs, small_and_turned(DRAWN[0]))
    assert answer.decided_by == "details" and answer.timings["second_look"] > 0
    match = answer.as_dict()["matches"][0]
    [front_photo, _] = products.get(packs.database, DRAWN[0].sku).photos
    assert match["evidence"]["photo"] == match["photo"]["sha256"] == front_photo.sha256
    assert match["photo"]["id"] == str(front_photo.id)


def test_a_match_by_barcode_alone_is_shown_by_the_photo_that_comes_first(catalog: Catalog) -> None:
    cover = create(catalog, Facts("TEA", "Tea", barcodes=(TEA,)), jpeg(1), jpeg(2)).photos[1]
    products.set_cover(catalog.database, "TEA", cover.id, actor="test")
    for seed in range(3, 9):
        create(catalog, Facts(f"NEAR-{seed}"), encode(Image.new("RGB", (300, 300), (150, 140, 120 + 3 * seed))))
    found = recognize(catalog, shown(TEA))
    assert found.decided_by == "barcode" and found.matches[0].sku == "TEA"
    if found.matches[0].score == 0:
        assert (found.matches[0].photo, found.matches[0].photo_id) == (cover.sha256, cover.id)
    # The same of a match that rests on no photo for certain.
    [match] = describe(catalog.database, ambiguous(Match("TEA", "Tea", 0.0, ""))).matches
    assert (match.photo, match.photo_id, match.product.barcodes) == (cover.sha256, cover.id, ("0" + TEA,))
    nobody = describe(catalog.database, ambiguous(Match("GONE", "Gone", 0.0, ""))).as_dict()["matches"][0]
    assert (nobody["photo"], nobody["barcodes"], nobody["brand"]) == (None, [], "")


def test_what_tells_look_alikes_apart(catalog: Catalog) -> None:
    red = Facts(
        "RED", "KIBO Fizz Soda Orange, 330 ml", "KIBO", "Drinks", variant_group="FIZZ", attributes={"l": "0.33"}
    )
    blue = Facts(
        "BLUE", "Kibo Fizz soda LEMON, 330 ml", "Kibo", "Sodas", variant_group="FIZZ", attributes={"diet": "1"}
    )
    plain = Facts("PLAIN", "Water")
    for seed, facts in enumerate((red, blue, plain)):
        create(catalog, facts, jpeg(seed))
    matches = [Match(facts.sku, facts.name, 0.9, "a" * 64) for facts in (red, blue, plain)]
    first, second, third = describe(catalog.database, ambiguous(*matches)).as_dict()["matches"]
    assert first["differs"] == {
        "other": "BLUE",
        "facts": [
            {"fact": "name", "value": "Orange", "other": "LEMON"},
            {"fact": "category", "value": "Drinks", "other": "Sodas"},
            {"fact": "attribute:diet", "value": "", "other": "1"},
            {"fact": "attribute:l", "value": "0.33", "other": ""},
        ],
        "places": [],
    }
    assert second["differs"]["facts"][0] == {"fact": "name", "value": "LEMON", "other": "Orange"}
    assert (second["differs"]["other"], third["differs"]["other"]) == ("RED", "RED")
    assert {"fact": "variant_group", "value": "", "other": "FIZZ"} in third["differs"]["facts"]


def test_where_the_photo_tells_them_apart(packs: Catalog) -> None:
    answer = recognize(packs, side_by_side(DRAWN[1], DRAWN[4]))
    assert answer.decision == "ambiguous"
    sides: dict[str, Any] = {}
    for match in answer.as_dict()["matches"][:2]:
        places = np.array(match["differs"]["places"])
        assert 10 <= len(places) <= 20 and places.min() >= 0 and places.max() <= 1
        sides[match["sku"]] = np.median(places[:, 0])
    assert sides[DRAWN[1].sku] < 0.5 < sides[DRAWN[4].sku]


def test_places_are_those_of_one_match_alone_and_of_the_photo_as_it_is(catalog: Catalog) -> None:
    points = np.array([(10, 20, 1, 0), (20, 20, 1, 0), (30, 40, 1, 0)], np.float32)
    details = LocalFeatures(points, np.zeros((3, 128), np.uint8), 100, 50)

    def evidence(*agreeing: int, mirrored: bool) -> Evidence:
        pairs = np.array([(point, 0) for point in agreeing], np.intp)
        return Evidence("a" * 64, Agreement(len(pairs), pairs=pairs), details, mirrored=mirrored)

    for mirrored, first in ((False, [[0.1, 0.4], [0.3, 0.8]]), (True, [[0.9, 0.4], [0.7, 0.8]])):
        one = Match("A", "A", 0.9, "a" * 64, evidence=evidence(2, 0, 1, mirrored=mirrored))
        other = Match("B", "B", 0.9, "b" * 64, evidence=evidence(1, mirrored=mirrored))
        answer = dataclasses.replace(ambiguous(one, other), details=details)
        told = [match["differs"]["places"] for match in describe(catalog.database, answer).as_dict()["matches"]]
        assert told == [first, []]


def test_one_match_is_told_from_the_next_though_that_is_not_wanted(catalog: Catalog) -> None:
    create(catalog, Facts("A", "Red tea"), jpeg(1))
    create(catalog, Facts("B", "Green tea"), jpeg(1))
    answer = recognize(catalog, jpeg(1), limit=1)
    assert answer.decision == "ambiguous" and len(answer.matches) == 1
    [differs] = [match["differs"] for match in answer.as_dict()["matches"]]
    assert differs["facts"][0]["fact"] == "name" and {differs["facts"][0][side] for side in ("value", "other")} == {
        "Red",
        "Green",
    }


def test_all_facts_are_asked_for_in_one_statement(catalog: Catalog, statements: list[str]) -> None:
    for seed in range(6):
        create(catalog, Facts(f"S{seed}"), jpeg(seed))
    counts = []
    for limit in (1, 20):
        statements.clear()
        recognize(catalog, jpeg(1), limit=limit)
        counts.append(sum("variant_group" in statement for statement in statements))
    assert counts == [1, 1]
