"""Two products that are one: what stays of each, as it is shown, is what they become."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from catalog import products
from catalog.catalog import Catalog
from catalog.errors import ConflictError, InvalidInputError, NotFoundError
from catalog.products import Facts, Intake, side_by_side
from catalog.products.side_by_side import SideBySide
from catalog.storage.tables import AuditEntry
from tests.support.steps import create, first, points, rows, shots

EAN, OTHER = "4006381333931", "96385074"


def fill(catalog: Catalog) -> None:
    """B has more photos, and A has the fuller name."""
    one = Facts("A", "Green tea 250 g", "Leaf", "", (EAN,), "tea", ("x",), {"color": "green", "size": "250 g"})
    other = Facts("B", "Tea", "", "Hot drinks", (OTHER,), "", ("x", "y"), {"color": "dark green", "shelf": "4"})
    products.create(catalog, one, shots(1, 2), Intake("anna"))
    products.create(catalog, other, shots(2, 3, 4), Intake("anna"))


def kept(seen: SideBySide) -> dict[str, str]:
    return {field.key: field.kept for field in seen.fields}


def versions(seen: SideBySide) -> tuple[int, int]:
    return seen.one.version, seen.other.version


def test_the_fuller_value_stays_unless_another_is_chosen(catalog: Catalog) -> None:
    fill(catalog)
    seen = side_by_side.compare(catalog.database, "A", "B")
    assert kept(seen) == {
        "stays": "other",
        "name": "one",
        "brand": "one",
        "category": "other",
        "variant_group": "one",
        "attribute:color": "other",
        "attribute:shelf": "other",
        "attribute:size": "one",
    }
    assert (seen.kept.sku, seen.merged.sku) == ("B", "A")
    assert (seen.facts.name, seen.facts.brand, seen.facts.category) == ("Green tea 250 g", "Leaf", "Hot drinks")
    assert seen.facts.attributes == {"color": "dark green", "shelf": "4", "size": "250 g"}
    assert (seen.facts.labels, len(seen.photos), len(seen.barcodes)) == (("x", "y"), 4, 2)
    chosen = {"stays": "one", "name": "other", "attribute:size": "other", "brand": "neither"}
    again = side_by_side.compare(catalog.database, "A", "B", chosen)
    assert kept(again) == {**kept(seen), "stays": "one", "name": "other", "attribute:size": "other"}
    assert (again.facts.sku, again.facts.name) == ("A", "Tea")
    assert again.facts.attributes == {"color": "dark green", "shelf": "4"}, "B has no size, and that was chosen"


@pytest.mark.parametrize("stays", ["one", "other"])
def test_what_is_shown_is_what_they_become(catalog: Catalog, stays: str) -> None:
    fill(catalog)
    chosen = {"stays": stays, "name": "other", "brand": "other", "attribute:size": "other", "attribute:shelf": "one"}
    seen = side_by_side.compare(catalog.database, "A", "B", chosen)
    sku = side_by_side.merge_chosen(catalog, "A", "B", chosen, versions(seen), actor="anna")
    assert sku == ("A" if stays == "one" else "B")
    product = products.get(catalog.database, sku)
    facts = {"name": "Tea", "brand": "", "category": "Hot drinks", "variant_group": "tea"}
    assert {key: getattr(product, key) for key in facts} == facts
    assert product.attributes == seen.facts.attributes == {"color": "dark green"}
    assert len(product.photos) == 4
    assert {photo.sha256 for photo in product.photos} == set(seen.photos)
    assert sorted(barcode.gtin for barcode in product.barcodes) == list(seen.barcodes)
    assert [label.name for label in product.labels] == ["x", "y"]
    assert [first(catalog, seed) for seed in (1, 2, 3, 4)] == [sku] * 4
    assert (points(catalog), rows(catalog)["product"]) == (4, 1)
    found = products.list_page(catalog.database, products.Filter("hot drinks")).products
    assert [each.sku for each in found] == [sku], "and is searched by"
    with catalog.database.read() as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry and (entry.actor, entry.action, entry.subject) == ("anna", "product.merge", sku)
    assert entry.before and entry.before["merged"]["sku"] == seen.merged.sku
    assert entry.after and entry.after["category"] == "Hot drinks" and entry.after["attributes"] == product.attributes


def test_what_was_changed_meanwhile_is_not_merged_away(catalog: Catalog) -> None:
    fill(catalog)
    seen = side_by_side.compare(catalog.database, "A", "B")
    before = rows(catalog)
    for sku in ("A", "B"):
        seen = side_by_side.compare(catalog.database, "A", "B")
        products.change(catalog.database, Facts(sku, f"Changed {sku}"), actor="ben")
        with pytest.raises(ConflictError, match=repr(sku)):
            side_by_side.merge_chosen(catalog, "A", "B", {}, versions(seen), actor="anna")
    assert rows(catalog) == before
    now = side_by_side.compare(catalog.database, "A", "B")
    side_by_side.merge_chosen(catalog, "A", "B", {}, versions(now), actor="anna")
    with pytest.raises(NotFoundError):
        side_by_side.merge_chosen(catalog, "A", "B", {}, versions(now), actor="ben")


def test_a_name_that_is_only_the_sku_was_never_given(catalog: Catalog) -> None:
    create(catalog, "A-LONG-SKU-OF-THE-SUPPLIER", 1)
    create(catalog, "B", 2, name="Tea")
    seen = side_by_side.compare(catalog.database, "A-LONG-SKU-OF-THE-SUPPLIER", "B")
    assert seen.facts.name == "Tea"


def test_the_active_one_of_two_stays(catalog: Catalog) -> None:
    create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    products.set_active(catalog, "A", False, actor="anna")
    assert side_by_side.compare(catalog.database, "A", "B").kept.sku == "B"


def test_what_can_not_be_one(catalog: Catalog) -> None:
    names = [f"key {number}" for number in range(30)]
    products.create(catalog, Facts("A", attributes=dict.fromkeys(names, "1")), shots(1), Intake("anna"))
    others = {f"other {name}": "1" for name in names}
    products.create(catalog, Facts("B", attributes=others), shots(2), Intake("anna"))
    with pytest.raises(ConflictError, match="60 attributes"):
        side_by_side.compare(catalog.database, "A", "B")
    for sku, other, error in (("A", "A", InvalidInputError), ("A", "C", NotFoundError), ("a\0", "A", NotFoundError)):
        with pytest.raises(error):
            side_by_side.compare(catalog.database, sku, other)
