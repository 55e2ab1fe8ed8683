"""Rows of maps: what a new map starts from, and writing one beside the one that is shown.

Only the background writes here, in short transactions: a new map is shown when all its rows are there.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from sqlalchemy import ColumnElement, Select, delete, func, insert, select, update
from sqlalchemy.orm import Session

from catalog.errors import ConflictError
from catalog.gallery_map.computing import MapOutput
from catalog.gallery_map.look_alikes import APART
from catalog.generations import live_generation
from catalog.storage import Database
from catalog.storage.tables import Enrollment, GalleryMap, MapPair, MapPoint, Photo, Product, ProductMargin, now

#: Rows of a transaction: some 20 ms, in which nobody else writes to SQLite.
PAGE = 1000
#: After this time a map that is not complete is what a killed process left.
LEFT_AFTER = timedelta(days=1)


def photos_to_map(generation_id: int) -> Select[uuid.UUID, uuid.UUID]:
    """Select the photos of active products in the gallery of a generation: id and product."""
    return (
        select(Photo.id, Photo.product_id)
        .join(Enrollment, Enrollment.photo_id == Photo.id)
        .join(Product, Product.id == Photo.product_id)
        .where(Enrollment.generation_id == generation_id, Enrollment.done, Product.active)
    )


def count_photos(database: Database, generation_id: int) -> int:
    """How many photos a map of a generation would have."""
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(photos_to_map(generation_id).subquery())) or 0


def newest_map(generation_id: int) -> Select[int]:
    """Select the id of the map of a generation that is shown."""
    query = select(GalleryMap.id).where(GalleryMap.generation_id == generation_id, GalleryMap.complete)
    return query.order_by(GalleryMap.id.desc()).limit(1)


@dataclass(frozen=True)
class Known:
    """Photos to map (product by photo, by id), the margins that products need, the map that is shown: where its photos
    are, and whether each was `placed` beside others.
    """

    photos: dict[uuid.UUID, uuid.UUID]
    margins: dict[uuid.UUID, float]
    places: dict[uuid.UUID, tuple[float, float]]
    placed: set[uuid.UUID]

    @property
    def changed(self) -> int:
        """How many photos came since all were laid out together, or went since the last map."""
        new = self.photos.keys() - self.places.keys()
        gone = self.places.keys() - self.photos.keys()
        return len(new) + len(gone | self.placed)

    @property
    def is_current(self) -> bool:
        """Whether the map shows exactly the photos that there are."""
        return self.photos.keys() == self.places.keys()


def read(database: Database, generation_id: int) -> Known:
    """What a new map of a generation starts from, as of one moment."""
    with database.snapshot() as connection, Session(connection) as session:
        photos = session.execute(photos_to_map(generation_id).order_by(Photo.id)).all()
        margins = session.execute(
            select(ProductMargin.product_id, ProductMargin.margin).where(ProductMargin.generation_id == generation_id)
        ).all()
        shown = select(MapPoint.photo_id, MapPoint.x, MapPoint.y, MapPoint.placed)
        points = session.execute(shown.where(MapPoint.map_id == newest_map(generation_id).scalar_subquery())).all()
    return Known(
        {row.id: row.product_id for row in photos},
        {row.product_id: row.margin for row in margins},
        {row.photo_id: (row.x, row.y) for row in points},
        {row.photo_id for row in points if row.placed},
    )


def write(
    database: Database,
    generation_id: int,
    photos: Sequence[uuid.UUID],
    placed: Collection[uuid.UUID],
    found: MapOutput,
    *,
    seconds: float,
) -> None:
    """Write a map, then show it and delete those before. `placed`: those that came since all were laid out.

    Raises ConflictError when another generation is live by now; nothing is left of the map then.
    """
    with database.write() as session:
        made = GalleryMap(generation_id=generation_id, seconds=seconds)
        session.add(made)
        session.flush()
        identity = made.id
    for start in range(0, len(photos), PAGE):
        some = range(start, min(start + PAGE, len(photos)))
        rows = [_point(identity, photos, found, place) | {"placed": photos[place] in placed} for place in some]
        with database.write() as session:
            session.execute(insert(MapPoint), rows)
    with database.write() as session:
        pairs = [
            {
                "map_id": identity,
                "photo_id": photos[photo],
                "rival_photo": photos[rival],
                "cosine": float(found.rival_cosine[photo]),
                "lead": float(lead),
            }
            for (photo, rival), lead in zip(found.look_alikes.pairs.tolist(), found.look_alikes.leads, strict=True)
        ]
        if pairs:
            session.execute(insert(MapPair), pairs)
        live = live_generation(session, hold="share")
        is_live = live is not None and live.id == generation_id
        if is_live:
            session.execute(update(GalleryMap).where(GalleryMap.id == identity).values(complete=True))
    if not is_live:
        _delete(database, GalleryMap.id == identity)
        raise ConflictError("Another model became live while the map was made: make it again.")
    left = ~GalleryMap.complete & (GalleryMap.made_at < now() - LEFT_AFTER)
    before = GalleryMap.complete & (GalleryMap.generation_id == generation_id) & (GalleryMap.id < identity)
    _delete(database, left | before)


def _delete(database: Database, condition: ColumnElement[bool]) -> None:
    """Delete maps, their rows first, in pages."""
    with database.read() as session:
        maps = session.scalars(select(GalleryMap.id).where(condition)).all()
    for identity in maps:
        for table in (MapPair, MapPoint):
            some = select(table.photo_id).where(table.map_id == identity).limit(PAGE)
            page = delete(table).where(table.map_id == identity, table.photo_id.in_(some)).returning(table.photo_id)
            deleted = True
            while deleted:
                with database.write() as session:
                    deleted = bool(session.scalars(page).all())
        with database.write() as session:
            session.execute(delete(GalleryMap).where(GalleryMap.id == identity))


def _point(map_id: int, photos: Sequence[uuid.UUID], found: MapOutput, place: int) -> dict[str, object]:
    rival = int(found.rival[place])
    return {
        "map_id": map_id,
        "photo_id": photos[place],
        "x": float(found.places[place, 0]),
        "y": float(found.places[place, 1]),
        "own": _number(found.own[place]),
        "rival": _number(found.rival_cosine[place]),
        "rival_photo": photos[rival] if rival >= 0 else None,
        "apart": APART[found.look_alikes.apart[place]],
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
