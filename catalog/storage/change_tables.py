"""Tables of the feed of changes, which other systems follow."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from catalog.storage.table_base import Base, now


class Change(Base):
    """Something that changed, as other systems are told. Ids are in the order of the commits (see change_rows.py).

    `actor`: what kind of actor did it, never who. `sku`: "" where no product has to do with it. `told`: what else there
    is to say, by type (see change_events.py).
    """

    __tablename__ = "change"
    # SQLite gives an id again when the newest row was deleted, unless it is told not to.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    type: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str] = mapped_column(String(10))
    sku: Mapped[str] = mapped_column(String(64), default="")
    told: Mapped[dict[str, Any]] = mapped_column(default=dict)


class ChangeFeed(Base):
    """The one row that names the feed of this database, drawn when it was made: cursors of another one are refused.

    `trimmed_to`: the newest change that is kept no more.
    """

    __tablename__ = "change_feed"

    name: Mapped[str] = mapped_column(String(8), primary_key=True)
    trimmed_to: Mapped[int] = mapped_column(default=0)
