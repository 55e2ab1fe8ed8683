from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import select

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import run_pending
from catalog.errors import CatalogError, ConflictError, InvalidInputError, NotFoundError, SkuExistsError
from catalog.products import Facts, Intake, barcode_owners
from catalog.recognition import recognize
from catalog.storage import content_hash
from catalog.storage.tables import AuditEntry, RecognitionEntry
from tests.support.pictures import jpeg
from tests.support.steps import create, first, points, rows, shots

EAN, OTHER = "4006381333931", "96385074"


def audit(catalog: Catalog) -> list[tuple[str, str]]:
    with catalog.database.read() as session:
        return [(e.action, e.subject) for e in session.scalars(select(AuditEntry).order_by(AuditEntry.id))]


def test_a_renamed_product_keeps_all_and_answers_by_its_new_sku(catalog: Catalog) -> None:
    create(catalog, "A", 1, 2, name="Tea")
    create(catalog, "B", 3)
    barcode_owners.add(catalog.database, "A", EAN, actor="anna")
    products.rename(catalog, "A", " A-new ", actor="anna")
    product = products.get(catalog.database, "A-new")
    assert (product.name, len(product.photos), len(product.barcodes)) == ("Tea", 2, 1)
    with pytest.raises(NotFoundError):
        products.get(catalog.database, "A")
    assert [first(catalog, seed) for seed in (1, 2, 3)] == ["A-new", "A-new", "B"]
    assert products.counts(catalog.database).pending == 0
    live = catalog.generations.ready()
    hits = catalog.gallery.search(live.collection, live.embedder.embed_bytes(jpeg(1)), 3)
    assert {hit.sku for hit in hits} == {"A-new", "B"}  # the gallery says it, too
    assert audit(catalog)[-1] == ("product.rename", "A-new")
    products.rename(catalog, "A-new", "A-new", actor="anna")  # nothing new
    assert audit(catalog)[-1] == ("product.rename", "A-new")


