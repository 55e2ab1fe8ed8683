"""Photos of the inbox are asked again when the catalog has changed near them, or the model is another."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.errors import ConfigError, PhotoRejectedError
from catalog.generations import LiveModel
from catalog.recognition import recognize
from catalog.right_of_way import piece
from catalog.storage import Database
from catalog.storage.tables import Enrollment, InboxPhoto, Photo, Product, now

log = logging.getLogger(__name__)

#: Photos that are asked in one turn, so that other work of the background gets its turn, too.
AT_ONCE = 4
#: Photos of the catalog that are compared with the inbox in one turn.
PAGE = 500
#: A photo that is not enrolled after so long waits for something.
ENROLLING = timedelta(minutes=1)


def ask_again(catalog: Catalog) -> int:
    """Ask a few of the photos that are due; those that are recognized now leave the inbox. Returns how many were asked.

    Due are those that new photos of the catalog have come near to, those beside which one was added to a product, and
    all when the model is another. Photos that are not ours get the vector of the new model, to tell their like by, and
    stay. Raises GalleryError and DatabaseUnavailableError; they are then still due.
    """
    live = catalog.generations.ready()
    _mark_near(catalog, live)
    due = _due(catalog.database, live.embedder.bundle.id)
    for photo, data in due:
        try:
            answer = recognize(catalog, data)
        except (PhotoRejectedError, ConfigError) as error:  # no model reads it: nobody is to be asked about it
            log.warning("a photo of the inbox can't be asked again: %s", error)
            _forget(catalog.database, [photo])
            continue
        with catalog.database.write() as session:
            mine = InboxPhoto.id == photo
            if answer.decision == "match":
                session.execute(delete(InboxPhoto).where(mine, InboxPhoto.ours))
            found = [(match.sku, round(match.score, 4)) for match in answer.matches]
            values: dict[str, Any] = {"ask_again": False, "candidates": found, "bundle_id": answer.bundle}
            values["vector"] = answer.vector.astype(np.float32).tobytes()
            session.execute(update(InboxPhoto).where(mine).values(values))
    return len(due)


def _mark_near(catalog: Catalog, live: LiveModel) -> None:
    """Mark the photos that a photo of the catalog has come near to since they were asked, a page of these at a time."""
    bundle = live.embedder.bundle
    mine = InboxPhoto.ours & (InboxPhoto.bundle_id == bundle.id)
    with catalog.database.read() as session:
        since = session.scalar(select(func.min(InboxPhoto.asked_at)).where(mine))
        if since is None:
            return
        added = _added(session, live.generation_id, since)
        if not added:
            return
        upto = added[-1].created_at
        rows = session.execute(select(InboxPhoto.id, InboxPhoto.vector).where(mine, InboxPhoto.asked_at < upto)).all()
    with piece():
        vectors = catalog.gallery.vectors(live.collection, [str(row.id) for row in added])
    near: list[uuid.UUID] = []
    if vectors and rows:
        references = np.stack([np.asarray(vector, np.float32) for vector in vectors.values()])
        cosines = np.stack([np.frombuffer(row.vector, np.float32) for row in rows]) @ references.T
        floor = bundle.second_look.floor if bundle.second_look else None
        least = bundle.thresholds.score if floor is None else min(floor, bundle.thresholds.score)
        near = [row.id for row, most in zip(rows, cosines.max(axis=1), strict=True) if most >= least]
    with catalog.database.write() as session:
        session.execute(update(InboxPhoto).where(InboxPhoto.id.in_(near)).values(ask_again=True))
        session.execute(update(InboxPhoto).where(mine, InboxPhoto.asked_at < upto).values(asked_at=upto))


def _added(session: Session, generation_id: int, since: datetime) -> Sequence[Any]:
    """Photos of active products that were added since then, the oldest first, up to one that is still being enrolled.

    One that is pending for longer (the gallery was away, the photo is damaged) is passed over.
    """
    done = (Enrollment.photo_id == Photo.id) & (Enrollment.generation_id == generation_id)
    # `= true` would have SQLite read all active products by their index, every second, to find that no photo is new.
    active = Product.active.is_not(False)
    rows = session.execute(
        select(Photo.id, Photo.created_at, Enrollment.done)
        .join(Product)
        .outerjoin(Enrollment, done)
        .where(Photo.created_at > since, active)
        .order_by(Photo.created_at, Photo.id)
        .limit(PAGE)
    ).all()
    young = now() - ENROLLING
    still = (place for place, row in enumerate(rows) if not row.done and row.created_at > young)
    return rows[: next(still, len(rows))]


def _due(database: Database, live: str) -> list[tuple[uuid.UUID, bytes]]:
    wanted = or_(InboxPhoto.ask_again, InboxPhoto.bundle_id != live)
    query = select(InboxPhoto.id, InboxPhoto.data).where(wanted).order_by(InboxPhoto.at.desc()).limit(AT_ONCE)
    with database.read() as session:
        return [(row.id, row.data) for row in session.execute(query)]


def _forget(database: Database, photos: Sequence[uuid.UUID]) -> None:
    with database.write() as session:
        session.execute(delete(InboxPhoto).where(InboxPhoto.id.in_(photos)))
