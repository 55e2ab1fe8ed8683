"""A program says what a product is: updates, and puts, which add it where it is not there."""

from __future__ import annotations

import threading

import pytest

from catalog import products
from catalog.catalog import Catalog
from catalog.errors import (
    BarcodeTakenError,
    InvalidInputError,
    NotFoundError,
    PreconditionFailedError,
    SkuAlikeError,
)
from catalog.products import Facts, Intake, Update
from catalog.storage.tables import Product
from tests.support.steps import create, first, shots

EAN, OTHER = "04006381333931", "05449000000996"
ERP = Intake("key erp", "api")
WHOLE = Update("Tea", "Brand", "Drinks", "tea", ("shelf", "store 12"), {"size": "20"}, None, (EAN,), True)


def of(catalog: Catalog, sku: str) -> Product:
    return products.get(catalog.database, sku)


def actions(catalog: Catalog, sku: str) -> list[tuple[str, str]]:
    return [(c.action, c.actor) for c in products.list_changes(catalog.database, sku).changes]


def values(product: Product) -> tuple[object, ...]:
    return (
        *(product.name, product.brand, product.category, product.variant_group, product.active, product.attributes),
        [label.name for label in product.labels],
        [barcode.gtin for barcode in product.barcodes],
    )


def test_what_an_update_does_not_say_stays(catalog: Catalog) -> None:
    products.create(catalog, WHOLE.facts("A"), shots(1), ERP)
    before = values(of(catalog, "A"))
    products.update(catalog, "A", Update(category="Tea"), actor="key erp")
    assert values(of(catalog, "A")) == (before[0], before[1], "Tea", *before[3:])
    products.update(catalog, "A", Update("", "", "", "", (), {}, None, (), None), actor="key erp")
    assert values(of(catalog, "A")) == ("A", "", "", "", True, {}, [], [])


def test_an_update_that_changes_nothing_leaves_no_trace(catalog: Catalog) -> None:
    products.create(catalog, WHOLE.facts("A"), shots(1), ERP)
    tag, log = products.tag(of(catalog, "A")), actions(catalog, "A")
    for same in (Update(), WHOLE, Update(change_attributes={"size": "20"}), Update(barcodes=(EAN[1:], EAN))):
        products.update(catalog, "A", same, actor="key erp")
        assert (products.tag(of(catalog, "A")), actions(catalog, "A")) == (tag, log)


def test_attributes_are_replaced_or_changed(catalog: Catalog) -> None:
    products.create(catalog, Facts("A", attributes={"size": "20", "unit": "bag"}), shots(1), ERP)
    products.update(catalog, "A", Update(change_attributes={"size": None, "color": "green"}), actor="key erp")
    assert of(catalog, "A").attributes == {"color": "green", "unit": "bag"}
    products.update(catalog, "A", Update(attributes={"size": "30"}), actor="key erp")
    assert of(catalog, "A").attributes == {"size": "30"}


def test_one_entry_says_what_was_changed_at_once(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    products.update(catalog, "A", WHOLE, actor="key erp")
    assert actions(catalog, "A")[:-1] == [("product.change", "key erp")]
    products.update(catalog, "A", Update(active=False), actor="key erp")
    products.update(catalog, "A", Update(active=True), actor="key erp")
    assert actions(catalog, "A")[:2] == [("product.restore", "key erp"), ("product.retire", "key erp")]


def test_state_and_facts_change_together_and_are_searched_at_once(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    products.update(catalog, "A", Update(name="Old", active=False), actor="key erp")
    assert first(catalog, 1) == ""
    products.update(catalog, "A", Update(name="Tea", active=True), actor="key erp")
    assert first(catalog, 1) == "A" and products.pending_photos(catalog.database, of(catalog, "A")) == {}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (Update(name="x" * 201), InvalidInputError),
        (Update(labels=("a|b",)), InvalidInputError),
        (Update(barcodes=("123",)), InvalidInputError),
        (Update(change_attributes={f"k{n}": "v" for n in range(51)}), InvalidInputError),
        (Update(name="Other", barcodes=(OTHER,)), BarcodeTakenError),
    ],
)
def test_what_is_refused_changes_nothing(catalog: Catalog, wrong: Update, error: type[Exception]) -> None:
    products.create(catalog, WHOLE.facts("A"), shots(1), ERP)
    products.create(catalog, Facts("B", barcodes=(OTHER,)), shots(2), ERP)
    before = values(of(catalog, "A"))
    with pytest.raises(error):
        products.update(catalog, "A", wrong, actor="key erp")
    assert values(of(catalog, "A")) == before
    with pytest.raises(NotFoundError):
        products.update(catalog, "NOBODY", Update(name="x"), actor="key erp")


