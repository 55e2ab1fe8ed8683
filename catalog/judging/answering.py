"""Answer the queries of a judgement: as the live generation, or as the new one.

An embedded gallery is open in one process: while a server has the live generation, that server answers for it, in the
background (`answer_as_live`), and the process that builds the new one answers for that. Each answer is committed, so a
process that is killed loses at most one.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Any, Literal

import numpy as np
from sqlalchemy import ColumnElement, TextClause, select, text, update

from catalog import margins
from catalog.catalog import Catalog
from catalog.errors import NotFoundError, PhotoDamagedError, PhotoRejectedError
from catalog.generations import LiveModel
from catalog.recognition import Budget, Recognition, recognize_by
from catalog.right_of_way import background, piece
from catalog.storage import Database
from catalog.storage.tables import Enrollment, InboxPhoto, JudgedQuery, Judgement, Photo, Product

Side = Literal["live", "new"]
#: Seconds that the serving process answers at a time, before it looks for other work.
TURN = 0.5
#: Queries that are read at a time.
PAGE = 20

#: One thread of this process answers for the live generation at a time.
_answering = threading.Lock()

#: What a side has yet to answer. The live one's, worded as the index ix_judged_query_open, also says what is left out.
OPEN: dict[Side, ColumnElement[bool] | TextClause] = {
    "live": text("live IS NULL AND NOT gone"),
    "new": JudgedQuery.live.is_not(None) & JudgedQuery.new.is_(None) & ~JudgedQuery.gone,
}


def answer_as_live(catalog: Catalog) -> int:
    """Answer some queries that another process waits for, as the live generation; returns how many.

    For the process that has the embedded gallery open; a gallery server is asked by who judges. Raises a GalleryError.
    """
    if not catalog.settings.is_gallery_embedded or not _answering.acquire(blocking=False):
        return 0
    try:
        return _answer_as_live(catalog)
    finally:
        _answering.release()


def _answer_as_live(catalog: Catalog) -> int:
    live = catalog.generations.live()
    with catalog.database.read() as session:
        asking = select(Judgement.generation_id).where(
            Judgement.state == "asking", Judgement.live_id == live.generation_id
        )
        generations = list(session.scalars(asking))
    return sum(answer_open(catalog, live, generation, "live", TURN) for generation in generations)


def answer_open(catalog: Catalog, model: LiveModel, generation_id: int, side: Side, seconds: float) -> int:
    """Answer for about so long what a side has yet to answer of a generation's judgement; returns how many queries.

    Raises a GalleryError, StorageError, or ConfigError.
    """
    until, done = time.monotonic() + seconds, 0
    with background():
        while rows := _open(catalog.database, generation_id, side):
            for row in rows:
                _write(catalog.database, row, _answered(catalog, model, row, side))
                done += 1
                if time.monotonic() >= until:
                    return done
    return done


def _open(database: Database, generation_id: int, side: Side) -> list[JudgedQuery]:
    query = select(JudgedQuery).where(JudgedQuery.generation_id == generation_id, OPEN[side])
    with database.read() as session:
        return list(session.scalars(query.order_by(JudgedQuery.number).limit(PAGE)))


def _write(database: Database, row: JudgedQuery, values: dict[str, Any]) -> None:
    mine = (JudgedQuery.generation_id == row.generation_id) & (JudgedQuery.number == row.number)
    with database.write() as session:
        session.execute(update(JudgedQuery).where(mine).values(values))


def _answered(catalog: Catalog, model: LiveModel, row: JudgedQuery, side: Side) -> dict[str, Any]:
    """The columns that an answer sets."""
    read = _read(catalog, row)
    if read is None:
        return {"gone": True}
    data, sku = read
    left_out, known = row.left_out or [], row.known
    if side == "live":
        planned = _leave_out(catalog, model, row)
        if planned is None:
            return {"gone": True}
        left_out, known = planned
    try:
        # As if there were time enough: which candidates are looked at is not to depend on how busy the machine is.
        answer = recognize_by(catalog, model, data, Budget(math.inf), without=frozenset(left_out))
    except PhotoRejectedError:
        return {"gone": True}
    values: dict[str, Any] = {side: _told(answer, sku if known else "")}
    return values | {"left_out": left_out, "known": known} if side == "live" else values


def _told(answer: Recognition, sku: str) -> dict[str, Any]:
    """What is kept of an answer. `right`: its first match is the SKU, or, without one (""), it is no match."""
    first = answer.matches[0] if answer.matches else None
    named = first.sku if first else ""
    return {
        "decision": answer.decision,
        "sku": named,
        "score": round(first.score, 4) if first else None,
        "by": answer.decided_by,
        "right": named == sku if sku else answer.decision != "match",
    }


def _read(catalog: Catalog, row: JudgedQuery) -> tuple[bytes, str] | None:
    """A query's photo, and the SKU that it shows now ("" for none); None if one of the two is gone."""
    sku: str | None = ""
    with catalog.database.read() as session:
        if row.product_id is not None:
            sku = session.scalar(select(Product.sku).where(Product.id == row.product_id, Product.active))
        if sku is None:
            return None
        if row.kind == "till":
            data = session.scalar(select(InboxPhoto.data).where(InboxPhoto.id == row.photo_id))
            return None if data is None else (data, sku)
        mine = (Photo.id == row.photo_id) & (Photo.product_id == row.product_id)
        if row.kind == "catalog" and session.scalar(select(Photo.id).where(mine)) is None:
            return None
    try:
        return catalog.photos.get(row.sha256), sku
    except (NotFoundError, PhotoDamagedError):  # for `catalog doctor` to report
        return None


def _leave_out(catalog: Catalog, live: LiveModel, row: JudgedQuery) -> tuple[list[str], bool] | None:
    """The reference photos (ids) that may not be found, and whether its product has others; None if it is gone.

    Of a reference photo: itself, and what is of its visit by the live generation's vectors (see catalog/margins), for
    both sides: else the two would not be asked the same. Without a photo of another visit all of its product's: then it
    is asked as if the product were not in the catalog. Of a golden photo: the same file.
    """
    same_file: list[str] = []
    if row.kind == "golden":
        with catalog.database.read() as session:
            same_file = [str(one) for one in session.scalars(select(Photo.id).where(Photo.sha256 == row.sha256))]
    if row.product_id is None:
        return same_file, False
    with catalog.database.read() as session:
        enrolled = (Enrollment.photo_id == Photo.id) & (Enrollment.generation_id == live.generation_id)
        query = select(Photo.id).join(Enrollment, enrolled)
        query = query.where(Photo.product_id == row.product_id, Enrollment.done).order_by(Photo.id)
        photos = [str(identity) for identity in session.scalars(query)]
    if row.kind != "catalog":
        return same_file, not set(photos) <= set(same_file)
    with piece():
        vectors = catalog.gallery.vectors(live.collection, photos)
    mine = str(row.photo_id)
    if mine not in vectors:
        return None
    ids = sorted(vectors)
    visits = margins.visits(np.stack([vectors[identity] for identity in ids]))
    same = [identity for identity, visit in zip(ids, visits, strict=True) if visit == visits[ids.index(mine)]]
    return (same, True) if len(same) < len(ids) else (photos, False)
