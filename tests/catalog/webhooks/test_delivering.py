"""Changes are delivered signed, in order, and at least once, whatever ends in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from standardwebhooks.webhooks import Webhook as Verifier

from catalog import maintenance, products, webhooks
from catalog.backup import back_up, restore
from catalog.catalog import Catalog
from catalog.errors import InvalidInputError, NotFoundError
from catalog.storage import audit_log, change_feed
from catalog.storage.change_events import ChangeEvent
from catalog.storage.change_rows import note
from catalog.storage.tables import AuditEntry, Change, Webhook, WebhookDelivery, now
from catalog.webhooks import WebhookWorker, deliver_due, delivering
from catalog.webhooks.endpoints import MANY
from tests.support.receivers import Message, Receiver
from tests.support.steps import create

ROOT = Path(__file__).parents[3]
ALL = ("products", "generations", "inbox")


def hook(catalog: Catalog, receiver: Receiver, *kinds: str) -> webhooks.NewWebhook:
    return webhooks.add_webhook(catalog.database, "ERP", receiver.url, kinds or ALL, actor="anna")


def change(catalog: Catalog, *skus: str) -> None:
    for sku in skus:
        with catalog.database.write() as session:
            audit_log.record(session, "anna", "product.delete", sku, {})


def deliver(catalog: Catalog) -> int:
    return deliver_due(catalog.database, catalog.settings)


def state(catalog: Catalog) -> Webhook:
    (row,) = webhooks.list_webhooks(catalog.database)
    return row


def put(catalog: Catalog, **values: object) -> None:
    with catalog.database.write() as session:
        session.execute(update(Webhook).values(values))


def tried(catalog: Catalog) -> list[tuple[str, int | None]]:
    with catalog.database.read() as session:
        rows = session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)).all()
    return [(row.sku, row.status) for row in rows]


def test_what_changes_is_delivered_in_order_and_signed(near: Catalog, receiver: Receiver) -> None:
    create(near, "BEFORE", 1)
    made = hook(near, receiver)
    create(near, "A", 2)
    products.set_labels(near.database, "A", ["kiosk"], actor="anna")
    assert deliver(near) == 2
    assert deliver(near) == 0
    assert (receiver.types, receiver.skus) == (["product.created", "product.changed"], ["A", "A"])
    for message in receiver.came:
        body = Verifier(made.secret).verify(message.body, message.headers)  # of the authors of the specification
        assert body == message.told and body["data"]["id"] == message.id
        with pytest.raises(Exception, match="No matching signature"):
            Verifier(made.secret).verify(message.body + b" ", message.headers)
    assert receiver.came[1].told["data"]["fields"] == ["labels"]
    page = change_feed.changes_after(near.database, "", 100)
    assert [message.id for message in receiver.came] == [
        change_feed.as_dict(page.feed, one)["id"] for one in page.changes[1:]
    ]


def test_it_is_told_what_it_is_to_be_told(near: Catalog, receiver: Receiver) -> None:
    hook(near, receiver, "generations", "inbox")
    change(near, "A")
    with near.database.write() as session:
        note(session, ChangeEvent("generation.switched", told={"bundle": "b", "was": "a"}), "staff")
        note(session, ChangeEvent("inbox.group_added", told={"group": "g"}), "key")
    change(near, "B")
    assert deliver(near) == 2
    assert receiver.types == ["generation.switched", "inbox.group_added"]
    with near.database.read() as session:
        assert state(near).cursor == change_feed.newest(session), "what it is not told is passed over"


def test_what_is_not_taken_is_tried_again_and_the_next_waits(near: Catalog, receiver: Receiver) -> None:
    hook(near, receiver)
    change(near, "A", "B")
    receiver.status, receiver.answer = 500, b"broken"
    for attempt, seconds in enumerate(webhooks.SCHEDULE, start=1):
        before = now()
        assert deliver(near) == 0
        row = state(near)
        assert row.attempts == attempt
        assert seconds <= (row.due_at - before).total_seconds() < seconds + 60
        assert deliver(near) == 0 and len(receiver.came) == attempt, "not before it is due"
        put(near, due_at=now() - timedelta(seconds=1))
    assert receiver.skus == ["A"] * len(webhooks.SCHEDULE)
    assert len({message.id for message in receiver.came}) == 1
    receiver.status = 200
    assert deliver(near) == 2
    assert receiver.skus[-2:] == ["A", "B"]
    row = state(near)
    assert (row.attempts, row.failing_since, row.due_at, row.paused) == (0, None, None, "")
    assert tried(near) == [("A", 500)] * len(webhooks.SCHEDULE) + [("A", 200), ("B", 200)]
    assert webhooks.deliveries(near.database, row.id)[2].said == "broken"


def test_a_receiver_that_asks_for_time_gets_it(near: Catalog, receiver: Receiver) -> None:
    hook(near, receiver)
    change(near, "A")
    receiver.status, receiver.answer_headers = 429, {"Retry-After": "900"}
    deliver(near)
    assert (state(near).due_at - now()).total_seconds() > 800


def test_a_dead_receiver_is_paused_and_said_on_the_overview(near: Catalog, receiver: Receiver) -> None:
    hook(near, receiver)
    change(near, "A", "B")
    receiver.status = 500
    deliver(near)
    seen = maintenance.look_over(near).webhooks
    assert (seen.total, seen.dead, seen.failing) == (1, 0, 1)
    put(near, due_at=now(), failing_since=now() - webhooks.DEAD_AFTER)
    deliver(near)
    assert state(near).paused == "dead"
    seen = maintenance.look_over(near).webhooks
    assert (seen.total, seen.dead, seen.failing) == (1, 1, 0)
    receiver.status = 200
    put(near, due_at=now())
    assert deliver(near) == 0 and len(receiver.came) == 2
    webhooks.resume(near.database, state(near).id, actor="anna")
    assert deliver(near) == 2, "nothing is lost meanwhile"
    assert receiver.skus[-2:] == ["A", "B"]


def test_one_that_is_gone_is_paused_at_once(near: Catalog, receiver: Receiver) -> None:
    hook(near, receiver)
    change(near, "A")
    receiver.status = 410
    deliver(near)
    assert state(near).paused == "gone"


def test_one_that_does_not_answer_holds_up_no_other(near: Catalog, receiver: Receiver) -> None:
    webhooks.add_webhook(near.database, "away", "http://127.0.0.1:9/", ALL, actor="anna")
    webhooks.add_webhook(near.database, "there", receiver.url, ALL, actor="anna")
    change(near, "A", "B")
    assert deliver(near) == 2
    assert receiver.skus == ["A", "B"]


def test_paused_and_deleted_ones_are_told_nothing_more(near: Catalog, receiver: Receiver) -> None:
    made = hook(near, receiver)
    change(near, "A", "B", "C")
    receiver.before_answer = lambda message: webhooks.pause(near.database, made.id, actor="anna")
    assert deliver(near) <= 1
    assert receiver.skus == ["A"]
    webhooks.resume(near.database, made.id, actor="anna")
    receiver.before_answer = lambda message: webhooks.remove_webhook(near.database, made.id, actor="anna")
    deliver(near)
    assert receiver.skus == ["A", "B"]
    assert (webhooks.list_webhooks(near.database), tried(near)) == ([], [])
    with near.database.read() as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.action.startswith("webhook."))).all()
    assert [row.action for row in rows] == ["webhook.add", "webhook.pause", "webhook.resume", "webhook.delete"]
    assert made.secret not in str([(row.before, row.after) for row in rows])


def test_of_two_processes_one_delivers(near: Catalog, receiver: Receiver, open_catalog: Callable[[], Catalog]) -> None:
    hook(near, receiver)
    skus = [f"S{number}" for number in range(20)]
    change(near, *skus)
    receiver.before_answer = lambda message: time.sleep(0.02)
    other = replace(open_catalog(), settings=near.settings)
    meet = threading.Barrier(2)

    def work(one: Catalog) -> int:
        meet.wait()
        return WebhookWorker(one).step()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(work, (near, other))) == [0, 20]
    assert receiver.skus == skus


PROGRAM = """
import sys
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.storage import audit_log
from catalog.webhooks import WebhookWorker
import os, signal

