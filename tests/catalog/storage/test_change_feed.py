"""The feed of changes: what is told of each, in an order in which nothing is missed, and how long."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update

from catalog import enrollment, inbox, maintenance, products
from catalog.backup import back_up, restore
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto, Worker
from catalog.errors import ConflictError, CursorGoneError, InvalidInputError
from catalog.products import BulkChange, Facts, Intake
from catalog.recognition import recognize
from catalog.storage import Database, audit_log, change_events, change_feed, change_rows, content_hash
from catalog.storage.change_events import ChangeEvent
from catalog.storage.change_feed import LATEST, changes_after
from catalog.storage.tables import Change, now
from embedder.bundle import Bundle
from tests.support.pictures import encode, jpeg, picture
from tests.support.steps import create, shots

ROOT = Path(__file__).parents[3]


class Follower:
    """Another system, that keeps a cursor."""

    def __init__(self, database: Database, limit: int = 100) -> None:
        self._database, self._limit = database, limit
        self.cursor = changes_after(database, LATEST, 1).next

    def read(self) -> list[Change]:
        found: list[Change] = []
        while True:
            page = changes_after(self._database, self.cursor, self._limit)
            found += page.changes
            self.cursor = page.next
            if not page.more:
                return found

    def told(self) -> list[tuple[Any, ...]]:
        return [(change.type, change.sku, change.told) for change in self.read()]


@pytest.fixture
def follower(catalog: Catalog) -> Follower:
    return Follower(catalog.database)


def sha(seed: int) -> str:
    return content_hash(jpeg(seed))


def test_what_happens_to_a_product_is_told(catalog: Catalog, follower: Follower) -> None:
    create(catalog, "A", 1)
    assert follower.told() == [("product.created", "A", {})]
    facts = Facts("A", "Tea", "Brand", barcodes=("4006381333931",), attributes={"size": "1 l"})
    products.change(catalog.database, facts, actor="anna")
    assert follower.told() == [("product.changed", "A", {"fields": ["name", "brand", "attributes", "barcodes"]})]
    products.change(catalog.database, facts, actor="anna")
    products.set_labels(catalog.database, "A", ["kiosk"], actor="anna")
    products.set_active(catalog, "A", False, actor="anna")
    products.set_active(catalog, "A", True, actor="anna")
    assert follower.told() == [
        ("product.changed", "A", {"fields": ["labels"]}),
        ("product.retired", "A", {}),
        ("product.restored", "A", {}),
    ]
    products.amend(catalog, Facts("A", "Green tea"), active=False, actor="anna")
    assert follower.told() == [("product.changed", "A", {"fields": ["name"]}), ("product.retired", "A", {})]
    change = products.list_changes(catalog.database, "A").changes[0]
    products.revert(catalog, "A", change.id, actor="anna")
    assert follower.told() == [("product.changed", "A", {"fields": ["name"]}), ("product.restored", "A", {})]
    products.rename(catalog, "A", "B", actor="anna")
    create(catalog, "C", 2)
    products.merge(catalog, "C", "B", actor="anna")
    entry = products.delete_product(catalog, "B", actor="anna")
    products.undelete(catalog, entry, actor="anna")
    products.purge(catalog, "B", actor="anna")
    assert follower.told() == [
        ("product.renamed", "B", {"was": "A"}),
        ("product.created", "C", {}),
        ("product.merged", "B", {"was": "C"}),
        ("product.deleted", "B", {}),
        ("product.created", "B", {}),
        ("product.deleted", "B", {}),
    ]


def test_what_happens_to_photos_is_told(catalog: Catalog, follower: Follower) -> None:
    create(catalog, "A", 1, 2)
    create(catalog, "B", 3)
    follower.read()
    products.add_photos(catalog, "A", shots(1, 4, 5), Intake("anna"))
    assert follower.told() == [("photo.added", "A", {"photo": sha(seed)}) for seed in (4, 5)]
    photos = {photo.sha256: photo.id for photo in products.get(catalog.database, "A").photos}
    products.move_photos(catalog, "A", [photos[sha(4)]], "B", actor="anna")
    assert follower.told() == [("photo.removed", "A", {"photo": sha(4)}), ("photo.added", "B", {"photo": sha(4)})]
    products.set_cover(catalog.database, "A", photos[sha(2)], actor="anna")
    entry = products.delete_photos(catalog, "A", [photos[sha(2)]], actor="anna")
    products.undelete(catalog, entry, actor="anna")
    assert follower.told() == [
        ("product.changed", "A", {"fields": ["cover"]}),
        ("photo.removed", "A", {"photo": sha(2)}),
        ("photo.added", "A", {"photo": sha(2)}),
    ]
    products.replace_photo(catalog, "A", photos[sha(1)], NewPhoto("6.jpg", jpeg(6)), actor="anna")
    assert follower.told() == [("photo.replaced", "A", {"photo": sha(6), "was": sha(1)})]
    found = {photo.sha256: photo.id for photo in products.get(catalog.database, "A").photos}
    rotated = products.rotate_photo(catalog, "A", found[sha(6)], 1, actor="anna")
    assert follower.told() == [("photo.replaced", "A", {"photo": rotated.sha256, "was": sha(6)})]


def test_a_change_of_many_is_told_of_each(catalog: Catalog, follower: Follower) -> None:
    for seed in (1, 2):
        create(catalog, f"S{seed}", seed)
    follower.read()
    done = products.change_many(catalog, ["S1", "S2"], BulkChange(category="x", active=False), actor="anna")
    each = [("product.changed", {"fields": ["category"]}), ("product.retired", {})]
    assert sorted(follower.told()) == sorted((kind, sku, told) for sku in ("S1", "S2") for kind, told in each)
    products.undo(catalog, done.entry, actor="anna")
    assert {row[0] for row in follower.told()} == {"product.changed", "product.restored"}


def test_a_new_model_and_a_new_group_of_the_inbox_are_told(
    catalog: Catalog, follower: Follower, other_bundle: Bundle
) -> None:
    create(catalog, "A", 1)
    follower.read()
    before = catalog.generations.ready().embedder.bundle.id
    for quality in (90, 70):  # of which the second comes to the first
        recognize(catalog, encode(picture(4003), quality=quality), asked_by="key till", keep=True)
        catalog.unanswered.flush()
    (group,) = inbox.groups(catalog.database).groups
    assert follower.told() == [("inbox.group_added", "", {"group": str(group.id)})]
    maintenance.reembed(catalog, other_bundle, switch_anyway=True, actor="anna")
    maintenance.rollback(catalog, actor="anna")
    assert follower.told() == [
        ("generation.switched", "", {"bundle": other_bundle.id, "was": before}),
        ("generation.switched", "", {"bundle": before, "was": other_bundle.id}),
    ]


def test_who_did_it_is_told_by_kind_alone(catalog: Catalog, follower: Follower) -> None:
    for seed, actor in enumerate(("key till 1", "Anna Miller", "cli"), start=1):
        products.create(catalog, Facts(f"S{seed}"), shots(seed), Intake(actor))
    changes = follower.read()
    assert [change.actor for change in changes] == ["key", "staff", "command"]
    with catalog.database.read() as session:
        columns = session.execute(select(*Change.__table__.columns)).all()
    assert not any("Anna" in str(row) or "till 1" in str(row) for row in columns)


def test_every_action_about_products_photos_and_models_is_told_or_left_out_on_purpose() -> None:
    """Of those that the code records: a new one is to be thought of."""
    code = "\n".join(
        path.read_text()
        for path in (ROOT / "catalog").rglob("*.py")
        if path.name != "change_events.py" and "client" not in path.parts
    )
    actions = set(re.findall(r'"((?:products?|photos?|barcode|model)\.[a-z_]+)"', code))
    actions = {
        name for name in actions if name.partition(".")[2] not in ("id", "zip", "jpg", "jsonl")
    }  # columns, files
    assert {"product.create", "photo.rotate", "model.rollback", "products.undo", "barcode.add"} <= actions
    snapshot = {"name": "x", "active": True, "sku": "A", "photo": "p", "live": "g", "merged": {"sku": "C"}}
    before = snapshot | {"products": {"A": {"active": True}}}
    after = snapshot | {"name": "y", "products": {"A": {"active": False}}, "added": ["p"], "restored": ["p"]}
    silent = {action for action in actions if not list(change_events.events_of(action, "A", before, after))}
    assert silent == set(change_events.SILENT)


def test_nothing_is_told_of_what_did_not_happen(catalog: Catalog, follower: Follower) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    follower.read()
    for number in range(50):  # more than one product may have
        products.set_labels(catalog.database, "A", [f"a{each}" for each in range(number % 7)], actor="anna")
    follower.read()
    with pytest.raises(ConflictError), catalog.database.write() as session:
        audit_log.record(session, "anna", "product.delete", "A")
        session.flush()
        raise ConflictError("no")
    assert follower.told() == []


def writing(database: Database, sku: str) -> None:
    with database.write() as session:
        audit_log.record(session, "anna", "product.delete", sku, {})


def test_who_reads_while_a_transaction_is_open_misses_nothing_of_it(
    catalog: Catalog, open_catalog: Callable[[], Catalog]
) -> None:
    """Two connections: the first has its id, and commits last. Without the lock the second one's would be read first,
    and the first one's never."""
    database, other = catalog.database, open_catalog().database
    follower = Follower(database)
    done = threading.Event()

    def second() -> None:
        writing(other, "SECOND")
        done.set()

    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            audit_log.record(session, "anna", "product.delete", "FIRST", {})
            change_rows.write_noted(session)  # as at its end
            told = pool.submit(second)
            assert not done.wait(0.5)
            assert follower.read() == []
        told.result()
    assert [change.sku for change in follower.read()] == ["FIRST", "SECOND"]


