from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import ImageFile
from sqlalchemy import select

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto, run_pending
from catalog.errors import CatalogError, ConflictError, NotFoundError, SkuAlikeError, SkuExistsError
from catalog.products import AddResult, Facts, Intake
from catalog.products.facts import describe
from catalog.recognition import recognize
from catalog.storage import content_hash
from catalog.storage.tables import AuditEntry, Product
from tests.support.pictures import encode, jpeg, odd_files, picture
from tests.support.steps import create, first, points, rows, shots


def audit(catalog: Catalog) -> list[tuple[str, str, str, Any, Any]]:
    with catalog.database.read() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(e.actor, e.action, e.subject, e.before, e.after) for e in entries]


def test_a_product_is_searchable_when_create_returns(catalog: Catalog) -> None:
    added = create(catalog, "tea-1", 1, 2, 3, 4, name="Green tea", brand="Leaf", category="Tea")
    assert (added.sku, added.name, added.created, added.searchable) == ("tea-1", "Green tea", True, True)
    assert [(p.filename, p.state, p.duplicate, p.reason) for p in added.photos] == [
        (f"{seed}.jpg", "searchable", False, "") for seed in (1, 2, 3, 4)
    ]
    assert [photo.sha256 for photo in added.photos] == [content_hash(jpeg(seed)) for seed in (1, 2, 3, 4)]
    create(catalog, "tea-2", 5)
    for seed in (1, 2, 3, 4):
        answer = recognize(catalog, jpeg(seed))
        assert answer.matches[0].sku == "tea-1"
        assert answer.matches[0].score == pytest.approx(1, abs=1e-3)
    assert points(catalog) == 5
    product = products.get(catalog.database, "tea-1")
    assert (product.brand, product.category, product.active, product.version) == ("Leaf", "Tea", True, 1)
    assert {photo.id for photo in product.photos} == {photo.id for photo in added.photos}
    assert {(photo.width, photo.height, photo.bytes) for photo in product.photos} == {
        (320, 240, len(jpeg(seed))) for seed in (1, 2, 3, 4)
    }
    assert products.pending_photos(catalog.database, product) == {}


def test_photos_of_unusual_kinds_are_accepted(catalog: Catalog) -> None:
    odd = odd_files(1)
    added = products.create(catalog, Facts("odd"), [NewPhoto(name, data) for name, data in odd.items()], Intake("anna"))
    assert added.searchable
    sizes = {photo.filename: (photo.width, photo.height) for photo in products.get(catalog.database, "odd").photos}
    assert sizes == dict.fromkeys(odd, (320, 240))


@pytest.mark.parametrize("check", ["off", "report", "refuse"])
def test_a_photo_is_decoded_once_for_all_that_is_read_from_it(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, check: Any
) -> None:
    """Vector, details, quality, near-duplicates and barcodes."""
    decoded: list[tuple[int, int]] = []
    load = ImageFile.ImageFile.load

    def counted(opened: ImageFile.ImageFile) -> Any:
        if opened.tile:  # empty once the pixels are there
            decoded.append(opened.size)
        return load(opened)

    monkeypatch.setattr(ImageFile.ImageFile, "load", counted)
    photos = [NewPhoto(f"{seed}.jpg", encode(picture(seed, (640, 480)))) for seed in (910, 911)]
    assert products.create(catalog, Facts("tea"), photos, Intake("anna", check=check)).searchable
    assert decoded == [(640, 480)] * 2


def test_the_same_photo_is_one_photo(catalog: Catalog) -> None:
    assert len(create(catalog, "A", 1, 1, 2).photos) == 2
    again = products.add_photos(catalog, "A", shots(1, 3), Intake("anna"))
    assert [(p.duplicate, p.state) for p in again.photos] == [(True, "searchable"), (False, "searchable")]
    assert not again.created
    assert rows(catalog) == {"product": 1, "photo": 3, "enrollment": 3, "removal": 0}
    assert points(catalog) == 3


def test_a_picture_on_many_products_is_searchable_on_each(catalog: Catalog) -> None:
    for number in range(13):  # more than the proof looks at first
        assert create(catalog, f"S{number}", 1).searchable


