"""Checks of the photo store: missing or damaged photos and local features, orphaned files.

gallery_checks.py compares SQL with the gallery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import func, select, union

from catalog.catalog import Catalog
from catalog.errors import NotFoundError, PhotoDamagedError, StorageError
from catalog.maintenance.findings import Finding
from catalog.progress import Progress, Steps
from catalog.right_of_way import piece
from catalog.storage import Database, StoredFile, feature_store
from catalog.storage.tables import AuditEntry, BinPhoto, GoldenPhoto, Photo, Product, now
from embedder.errors import ImageError

#: Photos per SQL query.
PAGE = 500
#: Minimum age of an orphan: a photo's bytes are stored before its row.
ORPHAN_AGE = timedelta(days=1)


def check_photos(catalog: Catalog, *, repair: bool, progress: Progress) -> Iterator[Finding]:
    """Check each photo of each product, and its local features if the live model re-ranks. Raises StorageError."""
    looks_twice = catalog.generations.live().embedder.bundle.has_words
    with catalog.database.read() as session:
        steps = Steps(progress, session.scalar(select(func.count(Photo.sha256.distinct()))) or 0)
    after = ""
    while True:
        with catalog.database.read() as session:
            query = select(Photo.sha256, func.min(Product.sku)).join(Product).where(Photo.sha256 > after)
            rows = session.execute(query.group_by(Photo.sha256).order_by(Photo.sha256).limit(PAGE)).all()
        if not rows:
            return
        for sha256, sku in rows:
            with piece():
                found = _examine_photo(catalog, sha256, sku, looks_twice=looks_twice, repair=repair)
            if found is not None:
                yield found
            steps.advance()
        after = rows[-1][0]


def _examine_photo(catalog: Catalog, sha256: str, sku: str, *, looks_twice: bool, repair: bool) -> Finding | None:
    """Raises StorageError when the store does not answer."""
    try:
        catalog.photos.get(sha256)
    except NotFoundError as error:
        # Not one that was deleted and removed since the page was read.
        return Finding("photo_missing", str(error), sku, sha256) if _named(catalog.database, [sha256]) else None
    except PhotoDamagedError as error:
        return Finding("photo_damaged", str(error), sku, sha256)
    if not looks_twice or feature_store.load(catalog.photos, sha256) is not None:
        return None
    finding = Finding("details_missing", f"The details of photo {sha256[:12]} are missing or damaged.", sku, sha256)
    if not repair:
        return finding
    try:
        feature_store.load_or_extract(catalog.photos, sha256)
    except ImageError as error:
        return Finding("photo_damaged", str(error), sku, sha256)
    return replace(finding, mended=feature_store.load(catalog.photos, sha256) is not None)


def check_files(catalog: Catalog, *, remove: bool, step: Callable[[], None] = lambda: None) -> Iterator[Finding]:
    """Find orphaned files of the store; `step` is called for each page. Raises StorageError if they can't be listed."""
    waiting: list[list[StoredFile]] = []
    for _, files in groupby(catalog.photos.files(), key=lambda file: file.sha256 or file.name):
        waiting.append(list(files))
        if len(waiting) == PAGE:
            yield from _orphans(catalog, waiting, remove=remove)
            waiting = []
            step()
    yield from _orphans(catalog, waiting, remove=remove)


def _orphans(catalog: Catalog, groups: Sequence[Sequence[StoredFile]], *, remove: bool) -> Iterator[Finding]:
    named = _named(catalog.database, [files[0].sha256 for files in groups])
    lately = _deleted_lately(catalog.database)
    for files in groups:
        # The newest: a photo that was added again after years is as new as its last put.
        file = max(files, key=lambda file: file.written)
        if file.sha256 in named:
            if remove and any(other.name.endswith(".aside") for other in files):
                catalog.photos.remove(file, lambda written: False)  # a removal was killed: put the photo back
            continue
        if file.sha256 in lately or _too_young(file.written):
            continue
        finding = Finding(
            "file_orphaned" if file.sha256 else "file_unfinished",
            f"No photo of the catalog accounts for {file.name} in the photo store, {_age(file.written)} old.",
            sha256=file.sha256,
        )
        if remove:
            finding = _removed(catalog, file, finding)
        yield finding


def _removed(catalog: Catalog, file: StoredFile, finding: Finding) -> Finding:
    def unused(written: datetime) -> bool:
        # A photo that is put again is young from then on, even before its row exists.
        return not _too_young(written) and not _named(catalog.database, [file.sha256])

    try:
        gone = catalog.photos.remove(file, unused)
    except StorageError as error:
        return replace(finding, message=f"{finding.message} {error}")
    return replace(finding, mended=True, message=finding.message if gone else f"{finding.message} It is in use now.")


def _too_young(written: datetime) -> bool:
    return written > now() - ORPHAN_AGE


def _age(written: datetime) -> str:
    return f"{(now() - written).days} days"


def _named(database: Database, hashes: Sequence[str]) -> set[str]:
    """Those hashes that are a photo's, or that of the photo it was cut from; of a product, in the bin, or golden."""
    columns = (Photo.sha256, Photo.original, BinPhoto.sha256, BinPhoto.original, GoldenPhoto.sha256)
    # One statement: a photo that goes into the bin or comes out of it meanwhile is seen in one of the two.
    query = union(*(select(column).where(column.in_(hashes)) for column in columns))
    with database.read() as session:
        return set(session.scalars(query))


#: Actions in the audit log that take a photo from its product, or from the golden set: one that they name.
TAKING = (
    *("photo.delete", "photo.move", "photo.replace", "photo.crop", "photo.uncrop", "photo.rotate"),
    "golden.remove",
)


def _deleted_lately(database: Database) -> set[str]:
    """Photos (SHA-256) that left a product, the bin or the golden set less than ORPHAN_AGE ago.

    And those that they were cut from. A backup that runs meanwhile may still name them.
    """
    taking = AuditEntry.action.in_([*TAKING, "product.merge", "product.purge", "bin.empty", "bin.delete"])
    query = select(AuditEntry.action, AuditEntry.before).where(taking, AuditEntry.at > now() - ORPHAN_AGE)
    with database.read() as session:
        return {sha256 for action, before in session.execute(query) for sha256 in _taken(action, before or {})}


def _taken(action: str, before: Mapping[str, Any]) -> Iterator[str]:
    if action in TAKING:
        yield from filter(None, (before.get("photo"), before.get("original")))
        return
    gone = before.get("merged", {}) if action == "product.merge" else before
    yield from (*gone.get("photos", ()), *gone.get("files", ()))
