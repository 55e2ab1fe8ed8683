"""A barcode of the catalog that a photo shows decides; where photo and barcode disagree a person does."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake, barcode_owners
from catalog.recognition import Match, recognize
from catalog.recognition.barcode_lookup import ByBarcode
from catalog.recognition.decision import by_barcode
from embedder.barcodes import gtin
from tests.support.bars import bars, symbol
from tests.support.drawn import DRAWN, front
from tests.support.pictures import encode

TEA, COFFEE = "4006381333931", "5901234123457"


def shown(*codes: str, photo: bytes | None = None) -> bytes:
    """A photo, or a grey ground, with barcodes on it."""
    ground = Image.open(io.BytesIO(photo)).convert("RGB") if photo else Image.new("RGB", (900, 700), (150, 140, 130))
    for place, code in enumerate(codes):
        ground.paste(bars(code), (30, 30 + 250 * place))
    return encode(ground, quality=90)


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    for sku, place, codes in (("TEA", 0, (TEA,)), ("COFFEE", 3, (COFFEE,)), ("BARE", 5, ())):
        facts = Facts(sku, f"Name of {sku}", barcodes=codes)
        products.create(catalog, facts, [NewPhoto("f.jpg", front(DRAWN[place]))], Intake("test"))
    return catalog


def test_a_barcode_decides_where_the_photo_says_nothing(filled: Catalog) -> None:
    answer = recognize(filled, shown(TEA))
    assert (answer.decision, answer.matches[0].sku, answer.decided_by) == ("match", "TEA", "barcode")
    found = answer.as_dict()
    assert found["barcodes"] == ["0" + TEA]
    assert found["matches"][0]["name"] == "Name of TEA"


def test_a_barcode_of_nobody_and_of_a_retired_product_decides_nothing(filled: Catalog) -> None:
    assert recognize(filled, shown("4012345678901")).decided_by == "embedding"
    products.set_active(filled, "TEA", False, actor="test")
    answer = recognize(filled, shown(TEA))
    assert answer.decided_by != "barcode"
    assert "TEA" not in [match.sku for match in answer.matches]


def test_two_of_our_barcodes_are_for_a_person(filled: Catalog) -> None:
    answer = recognize(filled, shown(TEA, COFFEE))
    assert (answer.decision, answer.decided_by) == ("ambiguous", "barcode")
    assert {match.sku for match in answer.matches[:2]} == {"TEA", "COFFEE"}


def weighed(digits: str) -> str:
    return digits[:12] + str(gtin.check_digit(digits[:12]))


@pytest.mark.parametrize("prefix", ["21", "02", "29"])
def test_a_weighed_pack_is_found_by_its_item_number(filled: Catalog, prefix: str) -> None:
    kept, other = (weighed(prefix + "12345" + weight + "0") for weight in ("00987", "01234"))
    barcode_owners.add(filled.database, "BARE", kept, actor="test")
    for number in (kept, other):
        answer = recognize(filled, shown(number))
        assert (answer.decision, answer.matches[0].sku, answer.decided_by) == ("match", "BARE", "barcode")
        assert answer.barcodes == ("0" + number,), "with the weight of this pack"
    assert recognize(filled, shown(weighed(prefix + "54321009870"))).decided_by != "barcode", "another item"
    listed = products.list_page(filled.database, products.Filter(other)).products
    assert [product.sku for product in listed] == ["BARE"]
    products.set_active(filled, "BARE", False, actor="test")
    assert recognize(filled, shown(other)).decided_by != "barcode"


def test_numbers_of_a_shop_that_weighs_nothing_count_whole(filled: Catalog) -> None:
    """Two products whose numbers begin alike: the last digits are no weight."""
    first, second, third = (weighed(f"21123450{last}0") for last in ("0001", "0002", "0003"))
    barcode_owners.add(filled.database, "BARE", first, actor="test")
    barcode_owners.add(filled.database, "TEA", second, actor="test")
    assert recognize(filled, shown(first)).matches[0].sku == "BARE"
    assert recognize(filled, shown(second)).matches[0].sku == "TEA"
    assert recognize(filled, shown(third)).decided_by != "barcode"


def test_a_digital_link_decides(filled: Catalog) -> None:
    ground = Image.new("RGB", (900, 700), (150, 140, 130))
    ground.paste(symbol(f"https://tea.example/01/{TEA.zfill(14)}/10/A", "QRCode"), (30, 30))
    answer = recognize(filled, encode(ground, quality=90))
    assert (answer.matches[0].sku, answer.decided_by, answer.barcodes) == ("TEA", "barcode", (TEA.zfill(14),))


def test_photo_and_barcode_that_disagree_are_both_answered() -> None:
    tea = [ByBarcode("TEA", "Tea", "0" + TEA, ())]
    seen = [Match("BARE", "Bare", 0.95, "b" * 64), Match("TEA", "Tea", 0.6, "t" * 64)]
    decision, matches = by_barcode(tea, seen, "match")
    assert (decision, [match.sku for match in matches]) == ("ambiguous", ["TEA", "BARE"])
    assert matches[0].score == 0.6
    # A photo that is not sure is no evidence against it, nor one that says the same.
    assert by_barcode(tea, seen, "ambiguous")[0] == "match"
    assert by_barcode(tea, seen[1:], "match")[0] == "match"
    # One that the photo does not come near to is answered all the same.
    decision, matches = by_barcode(tea, seen[:1], "unknown")
    assert (decision, matches[0].sku, matches[0].score, matches[0].photo) == ("match", "TEA", 0.0, "")


def test_a_photo_of_one_product_with_the_barcode_of_another_is_for_a_person(filled: Catalog) -> None:
    answer = recognize(filled, shown(TEA, photo=front(DRAWN[5])))
    assert (answer.decision, answer.decided_by) == ("ambiguous", "barcode")
    assert {match.sku for match in answer.matches[:2]} == {"TEA", "BARE"}