def test_a_transaction_that_lasts_holds_up_no_other(catalog: Catalog, open_catalog: Callable[[], Catalog]) -> None:
    """Before its end it has no place in the feed, and no lock of it: a change of 10,000 products may take a while."""
    if catalog.database.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    other, follower = open_catalog().database, Follower(catalog.database)
    with catalog.database.write() as session:
        audit_log.record(session, "anna", "product.delete", "SLOW", {})
        session.flush()
        writing(other, "QUICK")
        assert [change.sku for change in follower.read()] == ["QUICK"]
    assert [change.sku for change in follower.read()] == ["SLOW"]


@pytest.fixture
def slow_commits(catalog: Catalog) -> Iterator[None]:
    """Commits take from nothing to 20 ms, so that they would overtake one another."""
    drawn = random.Random(7)

    def wait(connection: Any) -> None:
        time.sleep(drawn.random() * 0.02)

    event.listen(catalog.database.engine, "commit", wait)
    yield
    event.remove(catalog.database.engine, "commit", wait)


@pytest.mark.usefixtures("slow_commits")
def test_a_reader_beside_four_writers_misses_nothing(catalog: Catalog) -> None:
    database, each = catalog.database, 25
    follower = Follower(database, limit=7)
    seen: list[Change] = []

    def write(writer: int) -> None:
        for number in range(each):
            writing(database, f"{writer}-{number}")

    with ThreadPoolExecutor(4) as pool:
        at_work = [pool.submit(write, writer) for writer in range(4)]
        while not all(one.done() for one in at_work):
            seen += follower.read()
        for one in at_work:
            one.result()
    seen += follower.read()
    assert len(seen) == 4 * each
    assert {change.sku for change in seen} == {f"{writer}-{number}" for writer in range(4) for number in range(each)}
    assert [change.id for change in seen] == sorted(change.id for change in seen)


