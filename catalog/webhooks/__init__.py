"""Webhooks: changes are delivered to addresses of other systems, signed, in order, and at least once."""

from __future__ import annotations

from catalog.webhooks.delivering import DEAD_AFTER, SCHEDULE, deliver_due, send_again, send_test
from catalog.webhooks.endpoints import (
    KINDS,
    WHY,
    NewWebhook,
    add_webhook,
    deliveries,
    get_webhook,
    list_webhooks,
    pause,
    remove_webhook,
    resume,
)
from catalog.webhooks.sending import Sent, send
from catalog.webhooks.signing import new_secret, signed
from catalog.webhooks.worker import WebhookWorker

__all__ = [
    "DEAD_AFTER",
    "KINDS",
    "SCHEDULE",
    "WHY",
    "NewWebhook",
    "Sent",
    "WebhookWorker",
    "add_webhook",
    "deliver_due",
    "deliveries",
    "get_webhook",
    "list_webhooks",
    "new_secret",
    "pause",
    "remove_webhook",
    "resume",
    "send",
    "send_again",
    "send_test",
    "signed",
]
