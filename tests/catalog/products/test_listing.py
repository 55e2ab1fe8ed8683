"""The product list: search, filters, orders and pages, on both databases."""

from __future__ import annotations

import itertools
import random
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from catalog import backup, products
from catalog.catalog import Catalog
from catalog.errors import InvalidInputError
from catalog.normalization import folded
from catalog.products import Facts, Filter, Intake
from catalog.products.facts import describe
from catalog.products.searching import distance, errors_allowed, kept_parts
from catalog.storage.tables import Barcode, Label, Photo, Product, RecognitionEntry
from tests.support.steps import create, shots


def fill(catalog: Catalog, *facts: Facts) -> None:
    """Products without photos, each a second newer than the one before."""
    with catalog.database.write() as session:
        for at, each in enumerate(facts):
            moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=at)
            product = Product(sku=each.sku, photos=[], labels=[], created_at=moment)
            describe(product, each)
            product.barcodes = [Barcode(gtin=gtin) for gtin in each.barcodes]
            session.add(product)


def found(catalog: Catalog, search: str = "", order: products.Order = "sku", **only: Any) -> list[str]:
    page = products.list_page(catalog.database, Filter(search, **only), order=order)
    assert page.total == len(page.products)
    return [product.sku for product in page.products]


def test_words_are_found_in_any_order_without_accents_and_capitals(catalog: Catalog) -> None:
    fill(
        catalog,
        Facts("A", "Café Crème", "Nestlé", "Drinks"),
        Facts("B", "Weißbier", "Müller", "Bier"),
        Facts("C", "Κρασί λευκό", "Οίνος", "Wine"),
        Facts("D", "Ёжик в тумане", "Союзмультфильм", "Films"),
        Facts("E", "緑茶 ペットボトル", "伊藤園", "Tea"),
        Facts("F", "हिन्दी चाय", "", "Tea"),
        Facts("G", "Smørrebrød", "Łódź", "Food"),
        Facts("H", "\uff26\uff35\uff2c\uff2c width", "", "Soft\u00adhyphen"),
    )
    for search, skus in (
        *(("cafe", "A"), ("CREME cafe", "A"), ("drinks nestle creme", "A"), ("crème tea", "")),
        *(("weissbier", "B"), ("WEIẞBIER", "B"), ("muller", "B"), ("bier müller", "B")),
        *(("κρασι", "C"), ("ΟΙΝΟΣ ΛΕΥΚΟ", "C"), ("ежик", "D"), ("ЁЖИК тумане", "D")),
        *(("緑茶", "E"), ("伊藤園 ペット", "E"), ("緑", "E"), ("ヘット", ""), ("चाय हिन्दी", "F"), ("हन", "")),
        *(("smorrebrod lodz", "G"), ("full width", "H"), ("softhyphen", "H")),
    ):
        assert found(catalog, search) == list(skus), search


def test_typing_errors_are_forgiven_when_little_is_found(catalog: Catalog) -> None:
    fill(
        catalog,
        Facts("A", "Chocolate bar", "Cadbury"),
        Facts("B", "Vanilla pudding", "Choco Ltd"),
        Facts("C", "Milk 1 l", "Alpine"),
        Facts("D", "Silk scarf", "Alpine"),
        Facts("E", "Tea", "X100Y"),
        Facts("F", "Груша", "Сады"),
    )
    for search, skus in (
        *(("chocolte", "A"), ("chcoolate", "A"), ("chokolatte", "A"), ("xhocolatr", "A"), ("choxxxate", "")),
        *(("bar chocolaet", "A"), ("pudding vanila", "B"), ("vanila bar", "")),
        *(("mlik", "C"), ("millk", "C"), ("milk", "CD"), ("tee", ""), ("taa", "")),  # no word of three letters
        *(("x101y", ""), ("грушка", "F"), ("alpina", "CD")),
    ):
        assert found(catalog, search) == list(skus), search
    page = products.list_page(catalog.database, Filter("milk"))
    assert ([each.sku for each in page.products], page.guessed) == (["C", "D"], True)
    assert not products.list_page(catalog.database, Filter("alpine")).guessed