def test_renamed_while_the_gallery_is_away(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    catalog.gallery.on = False
    products.rename(catalog, "A", "B", actor="anna")
    catalog.gallery.on = True
    assert first(catalog, 1) == "B"  # SQL has the last word
    run_pending(catalog)
    assert products.counts(catalog.database).pending == 0


def test_a_sku_that_is_taken_or_can_not_be(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    for new, error in (("B", SkuExistsError), ("a/../b", InvalidInputError), ("", InvalidInputError)):
        with pytest.raises(error):
            products.rename(catalog, "A", new, actor="anna")
    with pytest.raises(NotFoundError):
        products.rename(catalog, "C", "D", actor="anna")
    version = products.get(catalog.database, "A").version
    products.change(catalog.database, Facts("A", "Tea"), actor="ben")
    with pytest.raises(ConflictError):
        products.rename(catalog, "A", "C", version=version, actor="anna")
    assert [first(catalog, seed) for seed in (1, 2)] == ["A", "B"]


def test_two_skus_become_one(catalog: Catalog) -> None:
    products.create(catalog, Facts("A", "Tea old", labels=("x", "y")), shots(1, 2), Intake("anna"))
    products.create(catalog, Facts("B", "Tea", labels=("y", "z")), shots(2, 3), Intake("anna"))
    barcode_owners.add(catalog.database, "A", EAN, actor="anna")
    barcode_owners.add(catalog.database, "B", OTHER, actor="anna")
    answer = uuid.uuid4()
    with catalog.database.write() as session:
        owner = products.get(catalog.database, "A").id
        facts = {"decision": "match", "decided_by": "embedding", "bundle_id": "x", "milliseconds": 1.0}
        session.add(RecognitionEntry(id=answer, product_id=owner, sku="A", **facts))
    products.merge(catalog, "A", "B", actor="anna")
    product = products.get(catalog.database, "B")
    assert (product.name, [label.name for label in product.labels]) == ("Tea", ["x", "y", "z"])
    assert {photo.sha256 for photo in product.photos} == {content_hash(jpeg(seed)) for seed in (1, 2, 3)}
    assert {barcode.gtin for barcode in product.barcodes} == {EAN.zfill(14), OTHER.zfill(14)}
    with pytest.raises(NotFoundError):
        products.get(catalog.database, "A")
    assert [first(catalog, seed) for seed in (1, 2, 3)] == ["B"] * 3
    assert points(catalog) == 3
    assert rows(catalog) == {"product": 1, "photo": 3, "enrollment": 3, "removal": 0}
    with catalog.database.read() as session:
        assert session.get(RecognitionEntry, answer).product_id == product.id
    assert audit(catalog)[-1] == ("product.merge", "B")


@pytest.mark.parametrize("retired", ["A", "B"])
def test_one_of_them_is_retired(catalog: Catalog, retired: str) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    create(catalog, "C", 3)
    products.set_active(catalog, retired, False, actor="anna")
    products.merge(catalog, "A", "B", actor="anna")
    found = [first(catalog, seed) for seed in (1, 2)]
    assert found == (["B", "B"] if retired == "A" else ["C", "C"])
    assert points(catalog) == (3 if retired == "A" else 1)


def test_merged_while_the_gallery_is_away(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    catalog.gallery.on = False
    products.merge(catalog, "A", "B", actor="anna")
    catalog.gallery.on = True
    while run_pending(catalog):
        pass
    assert [first(catalog, seed) for seed in (1, 2)] == ["B", "B"]
    assert (points(catalog), rows(catalog)["removal"]) == (2, 0)


def test_what_can_not_be_merged(catalog: Catalog) -> None:
    many = tuple(f"label {number}" for number in range(30))
    products.create(catalog, Facts("A", labels=many), shots(1), Intake("anna"))
    products.create(catalog, Facts("B", labels=tuple(f"other {name}" for name in many)), shots(2), Intake("anna"))
    before = rows(catalog)
    for sku, into, error in (
        ("A", "A", InvalidInputError),
        ("A", "C", NotFoundError),
        ("C", "A", NotFoundError),
        ("A", "B", ConflictError),
    ):
        with pytest.raises(error):
            products.merge(catalog, sku, into, actor="anna")
    assert rows(catalog) == before
    assert [first(catalog, seed) for seed in (1, 2)] == ["A", "B"]


def test_merges_both_ways_at_once_leave_one(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)

    def merge(pair: tuple[str, str]) -> None:
        with suppress(NotFoundError):
            products.merge(catalog, *pair, actor="anna")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(merge, [("A", "B"), ("B", "A")] * 4))
    while run_pending(catalog):
        pass
    (left,) = products.list_page(catalog.database).products
    assert [first(catalog, seed) for seed in (1, 2)] == [left.sku] * 2
    assert rows(catalog) == {"product": 1, "photo": 2, "enrollment": 2, "removal": 0}


def test_a_purged_product_is_gone_for_good(catalog: Catalog) -> None:
    products.create(catalog, Facts("A", "Tea", barcodes=(EAN,), labels=("x",)), shots(1, 2), Intake("anna"))
    create(catalog, "B", 2)
    products.purge(catalog, "A", actor="anna")
    assert rows(catalog) == {"product": 1, "photo": 1, "enrollment": 1, "removal": 0}
    assert points(catalog) == 1
    assert recognize(catalog, jpeg(2)).matches[0].sku == "B"
    with pytest.raises(NotFoundError):
        products.purge(catalog, "A", actor="anna")
    with catalog.database.read() as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert (entry.action, entry.subject, entry.after) == ("product.purge", "A", None)
        assert (entry.before["name"], entry.before["barcodes"], len(entry.before["photos"])) == (
            "Tea",
            [EAN.zfill(14)],
            2,
        )
    create(catalog, "A", 1)  # and its SKU is free
    barcode_owners.add(catalog.database, "A", EAN, actor="anna")
    assert first(catalog, 1) == "A"


def test_a_purge_is_one_step(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    create(catalog, "A", 1)

    def broken(*_: object, **__: object) -> None:
        raise CatalogError("stop")

    monkeypatch.setattr("catalog.products.merging.audit_log.record", broken)
    for change in (
        lambda: products.purge(catalog, "A", actor="anna"),
        lambda: products.rename(catalog, "A", "B", actor="anna"),
    ):
        with pytest.raises(CatalogError):
            change()
    assert rows(catalog) == {"product": 1, "photo": 1, "enrollment": 1, "removal": 0}
    assert first(catalog, 1) == "A"
