"""Photos of the inbox are asked again when the catalog has changed near them, or the model is another."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence

import numpy as np
from sqlalchemy import delete, or_, select, update

from catalog.catalog import Catalog
from catalog.errors import ConfigError, PhotoRejectedError
from catalog.recognition import recognize
from catalog.storage import Database
from catalog.storage.tables import InboxPhoto

log = logging.getLogger(__name__)

#: Photos that are asked in one turn, so that other work of the background gets its turn, too.
AT_ONCE = 4


def ask_again(catalog: Catalog) -> int:
    """Ask a few of the photos that are due; those that are recognized now leave the inbox. Returns how many were asked.

    Photos that are not ours get the vector of the new model, to tell their like by, and stay. Raises GalleryError and
    DatabaseUnavailableError; they are then still due.
    """
    due = _due(catalog)
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
            values = {"ask_again": False, "candidates": found, "bundle_id": answer.bundle}
            values["vector"] = answer.vector.astype(np.float32).tobytes()
            session.execute(update(InboxPhoto).where(mine).values(values))
    return len(due)


def _due(catalog: Catalog) -> list[tuple[uuid.UUID, bytes]]:
    live = catalog.generations.ready().embedder.bundle.id
    wanted = or_(InboxPhoto.ask_again, InboxPhoto.bundle_id != live)
    query = select(InboxPhoto.id, InboxPhoto.data).where(wanted).order_by(InboxPhoto.at.desc()).limit(AT_ONCE)
    with catalog.database.read() as session:
        return [(row.id, row.data) for row in session.execute(query)]


def _forget(database: Database, photos: Sequence[uuid.UUID]) -> None:
    with database.write() as session:
        session.execute(delete(InboxPhoto).where(InboxPhoto.id.in_(photos)))
