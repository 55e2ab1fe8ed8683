"""Tables of judgements: what a new generation and the live one answered before a switch, and photos to ask them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from catalog.storage.table_base import Base, now


class GoldenPhoto(Base):
    """A photo that every new model is asked: of the product that it shows, or (None and "") of none of the catalog.

    `sku` is the product's as it was when the photo was added. No foreign key: a product that comes back from the bin
    has its golden photos again. `sha256` names the file in the photo store.
    """

    __tablename__ = "golden_photo"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    product_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    sku: Mapped[str] = mapped_column(String(64), default="")
    filename: Mapped[str] = mapped_column(String(255), default="")
    actor: Mapped[str] = mapped_column(String(100))
    added_at: Mapped[datetime] = mapped_column(default=now)


class Judgement(Base):
    """The last judgement of a generation, against the one that was live (`live_id`).

    `state`: asking (queries are being answered), passed, held (it broke a rule: a person decides), or overruled (a
    person switched to it all the same). `seed`: that its photos were drawn by. `broken`: the rules that it breaks, a
    sentence each. `report`: figures of both generations, as catalog/judging/figures.py makes them.
    """

    __tablename__ = "judgement"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    live_id: Mapped[int]
    at: Mapped[datetime] = mapped_column(default=now)
    state: Mapped[str] = mapped_column(String(10), default="asking")
    seed: Mapped[int]
    broken: Mapped[list[str]] = mapped_column(JSON, default=list)
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)


class JudgedQuery(Base):
    """A query of a judgement, and what both generations answered; None until they did.

    `kind`: catalog (a reference photo, with what is of its visit left out), golden, or till (a photo of the inbox).
    `photo_id`: that of the reference photo, of the golden one or in the inbox; `sha256` of the first two, "" for a
    till's. `product_id` and `sku`: what it shows, None and "" for no product of the catalog. `left_out`: ids of
    reference photos that may not be found; None until the live side has said which. `known`: whether the product has
    other photos to be found by; else the right answer is no match. `live` and `new`: an answer each
    (catalog/judging/answering.py). `gone`: the photo or product is no longer there, so nothing is asked.

    Written by the background alone: no foreign key to product or photo, so that no change by a person waits for it.
    """

    __tablename__ = "judged_query"

    generation_id: Mapped[int] = mapped_column(
        ForeignKey("judgement.generation_id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(10))
    photo_id: Mapped[uuid.UUID]
    sha256: Mapped[str] = mapped_column(String(64), default="")
    product_id: Mapped[uuid.UUID | None]
    sku: Mapped[str] = mapped_column(String(64), default="")
    known: Mapped[bool] = mapped_column(default=False)
    left_out: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    live: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    new: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    gone: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (
        # Few at most times: the serving process looks for them every second.
        Index(
            "ix_judged_query_open",
            "generation_id",
            sqlite_where=text("live IS NULL AND NOT gone"),
            postgresql_where=text("live IS NULL AND NOT gone"),
        ),
    )
