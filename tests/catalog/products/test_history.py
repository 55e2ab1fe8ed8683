"""The history of a product, and what is reverted."""

from __future__ import annotations

import pytest

from catalog import accounts, products
from catalog.catalog import Catalog
from catalog.errors import BarcodeTakenError, ConflictError, NotFoundError, SkuExistsError
from catalog.products import Facts, Intake, barcode_owners
from catalog.storage import content_hash
from tests.support.pictures import jpeg
from tests.support.steps import create, first, shots

EAN = "4006381333931"


def actions(catalog: Catalog, sku: str) -> list[str]:
    return [change.action for change in products.list_changes(catalog.database, sku).changes]


def newest(catalog: Catalog, sku: str) -> products.Change:
    return products.list_changes(catalog.database, sku).changes[0]


def told(change: products.Change) -> list[tuple[str, str, str]]:
    return [(d.key or d.field, d.before, d.after) for d in change.differences]


def labels(catalog: Catalog, sku: str) -> list[str]:
    return [label.name for label in products.get(catalog.database, sku).labels]


def test_changes_are_told_field_by_field_through_renames(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2, name="Tea")
    products.change(catalog.database, Facts("A", "Green tea", labels=("x",), attributes={"size": "20"}), actor="anna")
    products.rename(catalog, "A", "B", actor="ben")
    accounts.add_user(catalog.database, "B", "correct horse battery", actor="test")  # a person of that name
    create(catalog, "A", 3)  # another product
    products.delete_photos(catalog, "B", [added.photos[0].id], actor="ben")
    assert actions(catalog, "B") == ["photo.delete", "product.rename", "product.change", "product.create"]
    assert actions(catalog, "A") == ["product.create"]
    gone, renamed, changed, created = products.list_changes(catalog.database, "B").changes
    assert (gone.photos, gone.actor) == ((content_hash(jpeg(1)),), "ben")
    assert told(renamed) == [("sku", "A", "B")]
    assert told(changed) == [("name", "Tea", "Green tea"), ("size", "", "20"), ("labels", "", "x")]
    assert [c.revertible for c in (gone, renamed, changed, created)] == [False, True, True, False]
    some = products.list_changes(catalog.database, "B", limit=3)
    assert [c.id for c in products.list_changes(catalog.database, "B", before=some.older).changes] == [created.id]
    with pytest.raises(NotFoundError):
        products.list_changes(catalog.database, "C")


