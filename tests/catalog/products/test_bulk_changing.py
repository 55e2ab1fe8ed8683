"""Many products changed at once, and that undone, on both databases."""

from __future__ import annotations

import csv
import io
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from catalog import enrollment, products, transfer
from catalog.catalog import Catalog
from catalog.errors import CatalogError, ConflictError, InvalidInputError, NotFoundError, StorageError
from catalog.products import BulkChange, Facts, Filter, Intake
from catalog.recognition import recognize
from catalog.storage.tables import AuditEntry, Label, Product
from catalog.transfer import exporting
from tests.support.pictures import jpeg
from tests.support.steps import create, shots


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    """A, B and C of a photo each, of which A has a label."""
    for number, sku in enumerate("ABC"):
        facts = Facts(sku, f"Tea {sku}", "X", "Old", labels=("s1",) if sku == "A" else ())
        products.create(catalog, facts, shots(number), Intake("anna"))
    return catalog


def change(catalog: Catalog, chosen: products.Chosen, **given: Any) -> products.BulkResult:
    return products.change_many(catalog, chosen, BulkChange(**given), actor="ben")


def state(catalog: Catalog) -> dict[str, tuple[str, str, str, bool]]:
    """SKU -> brand, category, labels, active."""
    found = {}
    for sku in products.chosen_skus(catalog.database, list("ABC")):
        each = products.get(catalog.database, sku)
        labels = " ".join(label.name for label in each.labels)
        found[sku] = each.brand, each.category, labels, each.active
    return found


def entries(catalog: Catalog) -> list[AuditEntry]:
    with catalog.database.read() as session:
        query = select(AuditEntry).where(AuditEntry.action.startswith("products.")).order_by(AuditEntry.id)
        return list(session.scalars(query))


def test_one_change_of_many_is_one_entry_and_is_undone_as_one(filled: Catalog) -> None:
    before = state(filled)
    given: dict[str, Any] = {"add_labels": ("s2", " s3 "), "remove_labels": ("s1",), "category": "New", "brand": "É"}
    done = change(filled, ["C", "A", "none", "a\x00b", ""], **given)
    assert (done.changed, done.left) == (2, [])
    assert state(filled) == {"A": ("É", "New", "s2 s3", True), "B": before["B"], "C": ("É", "New", "s2 s3", True)}
    assert [each.sku for each in products.list_page(filled.database, Filter("new e")).products] == ["A", "C"]
    (entry,) = entries(filled)
    assert (entry.id, entry.actor, entry.action, entry.subject) == (done.entry, "ben", "products.change", "2 products")
    new = {"brand": "É", "category": "New", "labels": ["s2", "s3"]}
    assert entry.after == {"products": {"A": new, "C": new}}
    old = {"brand": "X", "category": "Old"}
    assert entry.before == {"products": {"A": {**old, "labels": ["s1"]}, "C": {**old, "labels": []}}}
    assert change(filled, ["A", "C"], **given) == products.BulkResult(0, None), "nothing is left to change"
    undone = products.undo(filled, entry.id, actor="cleo")
    assert (undone.changed, undone.left, state(filled)) == (2, [], before)
    assert [each.sku for each in products.list_page(filled.database, Filter("old x")).products] == ["A", "B", "C"]
    with pytest.raises(ConflictError):
        products.undo(filled, entry.id, actor="cleo")
    again = products.undo(filled, undone.entry or 0, actor="cleo")  # an undo can be undone
    assert (again.changed, state(filled)["A"]) == (2, ("É", "New", "s2 s3", True))
    assert len(entries(filled)) == 3
    changes = products.list_changes(filled.database, "A").changes
    assert [each.action for each in changes] == ["products.undo", "products.undo", "products.change", "product.create"]
    told = [(each.field, each.before, each.after) for each in changes[2].differences]
    labels = [("labels", "s1", ""), ("labels", "", "s2"), ("labels", "", "s3")]
    assert told == [("brand", "X", "É"), ("category", "Old", "New"), *labels] and not changes[2].revertible
    assert [each.action for each in products.list_changes(filled.database, "B").changes] == ["product.create"]


def test_what_somebody_changed_since_is_left_and_named(filled: Catalog) -> None:
    done = change(filled, Filter(), category="New")
    products.change(filled.database, Facts("A", "Tea A", "X", "Newer"), actor="anna")
    products.change(filled.database, Facts("B", "another name", "Y", "New"), actor="anna")
    products.rename(filled, "C", "D", actor="anna")
    undone = products.undo(filled, done.entry or 0, actor="ben")
    assert (undone.changed, undone.left) == (1, ["A", "C"])
    assert {sku: values[1] for sku, values in state(filled).items()} == {"A": "Newer", "B": "Old"}
    assert products.get(filled.database, "B").brand == "Y", "what the change did not touch stays"
    assert entries(filled)[-1].after == {"products": {"B": {"category": "Old"}}, "left": ["A", "C"]}


def test_an_older_version_of_the_page_is_refused_after_it(filled: Catalog) -> None:
    version = products.get(filled.database, "A").version
    change(filled, ["A"], brand="Z")
    with pytest.raises(ConflictError):
        products.change(filled.database, Facts("A", "Tea A"), version=version, actor="anna")