def test_exact_hits_come_first_and_enough_of_them_come_alone(catalog: Catalog) -> None:
    fill(catalog, Facts("Z", "milk"), Facts("A", "silk"), Facts("B", "mild"))
    assert found(catalog, "milk") == ["Z", "A", "B"]
    assert found(catalog, "milk", "name") == ["Z", "B", "A"], "exact ones first, then by name"
    fill(catalog, Facts("M1", "milk"), Facts("M2", "milk"))
    assert found(catalog, "milk") == ["M1", "M2", "Z"]


def test_a_skus_start_comes_before_other_words(catalog: Catalog) -> None:
    fill(catalog, Facts("A", "tea"), Facts("TEA-2", "pot"), Facts("Tea-1", "cup"), Facts("X TEA-3", "tin"))
    assert found(catalog, "tea") == ["TEA-2", "Tea-1", "A", "X TEA-3"] or found(catalog, "tea") == [
        "Tea-1",
        "TEA-2",
        "A",
        "X TEA-3",
    ], "SKUs as the database sorts them"


def test_a_whole_barcode_finds_its_owner_alone(catalog: Catalog) -> None:
    fill(catalog, Facts("A", "tea", barcodes=("04006381333931",)), Facts("B", "coffee", barcodes=("04006381333948",)))
    assert found(catalog, "4006381333931") == ["A"]
    assert found(catalog, "4006381333931", category="Tea") == []
    assert found(catalog, "400638133393") == []


def test_any_text_can_be_searched(catalog: Catalog) -> None:
    fill(catalog, Facts("A_1%", "100% [pure] *juice*", 'O\'Neil "quoted" \\ back'), Facts("B", "plain"))
    odd = ("%", "_", "\\", "'", '"', "*", "[", "a_1%", "100% pure", "NEAR", "AND", "juice* OR", "-juice", "\x00", "(")
    literal = {
        "%": "A",
        "_": "A",
        "\\": "A",
        "'": "A",
        '"': "A",
        "*": "A",
        "[": "A",
        "100% pure": "A",
        "a_1%": "A",
        "\x00": "AB",
    }
    for text in odd:
        assert [sku[0] for sku in found(catalog, text)] == list(literal.get(text, "")), text
    for text in (
        "x" * 5000,
        "é" * 5000,
        "word " * 5000,
        "ﷺ" * 500,
        "\u0301",
        "\u200d",
        "٣" * 30,
        "\ud800",
        "🍎🍏" * 99,
    ):
        assert len(found(catalog, text)) in (0, 2), text[:5]
    with catalog.database.write() as session:  # what folding makes long fits the index, too
        long = Product(sku="L" * 64, name="ﷺ" * 200, photos=[], labels=[])
        describe(long, Facts("L" * 64, "ﷺ" * 200, "ΐ" * 100, "\U0001d51e" * 100))
        session.add(long)
    assert found(catalog, "L" * 64) == ["L" * 64]


@pytest.mark.parametrize("word", ["milk", "pasta", "cheese", "spinach", "potatoes", "chocolate", "marmalades"])
def test_every_text_with_as_many_errors_has_a_part_that_is_kept(word: str) -> None:
    errors = errors_allowed(word)
    once = with_an_error(word)
    assert {distance(word, text, 1) for text in once} == {0, 1}  # 0: a letter more at the end
    twice = set(itertools.chain.from_iterable(map(with_an_error, once))) if errors == 2 else set()
    counted = {text for text in twice if distance(word, text, 2) <= 2}
    assert len(counted) >= 0.9 * len(twice)  # but not a letter between two that were exchanged
    for text in once | counted:
        assert any(part in text for part in kept_parts(word, errors)), text
    assert distance(word, "zz" + word[2:][::-1] + "zz", errors) == errors + 1


def with_an_error(word: str) -> set[str]:
    cuts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    return {
        *(head + tail[1:] for head, tail in cuts if tail),
        *(f"{head}x{tail}" for head, tail in cuts),
        *(f"{head}x{tail[1:]}" for head, tail in cuts if tail),
        *(head + tail[1] + tail[0] + tail[2:] for head, tail in cuts if len(tail) > 1),
    }


def test_folding_twice_changes_nothing() -> None:
    for text in ("ΐ İ \u0131 ẞ ﬁ Å ǆ ﷺ ᾳ ѐ 한국어 が ﾊﾞ é", "Ç\u0327\u0301", "\u1e9b\u0323", "ϓ"):
        assert folded(folded(text)) == folded(text), text


