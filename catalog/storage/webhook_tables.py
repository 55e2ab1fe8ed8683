"""Tables of webhooks: where changes are delivered to, and the last deliveries."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from catalog.storage.table_base import Base, now


class Webhook(Base):
    """An address that changes are delivered to, in their order. `kinds`: which (see webhooks/endpoints.py).

    `secret`: signs what is delivered, so it can't be a hash. `cursor`: up to which change all is delivered. `attempts`:
    failed ones of the next change, since `failing_since`; the next one is due at `due_at`. `paused`: why nothing is
    delivered, "" if it is.
    """

    __tablename__ = "webhook"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    url: Mapped[str] = mapped_column(String(500))
    kinds: Mapped[list[str]] = mapped_column(JSON)
    secret: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(default=now)
    cursor: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    paused: Mapped[str] = mapped_column(String(20), default="")


class WebhookDelivery(Base):
    """One attempt to deliver. `change_id`: of what; None for a test. `status`: HTTP, None without an answer.

    `said`: the beginning of the answer, or why there is none.
    """

    __tablename__ = "webhook_delivery"

    id: Mapped[int] = mapped_column(primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(default=now)
    change_id: Mapped[int | None]
    type: Mapped[str] = mapped_column(String(40))
    sku: Mapped[str] = mapped_column(String(64), default="")
    status: Mapped[int | None]
    milliseconds: Mapped[int]
    said: Mapped[str] = mapped_column(Text, default="")

    __table_args__ = (Index("ix_webhook_delivery_webhook_id_id", "webhook_id", "id"),)

    @property
    def ok(self) -> bool:
        """Whether it was taken."""
        return self.status is not None and 200 <= self.status < 300
