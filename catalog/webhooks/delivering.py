"""Deliver what changed: each webhook has a cursor over the feed, which moves when the receiver has taken a change.

So nothing is lost, whenever a process ends; what was taken just before that is delivered again, with the same id. The
next change waits until the one before was taken: a receiver gets them in order.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from catalog.config import Settings
from catalog.errors import NotFoundError
from catalog.storage import Database, change_feed
from catalog.storage.tables import Change, ChangeFeed, Webhook, WebhookDelivery, now
from catalog.webhooks.endpoints import found, is_told
from catalog.webhooks.sending import Sent, send
from catalog.webhooks.signing import signed

#: Seconds until the next attempt, after the first one, the second one and so on; the last holds on.
SCHEDULE = (5, 30, 120, 600, 1800, 3600, 7200, 14_400)
#: A receiver that takes nothing for so long is paused.
DEAD_AFTER = timedelta(days=5)
#: Changes read at once, and deliveries kept, of each webhook.
PAGE, KEPT = 100, 200
#: Seconds of one turn of a webhook, so that a slow one holds up the others for no longer.
TURN = 10.0
TEST, LOST = "webhook.test", "changes.lost"
#: What a receiver says that wants no more.
GONE = 410


def deliver_due(database: Database, settings: Settings, is_stopped: Callable[[], bool] = lambda: False) -> int:
    """Deliver what is due to each webhook, the next attempts of failed ones included; returns how many were taken."""
    at = now()
    due = or_(Webhook.due_at.is_(None), Webhook.due_at <= at)
    with database.read() as session:
        newest = change_feed.newest(session)
        behind = select(Webhook.id).where(Webhook.paused == "", due, Webhook.cursor < newest).order_by(Webhook.id)
        ids = session.scalars(behind).all()
    return sum(_deliver(database, settings, webhook_id, is_stopped) for webhook_id in ids if not is_stopped())


def _deliver(database: Database, settings: Settings, webhook_id: int, is_stopped: Callable[[], bool]) -> int:
    """One turn of a webhook: until all is delivered, an attempt fails, or its time is over."""
    taken, ends = 0, time.monotonic() + TURN
    while time.monotonic() < ends and not is_stopped():
        with database.read() as session:
            row = session.get(Webhook, webhook_id)
            if row is None or row.paused:
                break
            changes = _next(session, row)
            feed = session.scalars(select(ChangeFeed)).one()
        if row.cursor < feed.trimmed_to:  # as of one that was paused for long
            if not _attempt(database, settings, row, _lost(feed), feed.trimmed_to):
                break
            continue
        if not changes:
            break
        for change in changes:
            if not is_told(row, change.type):
                continue
            if time.monotonic() >= ends or is_stopped():
                return taken
            if not _attempt(database, settings, row, _message(feed.name, change), change.id, change):
                return taken
            taken += 1
        _move(database, webhook_id, changes[-1].id)
    return taken


def _next(session: Session, row: Webhook) -> list[Change]:
    return list(session.scalars(select(Change).where(Change.id > row.cursor).order_by(Change.id).limit(PAGE)))


def _message(feed: str, change: Change) -> dict[str, Any]:
    told = change_feed.as_dict(feed, change)
    return {"id": told["id"], "type": change.type, "timestamp": told["at"], "data": told}


def _lost(feed: ChangeFeed) -> dict[str, Any]:
    """That changes are kept no more which were not delivered: all products are to be read anew."""
    cursor = f"{feed.name}-{feed.trimmed_to}"
    return {"id": f"{cursor}-lost", "type": LOST, "timestamp": now().isoformat(), "data": {"next": cursor}}


def _attempt(
    database: Database,
    settings: Settings,
    row: Webhook,
    message: dict[str, Any],
    cursor: int,
    change: Change | None = None,
) -> bool:
    """Deliver a message, and note what came of it; False unless it was taken, or where the webhook is gone since."""
    sent = _send(settings, row, message)
    with database.write() as session:
        mine = session.get(Webhook, row.id, with_for_update=True)
        if mine is None:
            return False
        _note(session, mine, sent, message["type"], change)
        if sent.ok:
            mine.cursor, mine.attempts, mine.failing_since, mine.due_at = max(mine.cursor, cursor), 0, None, None
        else:
            _put_off(mine, sent)
        return sent.ok and not mine.paused


def _put_off(row: Webhook, sent: Sent) -> None:
    at = now()
    wait = max(SCHEDULE[min(row.attempts, len(SCHEDULE) - 1)], min(sent.wait, SCHEDULE[-1]))
    row.attempts += 1
    row.failing_since = row.failing_since or at
    row.due_at = at + timedelta(seconds=wait)
    if sent.status == GONE:
        row.paused = row.paused or "gone"
    elif at - row.failing_since >= DEAD_AFTER:
        row.paused = row.paused or "dead"


def _move(database: Database, webhook_id: int, cursor: int) -> None:
    """Pass over what it is not told."""
    with database.write() as session:
        row = session.get(Webhook, webhook_id, with_for_update=True)
        if row is not None:
            row.cursor = max(row.cursor, cursor)


def _send(settings: Settings, row: Webhook, message: dict[str, Any]) -> Sent:
    body = {name: message[name] for name in ("type", "timestamp", "data")}
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = signed(row.secret, message["id"], int(time.time()), data)
    return send(row.url, headers, data, private=settings.webhook_private)


def _note(session: Session, row: Webhook, sent: Sent, kind: str, change: Change | None) -> None:
    session.add(
        WebhookDelivery(
            webhook_id=row.id,
            change_id=change.id if change else None,
            type=kind,
            sku=change.sku if change else "",
            status=sent.status,
            milliseconds=sent.milliseconds,
            said=sent.said,
        )
    )
    session.flush()
    mine = select(WebhookDelivery.id).where(WebhookDelivery.webhook_id == row.id)
    old = session.scalars(mine.order_by(WebhookDelivery.id.desc()).offset(KEPT)).all()
    if old:
        session.execute(delete(WebhookDelivery).where(WebhookDelivery.id.in_(old)))


def send_test(database: Database, settings: Settings, webhook_id: int) -> Sent:
    """Deliver a message that says nothing, now. Raises NotFoundError."""
    with database.read() as session:
        row = found(session, webhook_id)
    message = {"id": f"test-{uuid.uuid4()}", "type": TEST, "timestamp": now().isoformat(), "data": {}}
    return _aside(database, settings, row, message)


def send_again(database: Database, settings: Settings, webhook_id: int, delivery_id: int) -> Sent:
    """Deliver once more what was delivered, now, with the same id; the order of the others is as it was.

    Raises NotFoundError, also for a change that is kept no more.
    """
    with database.read() as session:
        row = found(session, webhook_id)
        delivery = session.get(WebhookDelivery, delivery_id)
        change = session.get(Change, delivery.change_id) if delivery and delivery.change_id else None
        if delivery is None or delivery.webhook_id != webhook_id or change is None:
            raise NotFoundError("What was delivered is kept no more.")
        feed = session.scalars(select(ChangeFeed.name)).one()
    return _aside(database, settings, row, _message(feed, change), change)


def _aside(
    database: Database, settings: Settings, row: Webhook, message: dict[str, Any], change: Change | None = None
) -> Sent:
    sent = _send(settings, row, message)
    with database.write() as session:
        if session.get(Webhook, row.id, with_for_update=True) is not None:
            _note(session, row, sent, message["type"], change)
    return sent