def test_retired_ones_are_missing_from_the_next_answer_until_they_are_back(filled: Catalog) -> None:
    done = change(filled, Filter(search="tea", label="s1"), active=False)
    assert [match.sku for match in recognize(filled, jpeg(0)).matches] != []
    assert "A" not in [match.sku for match in recognize(filled, jpeg(0)).matches]
    live = filled.generations.ready()
    assert len(filled.gallery.ids(live.collection)) == 2
    products.undo(filled, done.entry or 0, actor="ben")
    assert recognize(filled, jpeg(0)).matches[0].sku == "A"
    assert len(filled.gallery.ids(live.collection)) == 3
    change(filled, ["A"], active=False)
    filled.gallery.on = False
    assert change(filled, Filter(retired=True), active=True).changed == 1
    assert products.counts(filled.database).pending == 1
    filled.gallery.on = True
    enrollment.run_pending(filled)
    assert recognize(filled, jpeg(0)).matches[0].sku == "A"


def test_what_can_not_be_changes_nothing(filled: Catalog) -> None:
    before = state(filled)
    many = tuple(f"l{number}" for number in range(50))
    refused: tuple[tuple[dict[str, Any], type[CatalogError]], ...] = (
        ({}, InvalidInputError),
        ({"add_labels": ("a;b",)}, InvalidInputError),
        ({"add_labels": ("a",), "remove_labels": ("a",)}, InvalidInputError),
        ({"brand": "x" * 101}, InvalidInputError),
        ({"category": "a\x00b"}, InvalidInputError),
        ({"add_labels": many, "brand": "Z"}, ConflictError),
    )
    for given, error in refused:
        with pytest.raises(error):
            change(filled, Filter(), **given)
        assert (state(filled), entries(filled)) == (before, [])


def test_only_changes_of_several_are_undone_here(filled: Catalog) -> None:
    with filled.database.read() as session:
        other = session.scalars(select(AuditEntry.id)).first() or 0
    for entry in (other, 0, -1, 2**40):
        assert products.bulk_entry(filled.database, entry) is None
        with pytest.raises(NotFoundError):
            products.undo(filled, entry, actor="ben")


def test_thousands_at_once(catalog: Catalog) -> None:
    with catalog.database.write() as session:
        rows = [{"sku": f"S{number:05}", "name": f"tea {number}"} for number in range(2500)]
        session.execute(insert(Product), rows)
    done = change(catalog, Filter("tea"), add_labels=("all",), brand="B", active=False)
    assert done.changed == 2500
    with catalog.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Label)) == 2500
        assert session.scalar(select(func.count()).select_from(Product).where(~Product.active)) == 2500
    assert products.undo(catalog, done.entry or 0, actor="ben").changed == 2500
    with catalog.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Label)) == 0


def test_exactly_what_is_chosen_is_exported(filled: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(filled, "D", 7, name="Coffee")
    skus = products.chosen_skus(filled.database, Filter("tea", never_recognized=True))
    rows = list(csv.DictReader(io.StringIO(transfer.export_list(filled.database, skus).decode("utf-8-sig"))))
    assert [(row["sku"], row["labels"], row["photos"]) for row in rows] == [
        ("A", "s1", ""),
        ("B", "", ""),
        ("C", "", ""),
    ]
    done = transfer.export(filled, tmp_path / "some.zip", skus=["D", "A"])
    assert (done.products, done.photos) == (2, 2)
    with zipfile.ZipFile(tmp_path / "some.zip") as archive:
        listed = list(csv.DictReader(io.StringIO(archive.read("catalog.csv").decode("utf-8-sig"))))
        assert [row["sku"] for row in listed] == ["D", "A"]
        assert {row["photos"] for row in listed} | {"catalog.csv"} == set(archive.namelist())
    download, left_out = transfer.export_download(filled, ["D", "A"])
    assert left_out == []
    with download as file, zipfile.ZipFile(file) as archive:
        assert len(archive.namelist()) == 3
    monkeypatch.setattr(exporting, "MAX_DOWNLOAD", len(jpeg(7)))
    transfer.export_download(filled, ["D"])[0].close()
    with pytest.raises(InvalidInputError, match="The photos of 2 products are more than 1 GB"):
        transfer.export_download(filled, ["D", "A"])


def test_a_download_says_what_is_left_out(filled: Catalog, tmp_path: Path) -> None:
    (photo,) = products.get(filled.database, "B").photos
    next((filled.settings.data / "photos").rglob(photo.sha256)).unlink()
    download, (left_out,) = transfer.export_download(filled, ["B", "A"])
    assert left_out.startswith(f"B: {photo.filename}: ")
    (tmp_path / "products.zip").write_bytes(download.read())
    download.close()
    with zipfile.ZipFile(tmp_path / "products.zip") as archive:
        assert archive.read(transfer.LEFT_OUT).decode() == f"{left_out}\n"
    with transfer.open_source(tmp_path / "products.zip") as source:
        assert source.listed and source.photos == 1, "it can be imported all the same"


def test_a_download_that_can_not_be_written_says_why(filled: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("write error")  # as of a library: with no number, and so no text of the system

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(StorageError, match="can't be written: write error"):
        transfer.export_download(filled, ["A"])


def test_two_undos_at_once_do_it_once(filled: Catalog) -> None:
    entry = change(filled, list("ABC"), category="New").entry or 0
    change(filled, ["A"], category="Newer")  # an undo leaves it, and so would a second one undo nothing
    ready = threading.Barrier(2)

    def undo() -> str:
        ready.wait()
        try:
            return ",".join(products.undo(filled, entry, actor="ben").left)
        except ConflictError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        said = [each.result() for each in [pool.submit(undo), pool.submit(undo)]]
    assert sorted(said) == ["A", "This was undone already."]
