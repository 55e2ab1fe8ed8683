from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.errors import BarcodeTakenError, InvalidInputError, NotFoundError
from catalog.products import AddResult, Facts, FoundBarcode, Intake, barcode_owners
from catalog.recognition import barcode_lookup
from catalog.storage import content_hash
from catalog.storage.tables import AuditEntry
from embedder import barcodes, images
from embedder.barcodes import gtin
from embedder.errors import ImageError
from tests.support.bars import EAN8, EAN13, OTHER, UPCA, bars, pack, photo
from tests.support.pictures import bad_files, encode, jpeg
from tests.support.steps import create, rows, shots

GTIN, GTIN_OTHER = "0" + EAN13, "0" + OTHER


def add(catalog: Catalog, sku: str, data: bytes, *numbers: str) -> AddResult:
    return products.create(catalog, Facts(sku, barcodes=numbers), [NewPhoto("photo.jpg", data)], Intake("anna"))


def of(catalog: Catalog, sku: str) -> list[str]:
    return [barcode.gtin for barcode in products.get(catalog.database, sku).barcodes]


def audited(catalog: Catalog) -> list[tuple[str, str, Any, Any]]:
    with catalog.database.read() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [
            (e.actor, e.action, e.before and e.before["barcodes"], e.after and e.after["barcodes"]) for e in entries
        ]


def test_a_person_gives_barcodes(catalog: Catalog) -> None:
    added = add(catalog, "A", jpeg(1), "4 006381 333931", UPCA, "0" + UPCA)
    assert added.barcodes == (f"00{UPCA}", GTIN), "one form, every one once"
    assert of(catalog, "A") == [f"00{UPCA}", GTIN]
    products.change(catalog.database, Facts("A", "A", barcodes=(EAN8, EAN13)), actor="ben")
    assert of(catalog, "A") == [f"000000{EAN8}", f"00{UPCA}", GTIN]
    assert audited(catalog) == [
        ("anna", "product.create", None, [f"00{UPCA}", GTIN]),
        ("ben", "product.change", [f"00{UPCA}", GTIN], [f"000000{EAN8}", f"00{UPCA}", GTIN]),
    ]


@pytest.mark.parametrize("wrong", ["4006381333932", "tea", "123", ""])
def test_a_barcode_that_is_none_writes_nothing(catalog: Catalog, wrong: str) -> None:
    create(catalog, "there", 1)
    for call in (
        lambda: add(catalog, "A", jpeg(2), EAN13, wrong),
        lambda: products.change(catalog.database, Facts("there", "new name", barcodes=(EAN13, wrong)), actor="anna"),
        lambda: barcode_owners.add(catalog.database, "there", wrong, actor="anna"),
        lambda: barcode_owners.remove(catalog.database, "there", wrong, actor="anna"),
    ):
        with pytest.raises(InvalidInputError) as caught:
            call()
        assert caught.value.field == "barcode"
    assert rows(catalog)["product"] == 1
    assert (products.get(catalog.database, "there").name, of(catalog, "there")) == ("there", [])


def test_more_barcodes_than_anybody_has(catalog: Catalog) -> None:
    many = tuple(f"{number:012}{gtin.check_digit(f'{number:012}')}" for number in range(1, 52))
    with pytest.raises(InvalidInputError, match="51 barcodes"):
        add(catalog, "A", jpeg(1), *many)


def test_a_barcode_belongs_to_one_product(catalog: Catalog) -> None:
    add(catalog, "A", jpeg(1), EAN13)
    create(catalog, "B", 2)
    products.set_active(catalog, "A", False, actor="anna")  # a retired product can come back
    for call in (
        lambda: add(catalog, "C", jpeg(3), EAN8, EAN13),
        lambda: products.change(catalog.database, Facts("B", "new name", barcodes=(EAN8, EAN13)), actor="anna"),
        lambda: barcode_owners.add(catalog.database, "B", EAN13, actor="anna"),
    ):
        with pytest.raises(BarcodeTakenError, match=f"{EAN13} belongs to the product 'A'") as caught:
            call()
        assert (caught.value.gtin, caught.value.sku, caught.value.code) == (GTIN, "A", "barcode_taken")
    assert rows(catalog)["product"] == 2
    assert (products.get(catalog.database, "B").name, of(catalog, "B")) == ("B", [])
    with pytest.raises(NotFoundError):
        catalog.photos.get(content_hash(jpeg(3)))


