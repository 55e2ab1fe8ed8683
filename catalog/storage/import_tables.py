"""Tables of imports that are started in the pages, or by programs."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from catalog.storage.table_base import Base, now


class ImportJob(Base):
    """An import that a page or a program started; its files are below the data folder (transfer/uploads.py).

    `state`: uploading, columns, checking, checked, waiting, running, done, cancelled, failed. `listed`: it has a list,
    of which `mapping` gives the header for each column. `automatic`: what was checked is imported without asking.
    `cancel`: it is to end. `attempts`: how many processes began what it is at. `counts`: what it added and changed.
    `errors`: what it left out, a line each; `message`: why it failed, or notes.
    """

    __tablename__ = "import_job"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    actor: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(200), default="")
    state: Mapped[str] = mapped_column(String(20), default="uploading", index=True)
    files: Mapped[int] = mapped_column(default=0)
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    listed: Mapped[bool] = mapped_column(default=False)
    mapping: Mapped[dict[str, Any]] = mapped_column(default=dict)
    update_facts: Mapped[bool] = mapped_column(default=False)
    automatic: Mapped[bool] = mapped_column(default=False, server_default=false())
    cancel: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    errors: Mapped[list[str]] = mapped_column(JSON, default=list, deferred=True)
    message: Mapped[str] = mapped_column(Text, default="")
    finished_at: Mapped[datetime | None]


class ImportLine(Base):
    """What an import would do with a line of its list, or with a folder (see transfer.Line).

    `changes`: [field, old, new] each.
    """

    __tablename__ = "import_line"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("import_job.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source: Mapped[str] = mapped_column(Text)
    sku: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(20))
    changes: Mapped[list[list[str]]] = mapped_column(JSON, default=list)
    photos: Mapped[int] = mapped_column(default=0)
    errors: Mapped[list[str]] = mapped_column(JSON, default=list)

    __table_args__ = (Index("ix_import_line_job_id_state", "job_id", "state", "number"),)