def test_filters_in_any_combination(catalog: Catalog) -> None:
    for number, (category, brand, label) in enumerate(itertools.product(("Tea", "Food"), ("X", ""), ("s1", "s2"))):
        facts = Facts(f"P{number}", f"name {number}", brand, category, labels=(label,))
        products.create(catalog, facts, shots(number, *([number + 20] if number % 2 else [])), Intake("anna"))
    answered(catalog, "P0", 1)
    products.set_active(catalog, "P7", False, actor="anna")
    with catalog.database.write() as session:
        of = select(Product.id).where(Product.sku.in_(["P1", "P7"]))
        session.execute(update(Photo).where(Photo.product_id.in_(of)).values(status="overruled", warnings=["dark"]))
    catalog.gallery.on = False
    products.add_photos(catalog, "P2", shots(40), Intake("anna"))
    catalog.gallery.on = True
    for only, skus in (
        ({}, "0123456"),
        ({"retired": True}, "7"),
        ({"category": "Tea"}, "0123"),
        ({"brand": "X"}, "0145"),
        ({"label": "s2"}, "135"),
        ({"category": "Tea", "brand": "X", "label": "s2"}, "1"),
        ({"few_photos": 2}, "046"),
        ({"few_photos": 2, "category": "Tea"}, "0"),
        ({"never_recognized": True, "few_photos": 2}, "46"),
        ({"with_warnings": True}, "1"),
        ({"with_warnings": True, "retired": True}, "7"),
        ({"pending": True}, "2"),
        ({"pending": True, "brand": "X"}, ""),
        ({"search": "name", "label": "s1", "few_photos": 2}, "046"),
        ({"search": "nmae", "label": "s1", "never_recognized": True}, "246"),
    ):
        assert found(catalog, **only) == [f"P{number}" for number in skus], only


def answered(catalog: Catalog, sku: str, times: int, *, minute: int = 0) -> None:
    """Answers to tills that matched a product, the last in this minute of the first day of 2026."""
    with catalog.database.write() as session:
        of = session.scalars(select(Product.id).where(Product.sku == sku)).one()
        facts = {"decision": "match", "decided_by": "embedding", "bundle_id": "0" * 12, "milliseconds": 1.0}
        last = datetime(2026, 1, 1, 10, minute, tzinfo=UTC)
        session.add_all(
            RecognitionEntry(id=uuid.uuid4(), product_id=of, sku=sku, at=last - timedelta(hours=at), **facts)
            for at in range(times)
        )


def test_orders(catalog: Catalog) -> None:
    fill(
        catalog, Facts("A", "Zebra"), Facts("B", "äpfel"), Facts("C", "Birne"), Facts("D", "apfel"), Facts("E", "birne")
    )
    answered(catalog, "A", 1, minute=5)
    answered(catalog, "C", 3, minute=1)
    answered(catalog, "E", 1, minute=5)
    expected = {"sku": "ABCDE", "name": "BDCEA", "newest": "EDCBA", "recent": "AECBD", "most": "CAEBD"}
    assert {order: "".join(found(catalog, order=order)) for order in products.ORDERS} == expected


@pytest.mark.parametrize("order", products.ORDERS)
def test_pages_lead_forward_and_back_without_a_gap(catalog: Catalog, order: products.Order) -> None:
    rng = random.Random(3)
    names = ("Milk", "milk", "Mílk", 'a "quote", [1]', "silk")
    fill(catalog, *(Facts(f"S{number:02}", rng.choice(names)) for number in range(23)))
    with catalog.database.write() as session:  # many products of one moment
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        session.execute(update(Product).where(Product.sku < "S15").values(created_at=moment))
    for number in range(0, 23, 3):
        answered(catalog, f"S{number:02}", 1 + number % 2, minute=number % 4)
    for search in ("", "milk", "quote", "s"):
        only = Filter(search)
        whole = [each.sku for each in products.list_page(catalog.database, only, order=order).products]
        assert len(set(whole)) == len(whole) >= 3
        seen: list[list[str]] = []
        page = products.list_page(catalog.database, only, order=order, limit=4)
        while True:
            seen.append([each.sku for each in page.products])
            assert page.total == len(whole)
            if page.next_key is None:
                break
            page = products.list_page(catalog.database, only, order=order, after=page.next_key, limit=4)
        assert list(itertools.chain.from_iterable(seen)) == whole
        back = [seen[-1]]
        while page.previous_key is not None:
            page = products.list_page(catalog.database, only, order=order, before=page.previous_key, limit=4)
            back.insert(0, [each.sku for each in page.products])
        assert back == seen


