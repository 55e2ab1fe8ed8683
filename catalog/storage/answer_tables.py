"""Tables of answers to tills: the log, feedback, and photos of the inbox."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from catalog.storage.table_base import Base, now


class RecognitionEntry(Base):
    """An answer to a till (answer log). `product_id` is set only when the decision is a match."""

    __tablename__ = "recognition"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    asked_by: Mapped[str] = mapped_column(String(100), default="")
    decision: Mapped[str] = mapped_column(String(20))
    decided_by: Mapped[str] = mapped_column(String(20))
    product_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("product.id", ondelete="SET NULL"))
    sku: Mapped[str] = mapped_column(String(64), default="")
    score: Mapped[float | None]
    confidence: Mapped[float | None]
    bundle_id: Mapped[str] = mapped_column(String(12))
    milliseconds: Mapped[float]

    __table_args__ = (
        Index("ix_recognition_product_id_at", "product_id", "at"),
        # The overview counts the answers of each day by decision, from the index alone.
        Index("ix_recognition_decision_at", "decision", "at"),
    )


class Feedback(Base):
    """Feedback by a person or a till on an answer: it was `correct`, or the right SKU ("" for none of ours)."""

    __tablename__ = "feedback"

    id: Mapped[int] = mapped_column(primary_key=True)
    recognition_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("recognition.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(default=now)
    actor: Mapped[str] = mapped_column(String(100))
    correct: Mapped[bool]
    sku: Mapped[str] = mapped_column(String(64), default="")
    note: Mapped[str] = mapped_column(Text, default="")


class InboxPhoto(Base):
    """A till's photo that was not recognized, or wrongly, kept for the staff. Its id is that of the answer.

    `vector`: float32 [dim] of the bundle `bundle_id`, as bytes. `candidates`: [SKU, score] of the answer's matches.
    Photos that the vector takes for one product are of one group. `seen`: how many photos it stands for. `ours` is
    false once a person said that the group is no product of the catalog: such photos are not shown, nor are those like
    them. `asked_at`: up to which photo of the catalog it has its answer. `ask_again`: the catalog has changed near it.
    `data`: the file, of `size` bytes. It and the vector are read only where they are needed.
    """

    __tablename__ = "inbox_photo"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    asked_by: Mapped[str] = mapped_column(String(100), default="")
    decision: Mapped[str] = mapped_column(String(20))
    candidates: Mapped[list[tuple[str, float]]] = mapped_column(JSON, default=list)
    bundle_id: Mapped[str] = mapped_column(String(12))
    vector: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    group_id: Mapped[uuid.UUID] = mapped_column(index=True)
    seen: Mapped[int] = mapped_column(default=1)
    ours: Mapped[bool] = mapped_column(default=True)
    asked_at: Mapped[datetime] = mapped_column(default=now)
    ask_again: Mapped[bool] = mapped_column(default=False)
    size: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
