"""The bin: what was deleted is gone from the next answer, and comes back as it was."""

from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from catalog import maintenance, products
from catalog.catalog import Catalog
from catalog.enrollment import Worker, run_pending
from catalog.errors import (
    BarcodeTakenError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    SkuAlikeError,
    SkuExistsError,
)
from catalog.maintenance import photo_checks
from catalog.products import Facts, Intake, barcode_owners
from catalog.storage import bin_rows, content_hash
from catalog.storage.tables import AuditEntry, BinEntry, BinPhoto, DifferentProducts, RecognitionEntry, now
from tests.support.pictures import jpeg
from tests.support.steps import create, first, points, rows, shots

EAN = "4006381333931"


def photos(catalog: Catalog, sku: str) -> list[str]:
    return [photo.sha256 for photo in products.get(catalog.database, sku).photos]


def in_bin(catalog: Catalog) -> tuple[int, int]:
    """Entries and photos."""
    with catalog.database.read() as session:
        count = [session.scalar(select(func.count()).select_from(table)) or 0 for table in (BinEntry, BinPhoto)]
    return count[0], count[1]


def audit(catalog: Catalog) -> list[tuple[str, str]]:
    with catalog.database.read() as session:
        return [(e.action, e.subject) for e in session.scalars(select(AuditEntry).order_by(AuditEntry.id))]


def test_deleted_photos_are_gone_at_once_and_come_back_searchable(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2, 3)
    create(catalog, "B", 9)
    entry = products.delete_photos(catalog, "A", [added.photos[0].id, added.photos[1].id], actor="anna")
    assert photos(catalog, "A") == [content_hash(jpeg(3))]
    assert points(catalog) == 2
    (deleted,) = products.list_deleted(catalog.database).entries
    assert (deleted.id, deleted.actor, deleted.sku, deleted.whole, deleted.there) == (entry, "anna", "A", False, True)
    assert deleted.photos == (content_hash(jpeg(1)), content_hash(jpeg(2)))
    products.rename(catalog, "A", "A-new", actor="anna")
    assert products.list_deleted(catalog.database).entries[0].sku == "A-new"
    done = products.undelete(catalog, entry, actor="ben")
    assert (done.sku, done.photos, done.whole) == ("A-new", 2, False)
    assert [first(catalog, seed) for seed in (1, 2, 3)] == ["A-new"] * 3
    assert products.counts(catalog.database).pending == 0
    assert products.get(catalog.database, "A-new").photos[0].filename == "1.jpg"
    assert (in_bin(catalog), points(catalog)) == ((0, 0), 4)
    assert audit(catalog)[-1] == ("photo.undelete", "A-new")
    with pytest.raises(NotFoundError):
        products.undelete(catalog, entry, actor="ben")


def test_a_deleted_product_comes_back_with_all_that_it_had(catalog: Catalog) -> None:
    facts = Facts("A", "Tea", "Best", "Drinks", (EAN,), "teas", ("store 1", "store 2"), {"size": "20"})
    products.create(catalog, facts, shots(1, 2), Intake("anna"))
    create(catalog, "B", 3)
    before = products.get(catalog.database, "A")
    products.set_cover(catalog.database, "A", before.photos[1].id, actor="anna")
    answer = uuid.uuid4()
    with catalog.database.write() as session:
        told = {"decision": "match", "decided_by": "embedding", "bundle_id": "x", "milliseconds": 1.0}
        session.add(RecognitionEntry(id=answer, product_id=before.id, sku="A", **told))
    entry = products.delete_product(catalog, "A", actor="anna")
    with pytest.raises(NotFoundError):
        products.get(catalog.database, "A")
    assert first(catalog, 1) == "B" and points(catalog) == 1
    assert audit(catalog)[-1] == ("product.delete", "A")
    assert barcode_owners.look_up(catalog.database, [EAN])[0].sku == ""
    (deleted,) = products.list_deleted(catalog.database).entries
    assert (deleted.whole, deleted.there, deleted.name) == (True, False, "Tea")
    assert deleted.photos == (content_hash(jpeg(2)), content_hash(jpeg(1)))
    assert products.undelete(catalog, entry, actor="ben").whole
    after = products.get(catalog.database, "A")
    assert (after.id, after.created_at, after.search) == (before.id, before.created_at, before.search)
    assert (after.name, after.brand, after.category, after.variant_group) == ("Tea", "Best", "Drinks", "teas")
    assert (after.attributes, [label.name for label in after.labels]) == ({"size": "20"}, ["store 1", "store 2"])
    assert barcode_owners.look_up(catalog.database, [EAN])[0].sku == "A"
    assert photos(catalog, "A") == [content_hash(jpeg(2)), content_hash(jpeg(1))], "the cover is first"
    assert [first(catalog, seed) for seed in (1, 2, 3)] == ["A", "A", "B"]
    assert rows(catalog) == {"product": 2, "photo": 3, "enrollment": 3, "removal": 0}
    assert in_bin(catalog) == (0, 0)
    with catalog.database.read() as session:
        assert session.get(RecognitionEntry, answer).product_id == before.id