@pytest.mark.parametrize("order", products.ORDERS)
def test_a_list_is_gone_through_by_keys(catalog: Catalog, order: products.Order) -> None:
    fill(catalog, *(Facts(f"P{number}", ("Tea", "Coffee")[number % 2], "Acme") for number in range(6)))
    answered(catalog, "P3", 2)
    answered(catalog, "P1", 1, minute=5)
    only = Filter("acme")
    page = products.list_page(catalog.database, only, order=order)
    skus = [product.sku for product in page.products]
    ends = [None, *skus, None]
    for number, (sku, key) in enumerate(zip(skus, page.keys, strict=True)):
        before, after = products.beside(catalog.database, only, key, order=order, sku=sku)
        assert [near and near.sku for near in (before, after)] == [ends[number], ends[number + 2]]
        assert before is None or before.key == page.keys[number - 1]
    key, gone = page.keys[2], skus[2]
    products.change(catalog.database, Facts(gone, "Renamed", "Other"), actor="anna")
    near = products.beside(catalog.database, only, key, order=order, sku=gone)
    assert [one.sku for one in near if one] == [skus[1], skus[3]], "from where it was, though it left the list"
    for none in ("", "[1]" if order != "sku" else "", "x" if order == "name" else ""):
        assert products.beside(catalog.database, only, none, order=order) == (None, None)


def test_a_key_that_is_none_is_the_start(catalog: Catalog) -> None:
    fill(catalog, *(Facts(f"S{number}", "n") for number in range(3)))
    cut = (
        '["n","S0"',
        '[null,"S0"]',
        '["\ud800",{}]',
        '[-1,"S0"]',
        "[1e99,1]",
        '[true,"S0"]',
    )
    for key in ("x", "[", "[" * 5000, "null", "[1]", "\x00", *cut):
        for order in ("name", "newest", "recent", "most"):
            page = products.list_page(catalog.database, order=order, after=key)  # type: ignore[arg-type]
            assert (page.previous_key, len(page.products)) == (None, 3), (order, key)
    late = products.list_page(catalog.database, order="newest", after='["9999-12-31T23:59:59-01:00","S0"]')
    assert (late.previous_key, len(late.products)) == (None, 3), "no moment of UTC"
    page = products.list_page(catalog.database, before="A")
    assert [each.sku for each in page.products] == ["S0", "S1", "S2"], "nothing is before it: the start"


def test_a_change_is_found_at_once(catalog: Catalog) -> None:
    create(catalog, "A", 1, name="Café")
    products.change(catalog.database, Facts("A", "Thé vert", "Brü"), actor="anna")
    assert (found(catalog, "cafe"), found(catalog, "the bru")) == ([], ["A"])
    products.rename(catalog, "A", "Ö-1", actor="anna")
    assert (found(catalog, "o-1"), found(catalog, "", "name")) == (["Ö-1"], ["Ö-1"])
    create(catalog, "B", 2, name="Kräuter")
    products.merge(catalog, "Ö-1", "B", actor="anna")
    assert (found(catalog, "krauter"), found(catalog, "o-1")) == (["B"], [])


def test_what_an_older_version_wrote_is_found_when_its_backup_is_restored(
    catalog: Catalog, target: Catalog, out: Path
) -> None:
    fill(catalog, Facts("A", "Café"))
    with catalog.database.write() as session:
        session.execute(update(Product).values(search="a\ncafé\n\n", name_key=""))
    backup.back_up(catalog, out)
    backup.restore(target, out, actor="anna")
    assert found(target, "cafe") == ["A"]
    with target.database.read() as session:
        assert session.scalars(select(Product.name_key)).all() == ["cafe"]