def test_adding_and_removing(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    barcode_owners.add(catalog.database, "A", EAN13, actor="ben")
    barcode_owners.add(catalog.database, "A", GTIN, actor="ben")  # nothing new
    with pytest.raises(NotFoundError, match=EAN13):
        barcode_owners.remove(catalog.database, "B", EAN13, actor="ben")
    barcode_owners.remove(catalog.database, "A", f"0{EAN13}", actor="cleo")
    assert of(catalog, "A") == []
    barcode_owners.add(catalog.database, "B", EAN13, actor="dan")
    assert of(catalog, "B") == [GTIN]
    for call in (barcode_owners.add, barcode_owners.remove):
        with pytest.raises(NotFoundError):
            call(catalog.database, "no such", EAN13, actor="dan")
    assert audited(catalog)[2:] == [
        ("ben", "barcode.add", [], [GTIN]),
        ("cleo", "barcode.remove", [GTIN], []),
        ("dan", "barcode.add", [], [GTIN]),
    ]


def test_of_many_who_claim_the_same_barcodes_one_gets_them(catalog: Catalog) -> None:
    for seed in range(4):
        create(catalog, f"S{seed}", seed)
    start = threading.Barrier(4)

    def attempt(number: int) -> str:
        start.wait()
        mine = (EAN13, EAN8) if number % 2 else (EAN8, EAN13)
        try:
            products.change(catalog.database, Facts(f"S{number}", "won", barcodes=mine), actor="anna")
            return f"S{number}"
        except BarcodeTakenError as error:
            assert error.sku != f"S{number}"
            return ""

    with ThreadPoolExecutor(4) as pool:
        winners = [sku for sku in pool.map(attempt, range(4)) if sku]
    assert len(winners) == 1
    for seed in range(4):
        won = f"S{seed}" in winners
        assert of(catalog, f"S{seed}") == ([f"000000{EAN8}", GTIN] if won else [])
        assert (products.get(catalog.database, f"S{seed}").name == "won") is won, "all of a change, or nothing"


def test_search_by_barcode(catalog: Catalog) -> None:
    add(catalog, "A", jpeg(1), UPCA)
    create(catalog, "B", 2)

    def found(search: str) -> list[str]:
        return [product.sku for product in products.list_page(catalog.database, products.Filter(search)).products]

    for search in (UPCA, f"0{UPCA}", " 0 36000 29145 2 "):
        assert found(search) == ["A"]
    assert found(EAN13) == found(UPCA[:-1]) == []


def test_barcodes_on_photos_are_told_and_not_kept(catalog: Catalog) -> None:
    add(catalog, "owner", jpeg(1), OTHER)
    added = products.create(
        catalog,
        Facts("A", barcodes=(EAN8,)),
        [
            NewPhoto("1.jpg", photo(1, EAN13)),
            NewPhoto("2.jpg", encode(pack(2, bars(EAN8, "EAN-8"), bars(OTHER), angle=20), quality=90)),
            NewPhoto("3.jpg", photo(3, EAN13)),
            NewPhoto("4.jpg", jpeg(4)),
            NewPhoto("5.jpg", photo(5, "2012345678903")),  # of a shop's own scales
        ],
        Intake("anna"),
    )
    assert sorted(added.barcodes_found, key=lambda found: found.gtin) == [
        FoundBarcode(f"000000{EAN8}", "A"),
        FoundBarcode(GTIN, ""),
        FoundBarcode(GTIN_OTHER, "owner"),
    ]
    assert [found.printed for found in added.barcodes_found if not found.sku] == [EAN13]
    assert added.searchable
    assert of(catalog, "A") == [f"000000{EAN8}"]
    again = products.add_photos(catalog, "owner", [NewPhoto("1.jpg", photo(1, EAN13))], Intake("anna"))
    assert again.barcodes_found == (FoundBarcode(GTIN, ""),)
    unread = products.add_photos(
        catalog, "owner", [NewPhoto("1.jpg", photo(1, EAN13))], Intake("a", check="off", read_barcodes=False)
    )
    assert unread.barcodes_found == ()
    assert barcode_owners.look_up(catalog.database, [OTHER, EAN13]) == (
        FoundBarcode(GTIN_OTHER, "owner"),
        FoundBarcode(GTIN, ""),
    )


def test_a_photo_names_the_product_by_its_barcode(catalog: Catalog) -> None:
    def named(data: bytes) -> list[barcode_lookup.ByBarcode]:
        return barcode_lookup.find_product(catalog.database, images.decode(data, want=barcodes.WANT))

    query = encode(pack(1, bars(EAN13, width=240), bars(OTHER, width=400), angle=10), quality=80)
    assert named(query) == []
    products.create(catalog, Facts("A", "Pen", barcodes=(EAN13, EAN8)), shots(1), Intake("anna"))
    (found,) = named(query)
    assert (found.sku, found.name, found.gtin) == ("A", "Pen", GTIN)
    xs, ys = zip(*found.place, strict=True)
    assert len(found.place) == 4 and 0 < min(xs) < max(xs) < 0.5 and 0.3 < min(ys) < max(ys) < 0.7
    add(catalog, "B", jpeg(2), OTHER)
    assert [each.sku for each in named(query)] == ["B", "A"], "the larger first"
    both = encode(pack(2, bars(EAN8, "EAN-8"), bars(EAN13)), quality=80)
    assert [each.sku for each in named(both)] == ["A"], "each product once"
    assert named(jpeg(1)) == []
    products.set_active(catalog, "B", False, actor="anna")
    assert [each.sku for each in named(query)] == ["A"]
    barcode_owners.remove(catalog.database, "A", EAN13, actor="anna")
    assert named(query) == []
    with pytest.raises(ImageError):
        named(bad_files()["half.jpg"][0])
