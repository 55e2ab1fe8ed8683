"""Table of requests that name themselves, so that they can be repeated."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from catalog.storage.table_base import Base, now


class NamedRequest(Base):
    """A request to change something, under the `name` that a program with an API key gave it (see named_requests.py).

    The row is written in the transaction of the change: it is there exactly if the change is. `fingerprint`: a hash of
    what was asked (SHA-256). `attempt`: which of several attempts made the change. `told`: what it did, in the words of
    the use case. `status`, `headers` and `body` are the answer, null until there is one.
    """

    __tablename__ = "named_request"

    key_id: Mapped[int] = mapped_column(ForeignKey("api_key.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    attempt: Mapped[uuid.UUID]
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    told: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    body: Mapped[str | None] = mapped_column(Text)