def test_what_filters_offer(catalog: Catalog) -> None:
    fill(catalog, Facts("A", "a", "X", "Tea"), Facts("B", "b", "X"), Facts("C", "c", "Y", "Food"))
    with catalog.database.write() as session:
        session.add(Label(product_id=session.scalars(select(Product.id).where(Product.sku == "A")).one(), name="s1"))
        assert session.scalar(select(func.count()).select_from(Label)) == 1
    offered = products.facets(catalog.database)
    assert offered == products.Facets({"Food": 1, "Tea": 1}, {"X": 2, "Y": 1}, {"s1": 1})
    assert [list(each) for each in (offered.categories, offered.brands)] == [["Food", "Tea"], ["X", "Y"]]
    for sku in "AB":
        products.set_active(catalog, sku, False, actor="anna")
    assert products.facets(catalog.database) == products.Facets({"Food": 1}, {"Y": 1}, {})


@pytest.mark.parametrize(("only", "most"), [(Filter(), 5), (Filter(category="Tea"), 5), (Filter("green tea"), 6)])
def test_a_page_asks_the_database_a_few_times(catalog: Catalog, statements: list[str], only: Filter, most: int) -> None:
    """Each statement is a way to the server and back: what the page shows, the figures above it, and its filters."""
    fill(catalog, *(Facts(f"S{number}", "Green tea", "X", "Tea") for number in range(4)))
    statements.clear()
    products.counts(catalog.database)
    products.facets(catalog.database)
    assert len(statements) == 2
    assert len(products.list_page(catalog.database, only).products) == 4
    assert len(statements) - 2 <= most


def parts(catalog: Catalog, only: Filter, order: products.Order, between: Any = lambda: None) -> list[str]:
    """The SKUs of a list, two at a time; `between` is called after each part."""
    skus, cursor = [], ""
    while cursor is not None:
        part = products.list_part(catalog.database, only, order=order, cursor=cursor, limit=2)
        skus += [product.sku for product in part.products]
        cursor = part.cursor
        between()
    return skus


@pytest.mark.parametrize("order", ["sku", "name", "newest"])
@pytest.mark.parametrize("search", ["", "tea"])
def test_a_list_is_read_to_its_end_while_products_come_and_go(
    catalog: Catalog, order: products.Order, search: str
) -> None:
    fill(catalog, *(Facts(f"M{n}", f"tea {n % 3}") for n in range(9)))
    numbers = itertools.count()

    def change() -> None:
        if (number := next(numbers)) < 5:
            fill(catalog, *(Facts(f"{letter}{90 + number}", "tea 1") for letter in "AMZ"))

    skus = parts(catalog, Filter(search), order, change)
    assert len(set(skus)) == len(skus) and {f"M{n}" for n in range(9)} <= set(skus)


def test_parts_hold_whole_products_of_both_states(catalog: Catalog) -> None:
    create(catalog, "A", 1, 2)
    products.barcode_owners.add(catalog.database, "A", "4006381333931", actor="test")
    create(catalog, "B", 3)
    products.set_active(catalog, "B", False, actor="test")
    assert parts(catalog, Filter(retired=None), "sku") == ["A", "B"]
    assert parts(catalog, Filter(search="b", retired=None), "sku") == ["B"]
    part = products.list_part(catalog.database, Filter(retired=None), limit=1)
    (product,) = part.products
    assert ([each.width for each in product.photos], part.total) == ([320, 320], 2)
    assert products.tag(product) == products.tag(products.get(catalog.database, "A"))
    assert [barcode.gtin for barcode in product.barcodes] == ["04006381333931"]


def test_a_cursor_of_another_list_or_none_is_refused(catalog: Catalog) -> None:
    fill(catalog, *(Facts(f"M{n}") for n in range(3)))
    cursor = products.list_part(catalog.database, limit=1).cursor
    assert cursor
    for wrong in ("x", cursor[:-1] + "!", "é", "W10", "bnVsbA", "eyJhIjoxfQ", cursor + "AAAA", "WyJhIiwiYiJd"):
        with pytest.raises(InvalidInputError) as told:
            products.list_part(catalog.database, cursor=wrong)
        assert told.value.field == "cursor"
    with pytest.raises(InvalidInputError):
        products.list_part(catalog.database, Filter(category="x"), cursor=cursor)
    with pytest.raises(InvalidInputError):
        products.list_part(catalog.database, order="name", cursor=cursor)