def test_each_product_that_had_a_sku_has_its_own_history(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    old = products.delete_product(catalog, "A", actor="anna")
    create(catalog, "A", 2)
    products.rename(catalog, "A", "B", actor="anna")
    products.undelete(catalog, old, actor="anna")
    assert actions(catalog, "A") == ["product.undelete", "product.delete", "product.create"]
    products.purge(catalog, "A", actor="anna")
    create(catalog, "A", 3)
    assert actions(catalog, "A") == ["product.create"]
    products.merge(catalog, "B", "A", actor="anna")
    assert newest(catalog, "A").other == "B"
    assert ("photos", "1", "2") in told(newest(catalog, "A"))


def test_facts_are_reverted_and_that_is_a_change_of_its_own(catalog: Catalog) -> None:
    products.create(
        catalog, Facts("A", "Tea", "Best", labels=("x", "y"), attributes={"size": "20"}), shots(1), Intake("anna")
    )
    facts = Facts("A", "Coffee", "Best", "Drinks", labels=("y", "z"), attributes={"size": "30", "new": "1"})
    products.change(catalog.database, facts, actor="anna")
    changed = newest(catalog, "A")
    products.set_labels(catalog.database, "A", ("later", "y", "z"), actor="ben")
    assert products.revert(catalog, "A", changed.id, actor="ben") == "A"
    product = products.get(catalog.database, "A")
    assert (product.name, product.brand, product.category, product.attributes) == ("Tea", "Best", "", {"size": "20"})
    assert labels(catalog, "A") == ["later", "x", "y"], "what came later stays"
    reverted = newest(catalog, "A")
    assert (reverted.action, reverted.actor, reverted.revertible) == ("product.revert", "ben", True)
    assert ("name", "Coffee", "Tea") in told(reverted)
    with pytest.raises(ConflictError):
        products.revert(catalog, "A", changed.id, actor="ben")
    products.revert(catalog, "A", reverted.id, actor="ben")
    assert products.get(catalog.database, "A").name == "Coffee"
    assert products.list_page(catalog.database, products.Filter("coffee")).total == 1, "the list's search follows"


def test_a_change_that_retired_a_product_besides_is_reverted_whole(catalog: Catalog) -> None:
    create(catalog, "A", 1, name="Tea")
    create(catalog, "B", 2)
    products.amend(catalog, Facts("A", "Coffee"), active=False, actor="anna")
    assert told(newest(catalog, "A")) == [("name", "Tea", "Coffee"), ("active", "in the catalog", "retired")]
    assert first(catalog, 1) == "B"
    products.revert(catalog, "A", newest(catalog, "A").id, actor="ben")
    product = products.get(catalog.database, "A")
    assert (product.name, product.active, first(catalog, 1)) == ("Tea", True, "A")
    products.revert(catalog, "A", newest(catalog, "A").id, actor="ben")  # that as well
    product = products.get(catalog.database, "A")
    assert (product.name, product.active, first(catalog, 1)) == ("Coffee", False, "B")
    products.set_active(catalog, "A", True, actor="anna")
    changed = next(c for c in products.list_changes(catalog.database, "A").changes if c.action == "product.revert")
    products.change(catalog.database, Facts("A", "Coffee", "Best"), actor="anna")
    products.set_active(catalog, "A", False, actor="anna")
    products.revert(catalog, "A", changed.id, actor="ben")
    assert products.get(catalog.database, "A").active, "a state that somebody set again is set back as well"
    products.set_active(catalog, "A", False, actor="anna")
    brand = next(c for c in products.list_changes(catalog.database, "A").changes if c.action == "product.change")
    products.revert(catalog, "A", brand.id, actor="ben")
    assert not products.get(catalog.database, "A").active, "a change that left it is no reason to restore it"


def test_a_history_is_one_look_at_the_product(catalog: Catalog, statements: list[str]) -> None:
    create(catalog, "A", 1, name="Tea")
    statements.clear()
    log = products.list_changes(catalog.database, " A ")
    assert (log.sku, log.name, len(log.changes)) == ("A", "Tea", 1)
    assert sum("FROM product" in one for one in statements) == 1 and len(statements) == 2


def test_what_was_changed_again_is_not_overwritten(catalog: Catalog) -> None:
    create(catalog, "A", 1, name="Tea")
    products.change(catalog.database, Facts("A", "Coffee"), actor="anna")
    changed = newest(catalog, "A")
    products.change(catalog.database, Facts("A", "Cocoa"), actor="ben")
    with pytest.raises(ConflictError, match="name was changed again"):
        products.revert(catalog, "A", changed.id, actor="anna")
    assert products.get(catalog.database, "A").name == "Cocoa"


def test_barcodes_and_skus_are_reverted_unless_another_product_has_them(catalog: Catalog) -> None:
    products.create(catalog, Facts("A", barcodes=(EAN,)), shots(1), Intake("anna"))
    barcode_owners.remove(catalog.database, "A", EAN, actor="anna")
    removed = newest(catalog, "A")
    products.create(catalog, Facts("B", barcodes=(EAN,)), shots(2), Intake("anna"))
    with pytest.raises(BarcodeTakenError):
        products.revert(catalog, "A", removed.id, actor="anna")
    barcode_owners.remove(catalog.database, "B", EAN, actor="anna")
    products.revert(catalog, "A", removed.id, actor="anna")
    assert barcode_owners.look_up(catalog.database, [EAN])[0].sku == "A"

    products.rename(catalog, "A", "C", actor="anna")
    renamed = newest(catalog, "C")
    products.rename(catalog, "B", "A", actor="anna")
    with pytest.raises(SkuExistsError):
        products.revert(catalog, "C", renamed.id, actor="anna")
    products.rename(catalog, "A", "B", actor="anna")
    assert products.revert(catalog, "C", renamed.id, actor="anna") == "A"
    assert [first(catalog, seed) for seed in (1, 2)] == ["A", "B"]
    with pytest.raises(ConflictError, match="SKU was changed again"):
        products.revert(catalog, "A", renamed.id, actor="anna")


def test_only_changes_of_this_product_that_can_be_reverted(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    products.delete_photos(catalog, "A", [added.photos[0].id], actor="anna")
    with pytest.raises(ConflictError, match="can't be reverted"):
        products.revert(catalog, "A", newest(catalog, "A").id, actor="anna")
    create(catalog, "B", 3)
    products.set_labels(catalog.database, "B", ("x",), actor="anna")
    with pytest.raises(NotFoundError):
        products.revert(catalog, "A", newest(catalog, "B").id, actor="anna")
    assert labels(catalog, "B") == ["x"]