catalog = Catalog.open(Settings.from_env())
if sys.argv[1] == "change":
    with catalog.database.write() as session:
        audit_log.record(session, "anna", "product.delete", "A", {})
    os.kill(os.getpid(), signal.SIGKILL)  # between commit and delivery
WebhookWorker(catalog).step()
"""


@pytest.mark.slow
def test_what_was_committed_is_delivered_though_the_process_was_killed(
    near: Catalog, receiver: Receiver, env: dict[str, str]
) -> None:
    """Once between the commit and the delivery, then while the receiver has it and has not yet answered."""
    hook(near, receiver)
    command = [sys.executable, "-c", PROGRAM]
    around = {**os.environ, **env, "CATALOG_WEBHOOK_PRIVATE": "on", "PYTHONPATH": str(ROOT)}
    assert subprocess.run([*command, "change"], env=around, cwd=ROOT).returncode == -signal.SIGKILL
    assert receiver.came == []

    def kill(message: Message) -> None:
        receiver.before_answer = lambda message: None
        deliverer.kill()
        deliverer.wait()

    receiver.before_answer = kill
    deliverer = subprocess.Popen([*command, "deliver"], env=around, cwd=ROOT)
    assert deliverer.wait(120) == -signal.SIGKILL
    assert len(receiver.came) == 1
    assert WebhookWorker(near).step() == 1
    first, again = receiver.came
    assert (first.id, first.body) == (again.id, again.body), "the receiver can tell that it has it"
    assert receiver.skus == ["A", "A"]


def test_the_worker_delivers_by_itself(near: Catalog, receiver: Receiver) -> None:
    hook(near, receiver)
    worker = WebhookWorker(near, every=0.02)
    worker.start()
    try:
        create(near, "A", 1)
        deadline = time.monotonic() + 60
        while not receiver.came and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        worker.stop()
    assert receiver.types == ["product.created"]


def test_who_was_paused_for_long_is_told_to_read_all_anew(near: Catalog, receiver: Receiver) -> None:
    made = hook(near, receiver)
    webhooks.pause(near.database, made.id, actor="anna")
    change(near, "A", "B")
    with near.database.write() as session:
        session.execute(update(Change).values(at=now() - timedelta(days=31)))
    change_feed.trim(near.database, 30)
    change(near, "C")
    webhooks.resume(near.database, made.id, actor="anna")
    receiver.status = 500
    deliver(near)
    assert (receiver.types, state(near).cursor) == (["changes.lost"], 0)
    receiver.status = 200
    put(near, due_at=now())
    deliver(near)
    assert receiver.types == ["changes.lost", "changes.lost", "product.deleted"]
    cursor = receiver.came[0].told["data"]["next"]
    assert [one.sku for one in change_feed.changes_after(near.database, cursor, 9).changes] == ["C"]


def test_a_test_and_a_second_delivery(near: Catalog, receiver: Receiver) -> None:
    made = hook(near, receiver)
    assert webhooks.send_test(near.database, near.settings, made.id).ok
    change(near, "A", "B")
    deliver(near)
    last = next(one for one in webhooks.deliveries(near.database, made.id) if one.sku == "A")
    assert webhooks.send_again(near.database, near.settings, made.id, last.id).ok
    assert receiver.types == ["webhook.test", "product.deleted", "product.deleted", "product.deleted"]
    assert receiver.came[3].id == receiver.came[1].id and receiver.came[3].body == receiver.came[1].body
    Verifier(made.secret).verify(receiver.came[3].body, receiver.came[3].headers)
    test = webhooks.deliveries(near.database, made.id)[-1]
    other = webhooks.add_webhook(near.database, "other", receiver.url, ALL, actor="anna")
    for webhook, delivery in ((made.id, test.id), (made.id, 99_999), (other.id, last.id), (99, last.id)):
        with pytest.raises(NotFoundError):
            webhooks.send_again(near.database, near.settings, webhook, delivery)
    webhooks.pause(near.database, made.id, actor="anna")
    assert webhooks.send_test(near.database, near.settings, made.id).ok, "a test is sent all the same"


def test_deliveries_are_kept_within_a_limit(near: Catalog, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "KEPT", 3)
    hook(near, receiver)
    change(near, *"ABCDE")
    deliver(near)
    assert [sku for sku, _ in tried(near)] == ["C", "D", "E"]


def test_what_can_not_be_made(near: Catalog, receiver: Receiver) -> None:
    for name, url, kinds in (
        ("", receiver.url, ALL),
        ("x", "ftp://a", ALL),
        ("x", receiver.url, ()),
        ("x", receiver.url, ("people",)),
    ):
        with pytest.raises(InvalidInputError):
            webhooks.add_webhook(near.database, name, url, kinds, actor="anna")
    for number in range(MANY):
        webhooks.add_webhook(near.database, f"x{number}", receiver.url, ALL, actor="anna")
    with pytest.raises(InvalidInputError, match="delete one first"):
        hook(near, receiver)


def test_a_restored_catalog_speaks_to_nobody_until_it_is_told_to(
    near: Catalog, target: Catalog, out: Path, receiver: Receiver
) -> None:
    """Else a copy that is restored to look at it would speak for the catalog."""
    made = hook(near, receiver)
    change(near, "A")
    deliver(near)
    back_up(near, out)
    restore(target, out, actor="anna")
    there = replace(target, settings=replace(target.settings, webhook_private=True))
    change(there, "B")
    assert deliver(there) == 0
    row = state(there)
    assert (row.paused, row.cursor) == ("restored", 0)
    webhooks.resume(there.database, row.id, actor="anna")
    assert deliver(there) == 1
    assert receiver.skus == ["A", "B"]
    Verifier(made.secret).verify(receiver.came[1].body, receiver.came[1].headers)
