from __future__ import annotations

import dataclasses

import pytest

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.errors import InvalidInputError
from catalog.products import Facts, Intake, barcode_owners
from catalog.recognition import Scope, barcode_lookup, recognize
from embedder import images
from tests.support.drawn import DRAWN, front, small_and_turned
from tests.support.pictures import jpeg
from tests.support.steps import create, create_each, shots


def skus(catalog: Catalog, seed: int, among: Scope) -> list[str]:
    return [match.sku for match in recognize(catalog, jpeg(seed), among=among).matches]


def test_a_till_is_answered_from_its_own_set(catalog: Catalog) -> None:
    create_each(catalog, 1, 2, 3, 4)
    for sku, names in (("S1", ["bakery"]), ("S2", ["bakery", "kiosk"]), ("S3", ["kiosk"])):
        products.set_labels(catalog.database, sku, names, actor="anna")
    assert skus(catalog, 1, Scope())[0] == "S1"
    assert skus(catalog, 1, Scope(labels=("bakery",)))[0] == "S1"
    assert set(skus(catalog, 1, Scope(labels=("bakery",)))) == {"S1", "S2"}
    assert set(skus(catalog, 1, Scope(labels=("kiosk",)))) == {"S2", "S3"}
    assert set(skus(catalog, 1, Scope(labels=("kiosk",), skus=("S4",)))) == {"S2", "S3", "S4"}
    assert skus(catalog, 1, Scope(skus=("S4",))) == ["S4"]
    assert recognize(catalog, jpeg(1), among=Scope(labels=("bakery",))).decision == "match"


def test_a_set_whose_products_are_retired_is_empty_and_no_error(catalog: Catalog) -> None:
    create_each(catalog, 1, 2)
    products.set_labels(catalog.database, "S1", ["bakery"], actor="anna")
    products.set_active(catalog, "S1", False, actor="anna")
    assert skus(catalog, 1, Scope(labels=("bakery",))) == []


def test_a_set_that_there_is_not(catalog: Catalog) -> None:
    create_each(catalog, 1)
    for among, field in ((Scope(labels=("backery",)), "label"), (Scope(skus=("S1", "S9")), "sku")):
        with pytest.raises(InvalidInputError) as caught:
            recognize(catalog, jpeg(1), among=among)
        assert caught.value.field == field


@pytest.mark.slow
def test_many_neighbours_outside_of_the_set_hide_none_of_it(catalog: Catalog) -> None:
    # 60 photos of one product are nearer than the only one of the set: more than the first search asks for.
    products.create(catalog, Facts("many"), shots(*range(100, 150)), Intake("anna"))
    products.add_photos(catalog, "many", shots(*range(150, 160)), Intake("anna", check="off", read_barcodes=False))
    create(catalog, "one", 1)
    assert skus(catalog, 100, Scope(skus=("one",))) == ["one"]


def test_the_second_look_stays_within_the_set(catalog: Catalog) -> None:
    catalog = dataclasses.replace(catalog, settings=dataclasses.replace(catalog.settings, second_look="always"))
    for product in DRAWN[:3]:
        products.create(catalog, Facts(product.sku), [NewPhoto("front.jpg", front(product))], Intake("anna"))
    photo = small_and_turned(DRAWN[0])
    everything = recognize(catalog, photo)
    assert (everything.matches[0].sku, everything.decided_by) == (DRAWN[0].sku, "details")
    others = Scope(skus=tuple(product.sku for product in DRAWN[1:3]))
    answer = recognize(catalog, photo, among=others)
    assert DRAWN[0].sku not in {match.sku for match in answer.matches}
    assert answer.decision != "match"


def test_a_barcode_of_another_set_does_not_decide(catalog: Catalog) -> None:
    create_each(catalog, 1, 2)
    barcode_owners.add(catalog.database, "S1", "4006381333931", actor="anna")
    assert barcode_lookup.find_product(catalog.database, images.decode(jpeg(1)), frozenset()) == []


def test_of_a_set_no_more_is_asked_for_than_it_has(catalog: Catalog, asked: list[int]) -> None:
    products.create(catalog, Facts("many"), shots(*range(100, 150)), Intake("anna", check="off", read_barcodes=False))
    products.add_photos(catalog, "many", shots(*range(150, 160)), Intake("anna", check="off", read_barcodes=False))
    create_each(catalog, 1, 2)
    asked.clear()  # adding photos searches, too
    assert skus(catalog, 100, Scope(skus=("many",))) == ["many"]
    assert asked == [50]