def test_a_cursor_is_of_one_place_and_of_one_database(catalog: Catalog, follower: Follower) -> None:
    for sku in "ABC":
        writing(catalog.database, sku)
    page = changes_after(catalog.database, "", 2)
    assert ([change.sku for change in page.changes], page.more) == (["A", "B"], True)
    first = change_feed.as_dict(page.feed, page.changes[0])["id"]
    assert [change.sku for change in changes_after(catalog.database, first, 9).changes] == ["B", "C"]
    last = changes_after(catalog.database, page.next, 2)
    assert ([change.sku for change in last.changes], last.more) == (["C"], False)
    assert changes_after(catalog.database, last.next, 2).next == last.next
    feed = last.next[:8]
    for cursor in (
        "x",
        "0",
        f"{feed}-",
        f"{feed}-x",
        f"{feed}--1",
        f"{feed}-{'9' * 19}",
        f"{feed}-\u0663",
        "ABCDEF01-1",
    ):
        with pytest.raises(InvalidInputError):
            changes_after(catalog.database, cursor, 2)
    other = "0" * 8 if feed != "0" * 8 else "1" * 8
    for cursor in (f"{other}-1", f"{feed}-99999", f"{feed}-{'9' * 18}"):  # the last two: as of a later copy
        with pytest.raises(CursorGoneError, match="read all products anew"):
            changes_after(catalog.database, cursor, 2)


def test_what_is_old_is_deleted_and_who_comes_later_is_told(catalog: Catalog, follower: Follower) -> None:
    create(catalog, "A", 1)
    early = follower.cursor
    follower.read()
    writing(catalog.database, "B")
    with catalog.database.write() as session:
        session.execute(update(Change).values(at=now() - timedelta(days=31)))
    worker = Worker(catalog, every=0.02)
    worker.start()
    try:
        deadline = time.monotonic() + 60
        while changes_after(catalog.database, "", 9).changes and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        worker.stop()
    for gone in (early, follower.cursor):
        with pytest.raises(CursorGoneError):
            changes_after(catalog.database, gone, 9)
    fresh = Follower(catalog.database)
    assert changes_after(catalog.database, "", 9).next == fresh.cursor
    writing(catalog.database, "C")
    assert [change.sku for change in changes_after(catalog.database, "", 9).changes] == ["C"]
    assert [change.sku for change in fresh.read()] == ["C"], "an id is never given again"
    assert change_feed.trim(catalog.database, 30) == 0


def test_a_restored_catalog_has_another_feed(catalog: Catalog, target: Catalog, out: Path, follower: Follower) -> None:
    create(catalog, "A", 1)
    back_up(catalog, out)
    restore(target, out, actor="anna")
    with pytest.raises(CursorGoneError):
        changes_after(target.database, follower.cursor, 9)
    assert changes_after(target.database, "", 9).changes == []
    enrollment.run_pending(target)


def test_a_note_is_of_one_session(catalog: Catalog, follower: Follower) -> None:
    with catalog.database.write() as session:
        change_rows.note(session, ChangeEvent("product.deleted", "A"), "key")
    with catalog.database.write():
        pass
    assert follower.told() == [("product.deleted", "A", {})]
