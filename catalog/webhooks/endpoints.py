"""Webhooks as the staff manage them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog import accounts
from catalog.errors import InvalidInputError, NotFoundError
from catalog.normalization import MOST
from catalog.storage import Database, audit_log, change_feed
from catalog.storage.tables import Webhook, WebhookDelivery
from catalog.webhooks.sending import checked_url
from catalog.webhooks.signing import new_secret

#: What a webhook may be told -> in words, and how the types of those changes begin.
KINDS = {
    "products": "products and their photos",
    "generations": "another model answers, or is held",
    "inbox": "something new is not recognized",
    "nights": "the nightly maintenance is over",
}
BEGINS = {
    "products": ("product.", "photo."),
    "generations": ("generation.",),
    "inbox": ("inbox.",),
    "nights": ("night.",),
}
#: Why one is paused -> in words.
WHY = {
    "staff": "paused by the staff",
    "dead": "paused: it did not answer for days",
    "gone": "paused: it said that it is gone (410)",
    "restored": "paused: the catalog was restored from a backup",
}
#: Webhooks at most.
MANY = 50


@dataclass(frozen=True)
class NewWebhook:
    """A new webhook: `secret` is shown this once."""

    id: int
    name: str
    secret: str


def add_webhook(
    database: Database,
    name: str,
    url: str,
    kinds: Collection[str],
    *,
    actor: str,
    form: accounts.Form | None = None,
) -> NewWebhook:
    """Make a webhook, that is told what changes from now on. `form`: see accounts/forms.py.

    Raises InvalidInputError, and FormSentError for a form that has made its webhook already.
    """
    name, url = accounts.checked_name(name), checked_url(url)
    if not kinds or set(kinds) - KINDS.keys():
        raise InvalidInputError("kind", f"Choose what it is told: {', '.join(KINDS)}.")
    wanted = [kind for kind in KINDS if kind in kinds]
    secret = new_secret()
    with database.write() as session:
        if len(session.scalars(select(Webhook.id)).all()) >= MANY:
            raise InvalidInputError("name", f"There are {MANY} webhooks: delete one first.")
        row = Webhook(name=name, url=url, kinds=wanted, secret=secret, cursor=change_feed.newest(session))
        session.add(row)
        if form:
            accounts.keep_secret(session, form, name, secret)
        session.flush()
        audit_log.record(session, actor, "webhook.add", name, after={"url": url, "kinds": wanted})
        return NewWebhook(row.id, name, secret)


def list_webhooks(database: Database) -> list[Webhook]:
    """All webhooks, by name."""
    with database.read() as session:
        return list(session.scalars(select(Webhook).order_by(Webhook.name, Webhook.id)))


def get_webhook(database: Database, webhook_id: int) -> Webhook:
    """Raises NotFoundError."""
    with database.read() as session:
        return found(session, webhook_id)


def deliveries(database: Database, webhook_id: int, limit: int = 50) -> Sequence[WebhookDelivery]:
    """Its last deliveries, the newest first."""
    mine = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    with database.read() as session:
        return session.scalars(mine.order_by(WebhookDelivery.id.desc()).limit(limit)).all()


def pause(database: Database, webhook_id: int, *, actor: str) -> None:
    """Deliver nothing until it is resumed. Raises NotFoundError."""
    with database.write() as session:
        row = found(session, webhook_id, lock=True)
        if not row.paused:
            row.paused = "staff"
            audit_log.record(session, actor, "webhook.pause", row.name)


def resume(database: Database, webhook_id: int, *, actor: str) -> None:
    """Go on where it was paused, at once; also where the next attempt is due later. Raises NotFoundError."""
    with database.write() as session:
        row = found(session, webhook_id, lock=True)
        if row.paused:
            audit_log.record(session, actor, "webhook.resume", row.name, {"paused": row.paused})
        row.paused, row.attempts, row.failing_since, row.due_at = "", 0, None, None


def remove_webhook(database: Database, webhook_id: int, *, actor: str) -> None:
    """Delete it, with its deliveries. Raises NotFoundError."""
    with database.write() as session:
        row = found(session, webhook_id, lock=True)
        audit_log.record(session, actor, "webhook.delete", row.name, {"url": row.url, "kinds": row.kinds})
        session.delete(row)


def found(session: Session, webhook_id: int, *, lock: bool = False) -> Webhook:
    """The row. Raises NotFoundError."""
    row = session.get(Webhook, webhook_id, with_for_update=lock or None) if 0 < webhook_id <= MOST else None
    if row is None:
        raise NotFoundError(f"There is no webhook {webhook_id}.")
    return row


def is_told(row: Webhook, change_type: str) -> bool:
    """Whether a change of this type is delivered to it."""
    return any(change_type.startswith(BEGINS[kind]) for kind in row.kinds if kind in BEGINS)
