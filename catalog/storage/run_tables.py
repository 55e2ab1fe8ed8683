"""Tables of maintenance: its runs, and what coverage found."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from catalog.storage.table_base import Base, now


class Run(Base):
    """A piece of long maintenance work: asked for, at work, or over (`ended_at`); of a kind at most one is not over.

    `state`: waiting, running, done, failed, stopped. `options`: what was asked for. `night` (a date): whose nightly run
    it is. `by_command`: a process of the command line does it, and no other goes on with it. `stop`: it is to end.
    `holder`: a secret of the process that is at it; `attempts`: how many processes began it. `result`: small, by kind.
    """

    __tablename__ = "run"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    kind: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    actor: Mapped[str] = mapped_column(String(100))
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    night: Mapped[str | None] = mapped_column(String(10))
    by_command: Mapped[bool] = mapped_column(default=False)
    stop: Mapped[bool] = mapped_column(default=False)
    holder: Mapped[uuid.UUID | None]
    attempts: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    message: Mapped[str] = mapped_column(Text, default="")
    result: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "uq_run_open", "kind", unique=True,
            sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL"),
        ),
        Index("uq_run_night", "kind", "night", unique=True),  # NULLs differ from one another
    )  # fmt: skip


class ProductCoverage(Base):
    """What coverage found of a product, when it was last examined: of `asked` photos `found` find it.

    `generation_id`: by which model; `at`: when its photos were read from SQL. `rival_id`: the product that
    `rival_times` of them find instead, the most frequent. `advice`: [code, sentence] each. No foreign keys: a change by
    a person never waits for a run.
    """

    __tablename__ = "product_coverage"

    product_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    run_id: Mapped[uuid.UUID] = mapped_column(index=True)
    generation_id: Mapped[int]
    at: Mapped[datetime] = mapped_column(default=now)
    photos: Mapped[int]
    asked: Mapped[int]
    found: Mapped[int]
    rival_id: Mapped[uuid.UUID | None]
    rival_times: Mapped[int] = mapped_column(default=0)
    advice: Mapped[list[list[str]]] = mapped_column(JSON, default=list)


class CoverageDay(Base):
    """Coverage of the whole catalog on a day (ISO, of the zone of the machine), by the last run that was done that day.

    `needy`: how many of the products need another photo.
    """

    __tablename__ = "coverage_day"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)
    products: Mapped[int]
    asked: Mapped[int]
    found: Mapped[int]
    needy: Mapped[int]