def test_the_tag_changes_with_whatever_is_changed(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    tags = [products.tag(of(catalog, "A"))]

    def changed() -> bool:
        tags.append(products.tag(of(catalog, "A")))
        return len(set(tags)) == len(tags)

    products.update(catalog, "A", Update(name="Tea"), actor="x")
    assert changed()
    products.set_labels(catalog.database, "A", ["shelf"], actor="x")
    assert changed()
    products.barcode_owners.add(catalog.database, "A", EAN, actor="x")
    assert changed()
    products.set_cover(catalog.database, "A", added.photos[1].id, actor="x")
    assert changed()
    products.add_photos(catalog, "A", shots(4), ERP)
    assert changed()
    products.replace_photo(catalog, "A", added.photos[0].id, shots(5)[0], actor="x")
    assert changed()
    products.delete_photos(catalog, "A", [added.photos[1].id], actor="x")
    assert changed()
    products.change_many(catalog, ["A"], products.BulkChange(add_labels=("more",)), actor="x")
    assert changed()
    products.rename(catalog, "A", "A2", actor="x")
    products.rename(catalog, "A2", "A", actor="x")
    assert changed()
    entry = products.delete_product(catalog, "A", actor="x")
    products.undelete(catalog, entry, actor="x")
    assert changed()


def test_what_was_changed_since_is_not_overwritten(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    old = [products.tag(of(catalog, "A"))]
    products.update(catalog, "A", Update(name="Tea"), seen=old, actor="x")
    photo = added.photos[0].id
    for attempt in (
        lambda: products.update(catalog, "A", Update(name="Other"), seen=old, actor="x"),
        lambda: products.add_photos(catalog, "A", shots(3), ERP, seen=old),
        lambda: products.replace_photo(catalog, "A", photo, shots(3)[0], seen=old, actor="x"),
        lambda: products.delete_photos(catalog, "A", [photo], seen=old, actor="x"),
        lambda: products.delete_product(catalog, "A", seen=old, actor="x"),
        lambda: products.rename(catalog, "A", "B", seen=old, actor="x"),
        lambda: products.put(catalog, "A", WHOLE, [], ERP, seen=old),
        lambda: products.put(catalog, "A", WHOLE, shots(3), ERP, seen=old),
        lambda: products.put(catalog, "NEW", WHOLE, shots(3), ERP, seen=old),
        lambda: products.put(catalog, "A", WHOLE, [], ERP, new=True),
    ):
        with pytest.raises(PreconditionFailedError):
            attempt()
    product = of(catalog, "A")
    assert product.name == "Tea" and {each.id for each in product.photos} == {each.id for each in added.photos}


def test_a_put_adds_and_makes_equal_and_to_repeat_it_changes_nothing(catalog: Catalog) -> None:
    assert products.put(catalog, " A ", WHOLE, shots(1), ERP) is True
    product, log = of(catalog, "A"), actions(catalog, "A")
    assert values(product) == ("Tea", "Brand", "Drinks", "tea", True, {"size": "20"}, ["shelf", "store 12"], [EAN])
    assert log == [("product.create", "key erp")] and product.photos[0].source == "api"
    for photos in ((), shots(1)):
        assert products.put(catalog, "A", WHOLE, photos, ERP) is False
        assert (products.tag(of(catalog, "A")), actions(catalog, "A")) == (products.tag(product), log)
    create(catalog, "STAFF", 5)
    products.put(catalog, "STAFF", Update(name="Coffee", active=False), shots(6), ERP)
    product = of(catalog, "STAFF")
    assert (product.name, product.active, len(product.photos)) == ("Coffee", False, 2), "photos of the staff stay"
    assert [action for action, _ in actions(catalog, "STAFF")] == ["photos.add", "product.change", "product.create"]
    assert first(catalog, 5) != "STAFF"
    products.put(catalog, "STAFF", Update(active=True), shots(7), ERP)
    assert [first(catalog, seed) for seed in (5, 6, 7)] == ["STAFF"] * 3


def test_a_put_of_a_retired_product(catalog: Catalog) -> None:
    products.put(catalog, "A", Update(active=False), shots(1), ERP)
    assert not of(catalog, "A").active and first(catalog, 1) == ""


def test_a_put_that_is_refused_changes_nothing(catalog: Catalog) -> None:
    products.put(catalog, "A", WHOLE, shots(1), ERP)
    with pytest.raises(InvalidInputError) as told:
        products.put(catalog, "NEW", WHOLE, [], ERP)
    assert told.value.field == "photos"
    with pytest.raises(SkuAlikeError):
        products.put(catalog, "a", Update(), shots(2), ERP)
    products.create(catalog, Facts("B", barcodes=(OTHER,)), shots(3), ERP)
    with pytest.raises(BarcodeTakenError):
        products.put(catalog, "A", Update(name="Other", barcodes=(OTHER,)), shots(4), ERP)
    product = of(catalog, "A")
    assert (product.name, len(product.photos)) == ("Tea", 1)


def test_puts_at_once_agree(catalog: Catalog) -> None:
    ready = threading.Barrier(4)
    created: list[bool] = []

    def put() -> None:
        ready.wait()
        created.append(products.put(catalog, "A", WHOLE, shots(1), ERP))

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(created) == [False, False, False, True]
    assert actions(catalog, "A") == [("product.create", "key erp")]
