"""Tills ask about photos that are not recognized, and what the inbox then holds."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import select

from catalog import inbox
from catalog.catalog import Catalog
from catalog.recognition import Recognition, recognize
from catalog.storage.tables import InboxPhoto
from tests.support.pictures import encode, picture


def asked(catalog: Catalog, seed: int, *, quality: int = 90, decision: str = "") -> Recognition:
    """A till asks about the picture of a seed, as saved with this quality; the answer is written at once."""
    answer = recognize(catalog, encode(picture(seed), quality=quality), asked_by="key till", keep=True)
    if decision:
        assert answer.decision == decision
    catalog.answers.flush()
    catalog.unanswered.flush()
    return answer


def photos(catalog: Catalog) -> list[InboxPhoto]:
    with catalog.database.read() as session:
        return list(session.scalars(select(InboxPhoto).order_by(InboxPhoto.at)))


def ids(catalog: Catalog) -> list[list[uuid.UUID]]:
    return [[item.id for item in group.items] for group in inbox.groups(catalog.database).groups]


#: Seeds that `strangers` has found.
_FOUND: list[int] = []


def strangers(catalog: Catalog, many: int) -> list[int]:
    """Seeds of pictures that are not recognized by the photo of TEA, and no two of them alike; looked for once."""
    if not _FOUND:
        bundle = catalog.generations.ready().embedder.bundle
        vectors: list[Any] = []
        for seed in (4003, 4007, 4041, 4196, *range(4197, 4400)):  # the first are so by the released bundle
            answer = recognize(catalog, encode(picture(seed), quality=90))
            near = max((float(answer.vector @ other) for other in vectors), default=0.0)
            if answer.decision != "match" and near < bundle.thresholds.score:
                _FOUND.append(seed)
                vectors.append(answer.vector)
            if len(_FOUND) == 4:
                break
    return _FOUND[:many]
