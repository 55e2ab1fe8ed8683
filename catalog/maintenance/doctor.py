"""What is missing or damaged in a catalog: found, and made again where that is possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby

from sqlalchemy import func, select

from catalog.catalog import Catalog
from catalog.errors import NotFoundError, PhotoDamagedError, StorageError
from catalog.maintenance import gallery_checks
from catalog.maintenance.findings import Finding, Progress
from catalog.maintenance.photo_checks import ORPHAN_AGE, PAGE
from catalog.storage import StoredFile, feature_store
from catalog.storage.tables import AuditEntry, Photo, Product, now
from embedder.errors import ImageError


def examine(
    catalog: Catalog,
    *,
    repair: bool = False,
    remove_orphans: bool = False,
    ask_gallery: bool = True,
    progress: Progress = lambda photos: None,
) -> Iterator[Finding]:
    """Look at every photo of every product (and its details where the live model looks twice), the files of the photo
    store, and the gallery.

    With `repair` all that can be made again is made. A photo that is gone can't be: its product needs a new one.
    `remove_orphans` removes files that no row has named for ORPHAN_AGE, and collections that no generation names.
    `ask_gallery=False` leaves the gallery out. Raises DatabaseUnavailableError, or ConfigError for a live bundle that
    is broken; another part that does not answer is a finding.
    """
    try:
        yield from _photos(catalog, repair=repair, progress=progress)
        yield from _files(catalog, remove=remove_orphans)
    except StorageError as error:
        yield Finding("photos_not_asked", f"{error} The photos were not looked at (further).")
    yield from gallery_checks.examine(catalog, repair=repair, remove_orphans=remove_orphans, ask_gallery=ask_gallery)


def _photos(catalog: Catalog, *, repair: bool, progress: Progress) -> Iterator[Finding]:
    looks_twice = catalog.generations.live().embedder.bundle.has_words
    after = ""
    while True:
        with catalog.database.read() as session:
            query = select(Photo.sha256, func.min(Product.sku)).join(Product).where(Photo.sha256 > after)
            rows = session.execute(query.group_by(Photo.sha256).order_by(Photo.sha256).limit(PAGE)).all()
        if not rows:
            return
        for sha256, sku in rows:
            found = _examine_photo(catalog, sha256, sku, looks_twice=looks_twice, repair=repair)
            if found is not None:
                yield found
            progress(1)
        after = rows[-1][0]


def _examine_photo(catalog: Catalog, sha256: str, sku: str, *, looks_twice: bool, repair: bool) -> Finding | None:
    """Raises StorageError when the store does not answer."""
    try:
        catalog.photos.get(sha256)
    except NotFoundError as error:
        # Not one that was deleted, and removed, since the page was read.
        return Finding("photo_missing", str(error), sku, sha256) if _named(catalog, [sha256]) else None
    except PhotoDamagedError as error:
        return Finding("photo_damaged", str(error), sku, sha256)
    if not looks_twice or feature_store.kept(catalog.photos, sha256) is not None:
        return None
    finding = Finding("details_missing", f"The details of photo {sha256[:12]} are missing or damaged.", sku, sha256)
    if not repair:
        return finding
    try:
        feature_store.of_photo(catalog.photos, sha256)
    except ImageError as error:
        return Finding("photo_damaged", str(error), sku, sha256)
    return replace(finding, mended=feature_store.kept(catalog.photos, sha256) is not None)


def _files(catalog: Catalog, *, remove: bool) -> Iterator[Finding]:
    """Files of the store that no photo accounts for. Raises StorageError when they can't be listed."""
    waiting: list[list[StoredFile]] = []
    for _, files in groupby(catalog.photos.files(), key=lambda file: file.sha256 or file.name):
        waiting.append(list(files))
        if len(waiting) == PAGE:
            yield from _orphans(catalog, waiting, remove=remove)
            waiting = []
    yield from _orphans(catalog, waiting, remove=remove)


def _orphans(catalog: Catalog, groups: Sequence[Sequence[StoredFile]], *, remove: bool) -> Iterator[Finding]:
    named = _named(catalog, [files[0].sha256 for files in groups])
    lately = _deleted_lately(catalog)
    for files in groups:
        # What was put last: a photo that came again after years is as new as its last put.
        file = max(files, key=lambda one: one.written)
        if file.sha256 in named:
            if remove and any(one.name.endswith(".aside") for one in files):
                catalog.photos.remove(file, lambda written: False)  # a look at it was killed: it is put back
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
        # A photo that is put again is young from then on, before its row is there.
        return not _too_young(written) and not _named(catalog, [file.sha256])

    try:
        gone = catalog.photos.remove(file, unused)
    except StorageError as error:
        return replace(finding, message=f"{finding.message} {error}")
    return replace(finding, mended=True, message=finding.message if gone else f"{finding.message} It is in use now.")


def _too_young(written: datetime) -> bool:
    return written > now() - ORPHAN_AGE


def _age(written: datetime) -> str:
    return f"{(now() - written).days} days"


def _named(catalog: Catalog, hashes: Sequence[str]) -> set[str]:
    """Those that a photo has, or was cut from."""
    with catalog.database.read() as session:
        found = set(session.scalars(select(Photo.sha256).where(Photo.sha256.in_(hashes))))
        return found | set(session.scalars(select(Photo.original).where(Photo.original.in_(hashes))))


def _deleted_lately(catalog: Catalog) -> set[str]:
    """Photos that a product lost by somebody's hand less than ORPHAN_AGE ago."""
    with catalog.database.read() as session:
        taken = AuditEntry.action.startswith("photo.") | AuditEntry.action.in_(["product.merge", "product.purge"])
        lately = select(AuditEntry.before).where(taken, AuditEntry.at > now() - ORPHAN_AGE)
        lost = [before for before in session.scalars(lately) if before]
    purged = [sha256 for before in lost for sha256 in before.get("photos", ())]
    return {str(sha256) for sha256 in (*purged, *(before["photo"] for before in lost if "photo" in before))}