def test_a_sku_is_taken_once(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    for sku in ("A", " A "):
        with pytest.raises(SkuExistsError, match="'A'"):
            create(catalog, sku, 2)
    with pytest.raises(SkuAlikeError, match="'A'"):
        create(catalog, "a", 2)
    assert rows(catalog)["product"] == 1


def test_two_create_the_same_sku_at_once(catalog: Catalog) -> None:
    catalog.generations.ready()
    start = threading.Barrier(4)

    def attempt(seed: int) -> str:
        photos = shots(seed)
        start.wait()
        try:
            return products.create(catalog, Facts("A", f"by {seed}"), photos, Intake("anna")).name
        except SkuExistsError:
            return ""

    with ThreadPoolExecutor(4) as pool:
        winners = [name for name in pool.map(attempt, range(4)) if name]
    assert winners == [products.get(catalog.database, "A").name]
    assert rows(catalog) == {"product": 1, "photo": 1, "enrollment": 1, "removal": 0}
    assert points(catalog) == 1


def test_many_add_photos_to_one_product_at_once(catalog: Catalog) -> None:
    create(catalog, "A", 0)

    def attempt(seed: int) -> AddResult:
        return products.add_photos(catalog, "A", shots(seed, seed + 1), Intake("anna"))

    with ThreadPoolExecutor(4) as pool:
        assert all(added.searchable for added in pool.map(attempt, range(1, 9)))
    assert rows(catalog) == {"product": 1, "photo": 10, "enrollment": 10, "removal": 0}
    assert points(catalog) == 10


def test_photos_for_a_product_that_is_not_there(catalog: Catalog) -> None:
    with pytest.raises(NotFoundError, match="'A'"):
        products.add_photos(catalog, "A", shots(1), Intake("anna"))
    with pytest.raises(NotFoundError):
        catalog.photos.get(content_hash(jpeg(1)))


def test_change(catalog: Catalog) -> None:
    create(catalog, "A", 1, name="old")
    products.change(catalog.database, Facts("A", "new", "brand", "category"), version=1, actor="ben")
    product = products.get(catalog.database, "A")
    assert (product.name, product.brand, product.category, product.version) == ("new", "brand", "category", 2)
    assert recognize(catalog, jpeg(1)).matches[0].name == "new"
    with pytest.raises(ConflictError):
        products.change(catalog.database, Facts("A", "too late"), version=1, actor="anna")
    products.change(catalog.database, Facts("A", "whatever it was"), actor="anna")
    assert products.get(catalog.database, "A").name == "whatever it was"


def test_of_two_changes_of_one_version_one_wins(catalog: Catalog) -> None:
    create(catalog, "A", 1)

    def attempt(name: str) -> str:
        try:
            products.change(catalog.database, Facts("A", name), version=1, actor=name)
            return name
        except ConflictError:
            return ""

    with ThreadPoolExecutor(4) as pool:
        winners = [name for name in pool.map(attempt, "abcd") if name]
    assert winners == [products.get(catalog.database, "A").name]


def test_a_retired_product_is_gone_and_comes_back(catalog: Catalog) -> None:
    create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    products.set_active(catalog, "A", False, actor="anna")
    assert first(catalog, 1) == "B"
    assert points(catalog) == 1
    assert [p.sku for p in products.list_page(catalog.database).products] == ["B"]
    assert [p.sku for p in products.list_page(catalog.database, products.Filter(retired=True)).products] == ["A"]
    added = products.add_photos(catalog, "A", shots(4), Intake("anna"))
    assert (added.photos[0].state, added.photos[0].reason) == ("pending", "the product is retired")
    assert products.counts(catalog.database).pending == 0
    products.set_active(catalog, "A", True, actor="anna")
    assert [first(catalog, seed) for seed in (1, 2, 4)] == ["A", "A", "A"]
    assert points(catalog) == 4
    assert rows(catalog)["removal"] == 0


def test_retired_is_gone_though_the_gallery_is_away(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    catalog.gallery.on = False
    products.set_active(catalog, "A", False, actor="anna")
    assert rows(catalog)["removal"] == 1
    catalog.gallery.on = True
    assert points(catalog) == 2  # the gallery still holds it
    assert [match.sku for match in recognize(catalog, jpeg(1)).matches] == ["B"]
    run_pending(catalog)
    assert points(catalog) == 1
    assert rows(catalog)["removal"] == 0


def test_retired_and_back_while_the_gallery_is_away(catalog: Catalog) -> None:
    create(catalog, "A", 1, 2)
    catalog.gallery.on = False
    products.set_active(catalog, "A", False, actor="anna")
    products.set_active(catalog, "A", True, actor="anna")
    catalog.gallery.on = True
    assert rows(catalog)["removal"] == 0
    run_pending(catalog)
    assert first(catalog, 1) == first(catalog, 2) == "A"
    assert products.counts(catalog.database).pending == 0


def test_a_deleted_photo_is_gone(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    products.delete_photos(catalog, "A", [added.photos[0].id], actor="anna")
    best = recognize(catalog, jpeg(1)).matches
    assert all(match.score < 0.999 for match in best)
    assert points(catalog) == 2
    assert rows(catalog) == {"product": 2, "photo": 2, "enrollment": 2, "removal": 0}
    for sku, identity in (("A", added.photos[0].id), ("B", added.photos[1].id), ("C", added.photos[1].id)):
        with pytest.raises(NotFoundError):
            products.delete_photos(catalog, sku, [identity], actor="anna")


def test_deleted_and_added_again_while_the_gallery_is_away(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    catalog.gallery.on = False
    products.delete_photos(catalog, "A", [added.photos[0].id], actor="anna")
    again = products.add_photos(catalog, "A", shots(1), Intake("anna"))
    assert again.photos[0].id == added.photos[0].id
    assert again.photos[0].state == "pending"
    catalog.gallery.on = True
    while run_pending(catalog):
        pass
    assert recognize(catalog, jpeg(1)).matches[0].score == pytest.approx(1, abs=1e-3)
    assert points(catalog) == 2
    assert rows(catalog) == {"product": 1, "photo": 2, "enrollment": 2, "removal": 0}


def test_added_and_deleted_while_the_gallery_is_away(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    catalog.gallery.on = False
    added = products.add_photos(catalog, "A", shots(2), Intake("anna"))
    products.delete_photos(catalog, "A", [added.photos[0].id], actor="anna")
    catalog.gallery.on = True
    while run_pending(catalog):
        pass
    assert points(catalog) == 1
    assert rows(catalog) == {"product": 1, "photo": 1, "enrollment": 1, "removal": 0}


def test_retire_and_restore_in_a_row_from_many_threads(catalog: Catalog) -> None:
    create(catalog, "A", 1, 2)

    def flip(number: int) -> None:
        products.set_active(catalog, "A", bool(number % 2), actor="anna")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(flip, range(24)))
    products.set_active(catalog, "A", True, actor="anna")
    while run_pending(catalog):
        pass
    assert first(catalog, 1) == "A"
    assert points(catalog) == 2
    assert rows(catalog) == {"product": 1, "photo": 2, "enrollment": 2, "removal": 0}


def test_every_change_is_in_the_audit_log(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    products.add_photos(catalog, "A", shots(2, 3), Intake("ben"))
    products.add_photos(catalog, "A", shots(1), Intake("ben"))  # nothing new
    products.change(catalog.database, Facts("A", "new"), actor="cleo")
    products.change(catalog.database, Facts("A", "new"), actor="cleo")  # nothing new
    products.set_active(catalog, "A", False, actor="dan")
    products.set_active(catalog, "A", False, actor="dan")  # nothing new
    products.set_active(catalog, "A", True, actor="x" * 300)
    products.delete_photos(catalog, "A", [added.photos[0].id], actor="eve")
    with pytest.raises(CatalogError):
        create(catalog, "A", 9)
    facts = {
        **{"sku": "A", "name": "A", "brand": "", "category": "", "variant_group": "", "attributes": {}},
        **{"barcodes": [], "labels": [], "active": True},
    }
    new = {**facts, "name": "new"}
    retired = {**new, "active": False}
    assert audit(catalog) == [
        ("anna", "product.create", "A", None, {**facts, "photos": 2}),
        ("ben", "photos.add", "A", {**facts, "photos": 2}, {**facts, "photos": 3, "added": [content_hash(jpeg(3))]}),
        ("cleo", "product.change", "A", facts, new),
        ("dan", "product.retire", "A", new, retired),
        ("x" * 100, "product.restore", "A", retired, new),
        ("eve", "photo.delete", "A", {"photo": content_hash(jpeg(1)), "filename": "1.jpg", "original": None}, None),
    ]


def test_variants_labels_and_attributes(catalog: Catalog) -> None:
    said = Facts("A", variant_group="tea", labels=("store 12", " bakery ", "", "bakery"), attributes={"g": " 500 "})
    products.create(catalog, said, shots(1), Intake("anna"))
    product = products.get(catalog.database, "A")
    assert (product.variant_group, [label.name for label in product.labels]) == ("tea", ["bakery", "store 12"])
    assert (product.attributes, product.version) == ({"g": "500"}, 1)
    products.change(catalog.database, Facts("A", "Tea"), actor="ben")  # says nothing of them
    assert [label.name for label in products.get(catalog.database, "A").labels] == ["bakery", "store 12"]
    seen = products.get(catalog.database, "A").version
    products.change(catalog.database, Facts("A", "Tea", labels=("kiosk",)), version=seen, actor="ben")
    assert [label.name for label in products.get(catalog.database, "A").labels] == ["kiosk"]
    with pytest.raises(ConflictError):  # labels alone make a version, too
        products.change(catalog.database, Facts("A", "Tea", labels=("bakery",)), version=seen, actor="cleo")
    products.change(catalog.database, Facts("A", "Tea", variant_group="", labels=(), attributes={}), actor="ben")
    product = products.get(catalog.database, "A")
    assert (product.variant_group, product.labels, product.attributes) == ("", [], {})


def fill(catalog: Catalog, *facts: Facts) -> None:
    with catalog.database.write() as session:
        for each in facts:
            product = Product(sku=each.sku, photos=[], labels=[])
            describe(product, each)
            session.add(product)


def skus(catalog: Catalog, search: str) -> list[str]:
    return [product.sku for product in products.list_page(catalog.database, products.Filter(search)).products]


def test_pages_by_key(catalog: Catalog) -> None:
    fill(catalog, *(Facts(f"S{number:03}", "n") for number in range(25)))
    seen, after = [], ""
    for total in (10, 10, 5):
        page = products.list_page(catalog.database, after=after, limit=10)
        assert (len(page.products), page.total) == (total, 25)
        seen += [product.sku for product in page.products]
        after = page.next_key or "end"
    assert after == "end"
    assert seen == [f"S{number:03}" for number in range(25)]
    assert products.list_page(catalog.database, limit=25).next_key is None


def test_search(catalog: Catalog) -> None:
    fill(
        catalog,
        Facts("A", "100% juice", "Fresh_Co", "Drinks"),
        Facts("B", "100 g juice", "FreshXCo", "drinks"),
        Facts("C", "back\\slash", "Öl & Äpfel", "Food"),
    )
    expected = {
        **{"juice": "AB", "JUICE": "AB", "100%": "A", "%": "A", "_": "A", "h_c": "A", "\\": "C", "öl": "C"},
        **{"ÄPFEL": "C", "DRINKS": "AB", "c": "CAB", "zzz": "", "  juice ": "AB", "": "ABC", "\x00": "ABC", "'": ""},
    }
    assert {search: "".join(skus(catalog, search)) for search in expected} == expected


def test_a_search_that_finds_many_is_counted_to_a_thousand(catalog: Catalog) -> None:
    fill(catalog, *(Facts(f"S{number:04}", "tea" if number % 2 else "coffee") for number in range(2100)))
    page = products.list_page(catalog.database, products.Filter("TEA"), limit=10)
    assert (page.total, page.capped, page.products[-1].sku) == (1000, True, "S0019")
    page = products.list_page(catalog.database, products.Filter("tea"), after=page.next_key or "", limit=1040)
    assert (page.total, page.capped, page.products[-1].sku, page.next_key) == (1000, True, "S2099", None)
    page = products.list_page(catalog.database, products.Filter("S209"), limit=8)
    page = products.list_page(catalog.database, products.Filter("S209"), after=page.next_key or "", limit=8)
    assert ([product.sku for product in page.products], page.total, page.capped) == (["S2098", "S2099"], 10, False)
    assert products.list_page(catalog.database).total == 2100


def test_counts(catalog: Catalog) -> None:
    create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    create(catalog, "C", 4)
    products.set_active(catalog, "C", False, actor="anna")
    catalog.gallery.on = False
    added = products.add_photos(catalog, "A", shots(5), Intake("anna"))
    assert products.counts(catalog.database) == products.Counts(products=2, photos=4, pending=1)
    assert products.pending_photos(catalog.database, products.get(catalog.database, "A")) == {
        added.photos[0].id: "The gallery is switched off."
    }


def narrowed(catalog: Catalog, **only: Any) -> str:
    return "".join(product.sku for product in products.list_page(catalog.database, products.Filter(**only)).products)


def test_lists_are_narrowed(catalog: Catalog) -> None:
    for sku, group, names, seeds in (("A", "tea", ("x",), (1, 2)), ("B", "tea", ("x", "y"), (3,)), ("C", "", (), (4,))):
        facts = Facts(sku, category="Drinks" if group else "Food", variant_group=group, labels=names)
        products.create(catalog, facts, shots(*seeds), Intake("anna"))
    products.set_active(catalog, "C", False, actor="anna")
    expected: list[tuple[dict[str, Any], str]] = [
        ({}, "AB"),
        ({"category": " Drinks "}, "AB"),
        ({"category": "drink"}, ""),
        ({"label": "y"}, "B"),
        ({"label": "x", "few_photos": 2}, "B"),
        ({"variant_group": "tea", "search": "B"}, "B"),
        ({"few_photos": 1}, ""),
        ({"retired": True}, "C"),
        ({"never_recognized": True}, "AB"),
    ]
    assert [(only, narrowed(catalog, **only)) for only, _ in expected] == expected
    assert products.facets(catalog.database) == products.Facets({"Drinks": 2}, {}, {"x": 2, "y": 1})
