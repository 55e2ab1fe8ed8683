from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.errors import InvalidInputError, NotFoundError, PhotoRejectedError, StorageError
from catalog.normalization import check_sku
from catalog.products import Facts, Intake
from catalog.storage import content_hash
from tests.support.pictures import bad_files, jpeg
from tests.support.steps import create, points, rows, shots

#: As other systems have them.
REAL = [
    *(
        "A/1",
        "#12",
        "B&C",
        "(X)",
        "1,5",
        "a:b",
        "a;b",
        "it's",
        '3"',
        "100%",
        "*",
        "=1+1",
        "@x",
        "a\\b",
        "a|b",
        "-a",
        "+1",
    ),
    *(
        "चाय-1",
        "ชา",
        "क्ष",
        "\u0645\u06cc\u200c\u062e\u0648",
        "<b>",
        "a?b",
        "a..b",
        ".5",
        "a.",
        "CON",
        "a%2fb",
        "'; drop",
        "?#&=/%",
        "...",
    ),
]
GOOD_SKUS = ["7", "00123", "AB-12_c+d.e", "Grüner Tee 500 g", "緑茶-1", "x" * 64, "_1", *REAL]
BAD_SKUS = [
    *("", " ", "\u200b", "x" * 65, "x" * 10_000, "../../etc/passwd", "..", ".", "a/../b", "a\\..\\b", "a/."),
    *("a\nb", "a\x00b", "\x7f", "a\ud800", "a\tb", "a\u2028b", "a\ue000", "a\u0378"),
]


@pytest.mark.parametrize("sku", GOOD_SKUS)
def test_what_a_sku_may_be(sku: str) -> None:
    assert check_sku(f" {sku} ") == sku


@pytest.mark.parametrize("sku", BAD_SKUS)
def test_what_a_sku_may_not_be(sku: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_sku(sku)
    assert caught.value.field == "sku"
    assert len(str(caught.value)) < 200


def test_a_sku_has_one_form(catalog: Catalog) -> None:
    create(catalog, "Cafe\u0301", 1)  # as a Mac spells a folder
    assert products.get(catalog.database, "Caf\u00e9").sku == "Caf\u00e9"
    assert products.get(catalog.database, "Cafe\u0301").sku == "Caf\u00e9"


def test_no_product_has_such_a_sku(catalog: Catalog) -> None:
    photo = shots(1)
    calls: list[Callable[[str], object]] = [
        lambda sku: products.get(catalog.database, sku),
        lambda sku: products.add_photos(catalog, sku, photo, Intake("anna")),
        lambda sku: products.set_active(catalog, sku, False, actor="anna"),
        lambda sku: products.delete_photos(catalog, sku, [uuid.uuid4()], actor="anna"),
        lambda sku: products.change(catalog.database, Facts(sku, "name"), actor="anna"),
    ]
    for sku in BAD_SKUS:
        for call in calls:
            with pytest.raises(NotFoundError):
                call(sku)
        assert products.list_page(catalog.database, products.Filter(sku), after=sku).products == []


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        (Facts("A", "x" * 201), "name"),
        (Facts("A", "x" * 10_000), "name"),
        (Facts("A", "a\x00b"), "name"),
        (Facts("A", "a\ud800"), "name"),
        (Facts("A", "a", "x" * 101), "brand"),
        (Facts("A", "a", "", "x\ny"), "category"),
        (Facts(""), "sku"),
        (Facts("A", variant_group="x" * 101), "variant_group"),
        (Facts("A", labels=("x" * 65,)), "label"),
        (Facts("A", labels=("a\tb",)), "label"),
        (Facts("A", labels=("a|b",)), "label"),
        (Facts("A", labels=tuple(map(str, range(51)))), "label"),
        (Facts("A", attributes={"": "x"}), "attributes"),
        (Facts("A", attributes={"x" * 51: "x"}), "attributes"),
        (Facts("A", attributes={"x": "x" * 501}), "attributes"),
        (Facts("A", attributes={str(number): "x" for number in range(51)}), "attributes"),
    ],
)
def test_facts_that_can_not_be(catalog: Catalog, facts: Facts, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        products.create(catalog, facts, shots(1), Intake("anna"))
    assert caught.value.field == field
    assert rows(catalog)["product"] == 0


@pytest.mark.parametrize("count", [0, 51])
def test_too_few_and_too_many_photos(catalog: Catalog, count: int) -> None:
    create(catalog, "A", 1)
    uploads = [NewPhoto(f"{n}.jpg", b"not looked at") for n in range(count)]
    for call in (
        lambda: products.create(catalog, Facts("B"), uploads, Intake("anna")),
        lambda: products.add_photos(catalog, "A", uploads, Intake("anna")),
    ):
        with pytest.raises(InvalidInputError) as caught:
            call()
        assert caught.value.field == "photos"
    assert rows(catalog) == {"product": 1, "photo": 1, "enrollment": 1, "removal": 0}


@pytest.mark.parametrize("name", sorted(bad_files()))
def test_a_bad_file_among_good_ones_writes_nothing(catalog: Catalog, name: str) -> None:
    data, _, code = bad_files()[name]
    create(catalog, "there", 1)
    uploads = [*shots(2), NewPhoto(name, data), *shots(3)]
    before = rows(catalog)
    for call in (
        lambda: products.create(catalog, Facts("A"), uploads, Intake("anna")),
        lambda: products.add_photos(catalog, "there", uploads, Intake("anna")),
    ):
        with pytest.raises(PhotoRejectedError, match=name) as caught:
            call()
        assert (caught.value.code, caught.value.filename, caught.value.field) == (code, name, "photo")
    assert rows(catalog) == before
    assert points(catalog) == 1
    with pytest.raises(NotFoundError):
        catalog.photos.get(content_hash(jpeg(2)))


def test_all_bad_files_are_named(catalog: Catalog) -> None:
    bad = bad_files()
    with pytest.raises(PhotoRejectedError) as caught:
        products.create(catalog, Facts("A"), [NewPhoto(n, data) for n, (data, _, _) in bad.items()], Intake("anna"))
    assert {(each.filename, each.code) for each in caught.value.rejected} == {
        (n, code) for n, (_, _, code) in bad.items()
    }


@pytest.mark.parametrize("filename", ["", "a\x00\x1b[31m\ud800.jpg", "../../etc/passwd", "x" * 300])
def test_a_file_name_is_only_a_name(catalog: Catalog, filename: str) -> None:
    products.create(catalog, Facts("A"), [NewPhoto(filename, jpeg(1))], Intake("anna"))
    stored = products.get(catalog.database, "A").photos[0].filename
    assert len(stored) <= 255
    assert stored.isprintable()


def test_a_store_that_fails_leaves_no_product(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: bytes) -> str:
        raise StorageError("no space")

    monkeypatch.setattr(catalog.photos, "put", fail)
    with pytest.raises(StorageError):
        create(catalog, "A", 1)
    assert rows(catalog) == {"product": 0, "photo": 0, "enrollment": 0, "removal": 0}
    assert points(catalog) == 0
