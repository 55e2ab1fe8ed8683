"""Photos that a person sends one by one before their form, while the rest is typed; the form then names them.

They are in SQL, where every host finds them, for their person alone, and gone after KEPT: no file is left of a form
that never came.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import undefer

from catalog.enrollment.uploads import NewPhoto
from catalog.errors import InvalidInputError, PhotoRejectedError
from catalog.normalization import plain
from catalog.storage import Database
from catalog.storage.tables import EarlyUpload, now
from embedder import images
from embedder.errors import ImageError

#: How long they wait for their form.
KEPT = timedelta(hours=12)
#: Bytes that wait of one person, at most: beyond them the oldest go, and their form brings them itself.
MOST = 512 << 20


def put(database: Database, user: str, upload: NewPhoto) -> uuid.UUID:
    """Keep a photo of this person until its form comes; its id. Raises PhotoRejectedError for what is no photo."""
    try:
        images.dimensions(upload.data)
    except ImageError as error:
        raise PhotoRejectedError(error.code, upload.filename, str(error)) from error
    name = "".join(character if plain(character) else "\ufffd" for character in upload.filename)
    row = EarlyUpload(id=uuid.uuid4(), user=user, filename=name, size=len(upload.data), data=upload.data)
    with database.write() as session:
        session.add(row)
        session.flush()
        so_far = func.sum(EarlyUpload.size).over(order_by=(EarlyUpload.at.desc(), EarlyUpload.id))
        ranked = select(EarlyUpload.id, so_far.label("bytes")).where(EarlyUpload.user == user).subquery()
        session.execute(delete(EarlyUpload).where(EarlyUpload.id.in_(select(ranked.c.id).where(ranked.c.bytes > MOST))))
        return row.id


def get(database: Database, user: str, ids: Sequence[uuid.UUID]) -> list[NewPhoto]:
    """The photos of these ids, in their order. Raises InvalidInputError (`sent`) if one is not there for them."""
    query = select(EarlyUpload).where(EarlyUpload.id.in_(ids), EarlyUpload.user == user)
    with database.read() as session:
        found = {row.id: row for row in session.scalars(query.options(undefer(EarlyUpload.data)))}
    if len(found) < len(set(ids)):
        raise InvalidInputError("sent", "A photo that was sent before is no longer here: send it again.")
    return [NewPhoto(found[identity].filename, found[identity].data) for identity in ids]


def trim(database: Database) -> None:
    """Remove those whose form did not come, and those that it has taken, after KEPT."""
    with database.write() as session:
        session.execute(delete(EarlyUpload).where(EarlyUpload.at < now() - KEPT))
