"""Tables of generations, and of what the gallery holds or must still be told; and what photos say of one another."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from catalog.storage.table_base import Base, now


class Generation(Base):
    """One bundle's collection in the gallery. Exactly one is live; its predecessor is kept for a rollback."""

    __tablename__ = "generation"

    id: Mapped[int] = mapped_column(primary_key=True)
    bundle_id: Mapped[str] = mapped_column(String(12), unique=True)
    bundle_name: Mapped[str] = mapped_column(String(100))
    collection: Mapped[str] = mapped_column(String(100), unique=True)
    dim: Mapped[int]
    live: Mapped[bool] = mapped_column(default=False)
    previous_id: Mapped[int | None] = mapped_column(ForeignKey("generation.id"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    switched_at: Mapped[datetime | None]

    __table_args__ = (
        Index("uq_generation_live", "live", unique=True, sqlite_where=text("live"), postgresql_where=text("live")),
    )


#: `Enrollment.attempts` of a photo that is pending because the gallery that held its vector was lost.
LOST = -1


class Enrollment(Base):
    """A photo's enrollment in a generation: `done` once its vector is in the gallery, else pending and retried.

    `attempts`: how often the photo itself was at fault, or LOST.
    """

    __tablename__ = "enrollment"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    photo_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("photo.id", ondelete="CASCADE"), primary_key=True)
    done: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text, default="")
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)

    __table_args__ = (
        Index(
            "ix_enrollment_pending", "generation_id", sqlite_where=text("NOT done"), postgresql_where=text("NOT done")
        ),
        Index("ix_enrollment_photo_id", "photo_id"),
    )


class Removal(Base):
    """A pending removal of a point from a generation: written with the deletion, deleted once it is applied."""

    __tablename__ = "removal"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    point_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class LeftOutAnswer(Base):
    """What a reference photo is answered in a generation when its own visit is left out (catalog/margins).

    `first_id` and `second_id` are the nearest products, `margin` that of the first over the second; None where this is
    no match by the bundle's thresholds, and all three where the product has no photo of another visit. `stale`: photos
    near it have changed since. Rows are written by the background alone: no foreign key to product or photo, so that no
    change by a person ever waits for them; those of what is gone are removed when the change is settled.
    """

    __tablename__ = "left_out_answer"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    photo_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    product_id: Mapped[uuid.UUID]
    first_id: Mapped[uuid.UUID | None]
    second_id: Mapped[uuid.UUID | None]
    margin: Mapped[float | None]
    stale: Mapped[bool] = mapped_column(default=False)
    asked_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (
        Index("ix_left_out_answer_product_id", "product_id"),
        Index("ix_left_out_answer_first_id", "first_id"),
        Index("ix_left_out_answer_second_id", "second_id"),
    )


class ProductMargin(Base):
    """The margin that a product needs to be a match in a generation, where that is more than the bundle's.

    Fitted from LeftOutAnswer: of `matches` photos that the bundle's margin gives this product, `wrong` are of others,
    and `rival_id` is the one whose photo decided. No foreign key to product, as there.
    """

    __tablename__ = "product_margin"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    product_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    margin: Mapped[float]
    rival_id: Mapped[uuid.UUID]
    matches: Mapped[int]
    wrong: Mapped[int]


class MarginDue(Base):
    """A product whose photos have changed: margins near it are to be fitted anew. Only ever inserted by a change."""

    __tablename__ = "margin_due"

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[uuid.UUID]
    created_at: Mapped[datetime] = mapped_column(default=now)


class ComparedPhoto(Base):
    """A photo that was compared with those of other products, to find products that are in the catalog twice.

    Written by the background alone (products/comparing.py), as LookAlikePair is: no foreign key to product or photo, so
    that no change by a person ever waits for it.
    """

    __tablename__ = "compared_photo"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    photo_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    product_id: Mapped[uuid.UUID] = mapped_column(index=True)


class LookAlikePair(Base):
    """Two products that look alike, `one_id` the lesser id, by the two of their photos that are most alike.

    `cosine`: of their vectors. `points`: local features that match, None where they do not show one pack by them.
    `same_picture`: one is a copy of the other.
    """

    __tablename__ = "look_alike_pair"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    one_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    other_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    one_photo: Mapped[uuid.UUID]
    other_photo: Mapped[uuid.UUID]
    cosine: Mapped[float]
    points: Mapped[int | None]
    same_picture: Mapped[bool]
