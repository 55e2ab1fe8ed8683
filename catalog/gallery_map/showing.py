"""What the page of the map shows: points as one compact answer, and as lists what lies apart and what looks alike."""

from __future__ import annotations

import hashlib
import json
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Select, String, func, select, type_coerce
from sqlalchemy.orm import Session, aliased

from catalog.gallery_map.look_alikes import APART, Apart
from catalog.gallery_map.map_rows import newest_map
from catalog.generations import live_generation
from catalog.storage import Database
from catalog.storage.tables import AuditEntry, Enrollment, GalleryMap, MapPair, MapPoint, Photo, Product

#: Who asks for what nobody has asked for since the last change: one works it out, the others wait for that.
_working = threading.Lock()


@dataclass(frozen=True)
class MapState:
    """The map that is shown, as of when it was made: `photos` of it are still there, and `missing` ones are not on it.

    `identity` and `made_at` are None where there is none of the live generation.
    """

    identity: int | None = None
    made_at: datetime | None = None
    photos: int = 0
    missing: int = 0
    pairs: int = 0
    apart: int = 0


def state_of(database: Database) -> MapState:
    """What there is to show."""
    with database.read() as session:
        live = live_generation(session)
        if live is None:
            return MapState()
        total = session.scalar(_enrolled(live.id)) or 0
        made = session.scalar(select(GalleryMap).where(GalleryMap.id == newest_map(live.id).scalar_subquery()))
    if made is None:
        return MapState(missing=total)
    with _working:
        shown, pairs, apart = _counts(database, live.id, made.id, version_of(database), total)
    return MapState(made.id, made.made_at, shown, total - shown, pairs, apart)


def _enrolled(generation_id: int) -> Select[int]:
    """Select how many photos should be on a map: retired products have no enrollments."""
    return select(func.count()).where(Enrollment.generation_id == generation_id, Enrollment.done)


@lru_cache(maxsize=1)
def _counts(database: Database, generation_id: int, map_id: int, version: str, total: int) -> tuple[int, int, int]:
    """Photos of a map that are still there, its pairs, and photos apart; as of a version, and a total of photos."""
    of_map = (MapPoint.map_id == map_id, MapPoint.photo_id == Enrollment.photo_id)
    wanted = (
        _enrolled(generation_id).where(*of_map),
        select(func.count()).select_from(_pairs(map_id).subquery()),
        select(func.count()).select_from(_apart(map_id).subquery()),
    )
    with database.read() as session:
        shown, pairs, apart = (session.scalar(query) or 0 for query in wanted)
    return shown, pairs, apart


def version_of(database: Database) -> str:
    """What `pack` depends on, as a short text: another one when its bytes may be others.

    That is the map, and any change by a person, each of which has an entry in the audit log.
    """
    with database.read() as session:
        live = live_generation(session)
        facts = (live and session.scalar(newest_map(live.id)), session.scalar(select(func.max(AuditEntry.id))))
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def packed(database: Database) -> tuple[str, bytes]:
    """The version, and what `pack` gives of it: once, then from memory."""
    version = version_of(database)
    with _working:
        return version, _pack(database, version)


@lru_cache(maxsize=1)  # some megabytes
def _pack(database: Database, version: str) -> bytes:
    return pack(database)


def pack(database: Database) -> bytes:
    """All points of the map that is shown, of active products, as one compact answer; the numbers are little-endian.

    uint32: the length of the head, which is JSON: `photos` n, `pairs` m, `products` [[sku, name, category], ...] and
    `categories`, by name, which a product's number is in. Then, each from a multiple of four bytes on: float32 [n, 2]
    places; uint32 [n] products; uint32 [m, 2] photos of pairs that look alike; uint8 [n] how each lies apart, as in
    APART; and uint8 [n, 32] SHA-256 of the photos.
    """
    with database.snapshot() as connection, Session(connection) as session:
        live = live_generation(session)
        identity = live and session.scalar(newest_map(live.id))
        points = connection.execute(_points(identity)).all() if identity else []
        pairs = connection.execute(
            select(_key(MapPair.photo_id), _key(MapPair.rival_photo))
            .where(MapPair.map_id == identity)
            .order_by(MapPair.lead, MapPair.photo_id)
        ).all()
        of_products = select(_key(Product.id), Product.sku, Product.name, Product.category).where(Product.active)
        products = connection.execute(of_products.order_by(Product.sku)).all()
    numbers = {key: number for number, (key, *_) in enumerate(products)}
    points = [row for row in points if row[1] in numbers]
    photos, of, x, y, apart, hashes = zip(*points, strict=True) if points else ((),) * 6
    place = {key: number for number, key in enumerate(photos)}
    categories = sorted({category for *_, category in products})
    by_name = {name: number for number, name in enumerate(categories)}
    joined = [(place[one], place[other]) for one, other in pairs if one in place and other in place]
    head = {
        "photos": len(points),
        "pairs": len(joined),
        "products": [(sku, name, by_name[category]) for _, sku, name, category in products],
        "categories": categories,
    }
    kinds = {name: number for number, name in enumerate(APART)}
    parts = (
        json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode(),
        np.stack([np.array(x, "<f4"), np.array(y, "<f4")], axis=1).tobytes(),
        np.array([numbers[key] for key in of], "<u4").tobytes(),
        np.array(joined, "<u4").tobytes(),
        bytes(kinds[kind] for kind in apart),
        bytes.fromhex("".join(hashes)),
    )
    return struct.pack("<I", len(parts[0])) + b"".join(part + bytes(-len(part) % 4) for part in parts)


