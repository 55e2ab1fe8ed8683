"""Tables of the gallery map: where each photo is in two dimensions, and which products look alike."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from catalog.storage.table_base import Base, now


class GalleryMap(Base):
    """A map of a generation's photos. `complete` once all its rows are there: pages show the newest that is.

    `seconds`: what making it took. Written by the background alone.
    """

    __tablename__ = "gallery_map"

    id: Mapped[int] = mapped_column(primary_key=True)
    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), index=True)
    complete: Mapped[bool] = mapped_column(default=False)
    made_at: Mapped[datetime] = mapped_column(default=now)
    seconds: Mapped[float]


class MapPoint(Base):
    """A photo on a map. No foreign key to it, so that no change by a person waits for the background.

    `placed`: it was added to places that stayed as they were. `own` and `rival`: the cosines to the nearest other photo
    of its product, and to that of another one (`rival_photo`); None without any. `apart`: how it lies apart from its
    product ("beside" another, "alone"), or "".
    """

    __tablename__ = "map_point"

    map_id: Mapped[int] = mapped_column(ForeignKey("gallery_map.id", ondelete="CASCADE"), primary_key=True)
    photo_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    x: Mapped[float]
    y: Mapped[float]
    placed: Mapped[bool]
    own: Mapped[float | None]
    rival: Mapped[float | None]
    rival_photo: Mapped[uuid.UUID | None]
    apart: Mapped[str] = mapped_column(String(10), default="")


class MapPair(Base):
    """Two products of a map that look alike, by a photo of each: `photo_id`, and the one that is nearest to it.

    `cosine`: of the two. `lead`: by how much the first photo's own product is ahead of the other, less than the margin
    that it needs; below 0 where it is behind.
    """

    __tablename__ = "map_pair"

    map_id: Mapped[int] = mapped_column(ForeignKey("gallery_map.id", ondelete="CASCADE"), primary_key=True)
    photo_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    rival_photo: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    cosine: Mapped[float]
    lead: Mapped[float]