def test_deleted_and_restored_while_the_gallery_is_away(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    catalog.gallery.on = False
    products.undelete(catalog, products.delete_product(catalog, "A", actor="anna"), actor="anna")
    catalog.gallery.on = True
    while run_pending(catalog):
        pass
    assert [first(catalog, seed) for seed in (1, 2)] == ["A", "B"]
    assert (points(catalog), rows(catalog)["removal"]) == (2, 0)


def test_a_retired_product_is_retired_when_it_is_back(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    products.set_active(catalog, "A", False, actor="anna")
    products.undelete(catalog, products.delete_product(catalog, "A", actor="anna"), actor="anna")
    assert not products.get(catalog.database, "A").active
    assert (first(catalog, 1), points(catalog)) == ("B", 1)


def test_what_was_taken_meanwhile_is_told_and_nothing_changes(catalog: Catalog) -> None:
    products.create(catalog, Facts("A", barcodes=(EAN,)), shots(1), Intake("anna"))
    entry = products.delete_product(catalog, "A", actor="anna")
    products.create(catalog, Facts("B", barcodes=(EAN,)), shots(2), Intake("anna"))
    with pytest.raises(BarcodeTakenError):
        products.undelete(catalog, entry, actor="anna")
    barcode_owners.remove(catalog.database, "B", EAN, actor="anna")
    for taken, error in (("a", SkuAlikeError), ("A", SkuExistsError)):
        products.rename(catalog, products.list_page(catalog.database).products[0].sku, taken, actor="anna")
        with pytest.raises(error):
            products.undelete(catalog, entry, actor="anna")
    assert rows(catalog)["product"] == 1 and in_bin(catalog) == (1, 1)
    products.rename(catalog, "A", "B", actor="anna")
    products.undelete(catalog, entry, actor="anna")
    assert [first(catalog, seed) for seed in (1, 2)] == ["A", "B"]


def test_a_photo_waits_for_its_product_and_goes_with_it_when_it_is_merged(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    photo = products.delete_photos(catalog, "A", [added.photos[0].id], actor="anna")
    product = products.delete_product(catalog, "A", actor="anna")
    with pytest.raises(ConflictError, match="restore it first"):
        products.undelete(catalog, photo, actor="anna")
    products.undelete(catalog, product, actor="anna")
    products.merge(catalog, "A", "B", actor="anna")
    assert products.undelete(catalog, photo, actor="anna").sku == "B"
    assert [first(catalog, seed) for seed in (1, 2, 3)] == ["B"] * 3


def test_a_photo_that_was_added_again_stays_one(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    entry = products.delete_photos(catalog, "A", [added.photos[0].id], actor="anna")
    products.add_photos(catalog, "A", shots(1), Intake("anna"))
    products.undelete(catalog, entry, actor="anna")
    assert sorted(photos(catalog, "A")) == sorted(content_hash(jpeg(seed)) for seed in (1, 2))
    assert (rows(catalog)["photo"], points(catalog), in_bin(catalog)) == (2, 2, (0, 0))


def test_what_is_not_there_is_not_deleted(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    before = rows(catalog)
    for wanted, error in (([], InvalidInputError), ([added.photos[0].id, uuid.uuid4()], NotFoundError)):
        with pytest.raises(error):
            products.delete_photos(catalog, "A", wanted, actor="anna")
    with pytest.raises(NotFoundError):
        products.delete_product(catalog, "B", actor="anna")
    with pytest.raises(NotFoundError):
        products.undelete(catalog, uuid.uuid4(), actor="anna")
    assert (rows(catalog), in_bin(catalog)) == (before, (0, 0))


def test_the_bin_keeps_the_bytes_for_30_days(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    added = create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    products.delete_photos(catalog, "A", [added.photos[0].id], actor="anna")
    products.delete_product(catalog, "B", actor="anna")
    monkeypatch.setattr(photo_checks, "ORPHAN_AGE", timedelta(0))
    assert not list(maintenance.examine(catalog, remove_orphans=True))
    assert bin_rows.trim(catalog.database) == 0
    expire(catalog)
    assert (bin_rows.trim(catalog.database), in_bin(catalog)) == (2, (0, 0))
    gone = {finding.sha256 for finding in maintenance.examine(catalog, remove_orphans=True)}
    assert gone == {content_hash(jpeg(1)), content_hash(jpeg(3))}


def expire(catalog: Catalog) -> None:
    with catalog.database.write() as session:
        session.execute(update(BinEntry).values(at=now() - bin_rows.KEPT - timedelta(minutes=1)))


def differing(catalog: Catalog) -> int:
    with catalog.database.read() as session:
        return session.scalar(select(func.count()).select_from(DifferentProducts)) or 0


def test_that_products_differ_is_forgotten_with_the_product_and_not_before(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    for seed, sku in enumerate("BC", start=3):
        create(catalog, sku, seed)
        products.set_different(catalog.database, "A", sku, actor="anna")
    products.delete_photos(catalog, "A", [added.photos[0].id], actor="anna")
    expire(catalog)
    assert (bin_rows.trim(catalog.database), differing(catalog)) == (1, 2)
    products.undelete(catalog, products.delete_product(catalog, "A", actor="anna"), actor="anna")
    products.delete_product(catalog, "B", actor="anna")
    assert (bin_rows.trim(catalog.database), differing(catalog)) == (0, 2)
    expire(catalog)
    assert (bin_rows.trim(catalog.database), differing(catalog)) == (1, 1)


def test_a_full_bin_is_emptied_in_one_go(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bin_rows, "CHUNK", 2)
    added = create(catalog, "A", 1, 2, 3, 4, 5, 6)
    for photo in added.photos[1:]:
        products.delete_photos(catalog, "A", [photo.id], actor="anna")
    expire(catalog)
    worker = Worker(catalog, every=0.02)
    worker.start()
    deadline = time.monotonic() + 60
    while in_bin(catalog) != (0, 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker.stop()
    assert in_bin(catalog) == (0, 0)


def test_a_purge_empties_the_bin_of_a_product(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2)
    products.delete_photos(catalog, "A", [added.photos[0].id], actor="anna")
    products.purge(catalog, "A", actor="anna")
    assert in_bin(catalog) == (0, 0)


def test_what_is_in_the_bin_is_deleted_for_good(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    products.set_different(catalog.database, "A", "B", actor="anna")
    first_of, second = products.get(catalog.database, "A").photos
    photo = products.delete_photos(catalog, "A", [second.id], actor="anna")
    whole = products.delete_product(catalog, "A", actor="anna")
    other = products.delete_product(catalog, "B", actor="anna")
    products.delete_for_good(catalog.database, whole, actor="berta")
    assert [entry.id for entry in products.list_deleted(catalog.database).entries] == [other], "its photos went with it"
    for gone in (photo, whole, uuid.uuid4()):
        with pytest.raises(NotFoundError, match="left the bin"):
            products.delete_for_good(catalog.database, gone, actor="berta")
        with pytest.raises(NotFoundError):
            products.undelete(catalog, gone, actor="berta")
    with catalog.database.read() as session:
        assert session.scalar(select(func.count()).select_from(DifferentProducts)) == 0
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "bin.delete"))
        assert (entry.actor, entry.subject) == ("berta", "A")
        assert entry.before == {"name": "A", "product": True, "files": sorted((first_of.sha256, second.sha256))}
    for old in (catalog.settings.data / "photos").rglob("*"):
        if old.is_file():
            os.utime(old, (time.time() - 2 * 86400,) * 2)
    assert list(maintenance.examine(catalog, remove_orphans=True)) == [], "a backup may still name what went just now"
    monkeypatch.setattr(photo_checks, "ORPHAN_AGE", timedelta(0))
    gone_files = {finding.sha256 for finding in maintenance.examine(catalog, remove_orphans=True)}
    assert gone_files == {first_of.sha256, second.sha256}
    products.undelete(catalog, other, actor="anna")


def test_photos_in_the_bin_are_deleted_for_good_and_their_product_stays(catalog: Catalog) -> None:
    create(catalog, "A", 1, 2)
    first_of, second = products.get(catalog.database, "A").photos
    entry = products.delete_photos(catalog, "A", [second.id], actor="anna")
    products.delete_for_good(catalog.database, entry, actor="berta")
    assert products.list_deleted(catalog.database).total == 0
    assert [photo.sha256 for photo in products.get(catalog.database, "A").photos] == [first_of.sha256]
    with catalog.database.read() as session:
        (logged,) = session.scalars(select(AuditEntry.before).where(AuditEntry.action == "bin.delete"))
    assert logged == {"name": "A", "product": False, "files": [second.sha256]}
    assert "bin.delete" not in [change.action for change in products.list_changes(catalog.database, "A").changes]


def test_a_replaced_photo_is_in_the_bin(catalog: Catalog) -> None:
    added = create(catalog, "A", 1)
    products.replace_photo(catalog, "A", added.photos[0].id, shots(2)[0], actor="anna")
    (deleted,) = products.list_deleted(catalog.database).entries
    products.undelete(catalog, deleted.id, actor="anna")
    assert [first(catalog, seed) for seed in (1, 2)] == ["A", "A"]


def test_pages_of_the_bin_are_the_newest_first(catalog: Catalog) -> None:
    added = create(catalog, "A", 1, 2, 3)
    entries = [products.delete_photos(catalog, "A", [photo.id], actor="anna") for photo in added.photos]
    pages = [products.list_deleted(catalog.database, start=start, limit=2) for start in (0, 2)]
    assert [entry.id for page in pages for entry in page.entries] == entries[::-1]
    assert pages[0].total == 3