def _points(map_id: int) -> Select[*tuple[Any, ...]]:
    columns = (_key(MapPoint.photo_id), _key(Photo.product_id), MapPoint.x, MapPoint.y, MapPoint.apart, Photo.sha256)
    return select(*columns).join(Photo, Photo.id == MapPoint.photo_id).where(MapPoint.map_id == map_id)


def _key(identity: Any) -> ColumnElement[Any]:
    """An id as the database gives it, text or UUID: good to compare, and no time is spent on making UUIDs of text."""
    return type_coerce(identity, String)


@dataclass(frozen=True)
class MapPhoto:
    """A photo (SHA-256) of a product in a list."""

    sku: str
    name: str
    photo: str


@dataclass(frozen=True)
class AlikePair:
    """Two products that look alike, by the photo of each that is nearest to the other; see MapPair."""

    one: MapPhoto
    other: MapPhoto
    cosine: float
    lead: float


@dataclass(frozen=True)
class ApartPhoto:
    """A photo that lies apart from its product, how, and the nearest photo of another product; see MapPoint."""

    photo: MapPhoto
    apart: Apart
    own: float | None
    rival: MapPhoto | None
    cosine: float | None


def list_pairs(database: Database, *, start: int = 0, limit: int = 20) -> list[AlikePair]:
    """Pairs of active products that look alike, those that are least told apart first."""
    return [
        AlikePair(MapPhoto(*row[:3]), MapPhoto(*row[3:6]), row.cosine, row.lead)
        for row in _list(database, _pairs, start, limit)
    ]


def list_apart(database: Database, *, start: int = 0, limit: int = 20) -> list[ApartPhoto]:
    """Photos of active products that lie apart, those beside another product first."""
    return [
        ApartPhoto(
            MapPhoto(*row[:3]), row.apart, row.own, MapPhoto(*row[3:6]) if row[3] is not None else None, row.rival
        )
        for row in _list(database, _apart, start, limit)
    ]


def _list(database: Database, query_of: Any, start: int, limit: int) -> Sequence[Any]:
    with database.read() as session:
        live = live_generation(session)
        identity = live and session.scalar(newest_map(live.id))
        return session.execute(query_of(identity).offset(start).limit(limit)).all() if identity else []


def _pairs(map_id: int) -> Select[*tuple[Any, ...]]:
    one_photo, other_photo, one, other = aliased(Photo), aliased(Photo), aliased(Product), aliased(Product)
    return (
        select(
            *(one.sku, one.name, one_photo.sha256),
            *(other.sku.label("other_sku"), other.name.label("other_name"), other_photo.sha256.label("other_photo")),
            *(MapPair.cosine, MapPair.lead),
        )
        .join(one_photo, one_photo.id == MapPair.photo_id)
        .join(other_photo, other_photo.id == MapPair.rival_photo)
        .join(one, one.id == one_photo.product_id)
        .join(other, other.id == other_photo.product_id)
        .where(MapPair.map_id == map_id, one.active, other.active)
        .order_by(MapPair.lead, MapPair.photo_id)
    )


def _apart(map_id: int) -> Select[*tuple[Any, ...]]:
    rival_photo, rival = aliased(Photo), aliased(Product)
    return (
        select(
            *(Product.sku, Product.name, Photo.sha256),
            *(rival.sku.label("rival_sku"), rival.name.label("rival_name"), rival_photo.sha256.label("rival_photo")),
            *(MapPoint.apart, MapPoint.own, MapPoint.rival),
        )
        .join(Photo, Photo.id == MapPoint.photo_id)
        .join(Product, Product.id == Photo.product_id)
        .outerjoin(rival_photo, rival_photo.id == MapPoint.rival_photo)
        .outerjoin(rival, (rival.id == rival_photo.product_id) & rival.active)
        .where(MapPoint.map_id == map_id, MapPoint.apart != "", Product.active)
        .order_by(MapPoint.apart.desc(), MapPoint.own - MapPoint.rival, MapPoint.photo_id)
    )
