"""A stamp of the catalog: as long as it stays the same, so does what offline tills are given."""

from __future__ import annotations

import hashlib
import json

from sqlalchemy import func, select

from catalog.catalog import Catalog
from catalog.generations import LiveModel
from catalog.offline.archive import FORMAT
from catalog.storage import feature_store
from catalog.storage.revision import HEAD
from catalog.storage.tables import AuditEntry, Enrollment, ProductMargin, Removal

#: Entries of the audit log, the newest, that are counted: an entry of a transaction that ended late may have a lower
#: number than one that was seen before.
LATE = 1000


def stamp(catalog: Catalog, live: LiveModel) -> str:
    """From SQL alone, and quick: a poll by a till costs a few milliseconds.

    Every change by a person is in the audit log; vectors that came or went in the background are in the enrollments and
    removals. Raises DatabaseUnavailableError.
    """
    mine = Enrollment.generation_id == live.generation_id
    margins = ProductMargin.generation_id == live.generation_id
    with catalog.database.read() as session:
        last = session.scalar(select(func.max(AuditEntry.id))) or 0
        recent = session.scalar(select(func.count()).where(AuditEntry.id > last - LATE))
        enrolled = session.execute(select(func.count(), func.max(Enrollment.updated_at)).where(mine)).one()
        pending = session.scalar(select(func.count()).where(mine, ~Enrollment.done))
        removals = session.scalar(select(func.count()).select_from(Removal))
        margin = session.execute(select(func.count(), func.sum(ProductMargin.margin)).where(margins)).one()
    settings = catalog.settings
    seen = [
        *(FORMAT, HEAD, feature_store.KIND, feature_store.PICTURE, live.embedder.bundle.id, settings.second_look),
        *(settings.second_look_ms, last, recent, *map(str, enrolled), pending, removals, *map(str, margin)),
    ]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:32]
