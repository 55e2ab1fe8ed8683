"""An import over products that are there: what it says of them, and what it changes with update."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from catalog import products, transfer
from catalog.catalog import Catalog
from catalog.recognition import recognize
from catalog.storage.tables import AuditEntry
from catalog.transfer import Line, Report
from tests.support.pictures import jpeg

FIRST = """\
sku,photos,name,brand,labels,attribute:Color,barcode,active
A,1.jpg,Tea,Leaf,x|y,green,4006381333931,
B,2.jpg,Milk,,,,,
"""
SECOND = """\
sku,name,brand,category,labels,attribute:Color,attribute:Size,barcode,active
A,Green tea,,Drinks,y|z,,100 g,96385074,
B,Milk,,,,,,,no
"""


@pytest.fixture
def path(catalog: Catalog, tmp_path: Path) -> Path:
    """A list whose two products are in the catalog, and that now says something else of them."""
    for seed in (1, 2, 3):
        (tmp_path / f"{seed}.jpg").write_bytes(jpeg(seed))
    found = tmp_path / "list.csv"
    found.write_text(FIRST)
    assert load(catalog, found) == Report(products=2, photos=2)
    found.write_text(SECOND)
    return found


def load(catalog: Catalog, path: Path, *, update: bool = False) -> Report:
    with transfer.open_source(path, photos_needed=False) as source:
        return transfer.import_items(catalog, source.items, actor="anna", update=update)


def preview(catalog: Catalog, path: Path) -> list[Line]:
    with transfer.open_source(path, photos_needed=False) as source:
        return list(transfer.preview(catalog.database, source.items))


def entries(catalog: Catalog, sku: str) -> list[AuditEntry]:
    with catalog.database.read() as session:
        return list(session.scalars(select(AuditEntry).where(AuditEntry.subject == sku).order_by(AuditEntry.id)))


def test_facts_are_changed_to_those_of_the_list_in_one_audit_entry(catalog: Catalog, path: Path) -> None:
    before = {sku: len(entries(catalog, sku)) for sku in "AB"}
    assert load(catalog, path, update=True) == Report(changed=2)
    tea = products.get(catalog.database, "A")
    assert (tea.name, tea.brand, tea.category) == ("Green tea", "Leaf", "Drinks")  # an empty cell changes nothing
    assert [label.name for label in tea.labels] == ["y", "z"]
    assert tea.attributes == {"Color": "green", "Size": "100 g"}
    assert [barcode.gtin for barcode in tea.barcodes] == ["00000096385074", "04006381333931"]  # none is lost
    assert [product.sku for product in products.list_page(catalog.database, products.Filter("green")).products] == ["A"]
    assert not products.get(catalog.database, "B").active
    for sku, action in (("A", "product.change"), ("B", "product.retire")):
        assert len(entries(catalog, sku)) == before[sku] + 1
        entry = entries(catalog, sku)[-1]
        assert (entry.actor, entry.action) == ("anna", action)
    assert load(catalog, path, update=True) == Report()
    assert preview(catalog, path)[0].state == "unchanged"


def test_a_product_comes_back_when_the_list_says_so(catalog: Catalog, path: Path) -> None:
    load(catalog, path, update=True)
    assert all(match.sku != "B" for match in recognize(catalog, jpeg(2)).matches)
    path.write_text("sku,active\nB,yes\n")
    assert load(catalog, path, update=True) == Report(changed=1)
    assert recognize(catalog, jpeg(2)).matches[0].sku == "B"


def test_without_update_what_differs_is_told_and_left(catalog: Catalog, path: Path) -> None:
    report = load(catalog, path)
    told = "name: Tea -> Green tea; category: (empty) -> Drinks; labels: x|y -> y|z; attribute:Size: (empty) -> 100 g"
    assert report == Report(ignored=[f"{path}:2: A: {told}"])
    tea = products.get(catalog.database, "A")
    assert (tea.name, tea.category, tea.attributes) == ("Tea", "", {"Color": "green"})
    assert len(tea.barcodes) == 2
    assert not products.get(catalog.database, "B").active


def test_a_preview_says_by_line_what_would_be_done_and_changes_nothing(catalog: Catalog, path: Path) -> None:
    lines = [
        "sku,photos,name,brand,barcode",
        "A,1.jpg|3.jpg,Coffee,,",
        "B,2.jpg,Milk,,",
        "C,3.jpg,,,",
        "D,9.jpg,,,",
        "E,3.jpg,,,1",
    ]
    path.write_text("\n".join(lines))
    seen = [(line.sku, line.state, str(line)) for line in preview(catalog, path)]
    assert [state for _, state, _ in seen] == ["changed", "unchanged", "new", "wrong", "wrong"]
    assert seen[0][2] == "A: changed: name: Tea -> Coffee; +1 photos"
    assert "9.jpg: No such file" in seen[3][2]
    assert products.get(catalog.database, "A").name == "Tea"
    assert products.counts(catalog.database).products == 2


def test_what_a_preview_says_is_what_an_import_does(catalog: Catalog, path: Path) -> None:
    path.write_text("sku,photos,name\nA,1.jpg|3.jpg,Coffee\nB,,Milk\nC,2.jpg,\nD,9.jpg,\n")
    lines = preview(catalog, path)
    report = load(catalog, path, update=True)
    assert report.products == sum(line.state == "new" for line in lines)
    assert report.photos == sum(line.photos for line in lines)
    assert report.changed == sum(line.state == "changed" and bool(line.changes) for line in lines)
    assert len(report.errors) == sum(line.state == "wrong" for line in lines)
    assert {line.state for line in preview(catalog, path)} == {"unchanged", "wrong"}


def test_lines_of_one_sku_say_together_what_it_is(catalog: Catalog, path: Path) -> None:
    path.write_text("sku,photos,name,labels,attribute:Color\nC,1.jpg,,a,\nC,2.jpg,Cheese,b,yellow\n")
    assert load(catalog, path) == Report(products=1, photos=2)
    cheese = products.get(catalog.database, "C")
    assert (cheese.name, [label.name for label in cheese.labels]) == ("Cheese", ["a", "b"])
    assert cheese.attributes == {"Color": "yellow"}
    assert load(catalog, path, update=True) == Report(duplicates=2)


def test_of_lines_that_contradict_each_other_the_later_one_is_left_out(catalog: Catalog, path: Path) -> None:
    path.write_text("sku,name\nA,Green\nA,Black\n")
    report = load(catalog, path, update=True)
    assert report.changed == 1 and "is 'Black' here and 'Green' before" in report.errors[0]
    assert load(catalog, path, update=True).changed == 0


def test_a_barcode_of_another_product_leaves_the_line_out(catalog: Catalog, path: Path) -> None:
    path.write_text("sku,name,barcode\nB,Milk 2,4006381333931\n")
    report = load(catalog, path, update=True)
    assert report.changed == 0 and "product 'A'" in report.errors[0]
    assert products.get(catalog.database, "B").name == "Milk"
