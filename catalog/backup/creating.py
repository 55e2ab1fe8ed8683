"""Online backup: one consistent archive of rows, photos and bundles. The gallery is rebuilt after a restore."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, select, union

from catalog.backup import archive, table_rows
from catalog.backup.archive import BackupFailedError, Writer
from catalog.catalog import Catalog
from catalog.errors import NotFoundError, PhotoDamagedError
from catalog.progress import Progress, Steps, no_progress
from catalog.storage import PhotoStore, bundle_store
from catalog.storage.database import revision_of
from catalog.storage.tables import BinPhoto, Generation, GoldenPhoto, Photo, now
from embedder.bundle import META_FILE, Bundle, load_bundle
from embedder.errors import BundleError


@dataclass(frozen=True)
class BackedUp:
    """What an archive holds: number of rows by table, number of photos; and what it lacks, for a person to read."""

    rows: dict[str, int]
    photos: int
    left_out: list[str]


def back_up(catalog: Catalog, target: Path, progress: Progress = no_progress) -> BackedUp:
    """Write a backup to `target`, replacing an older one.

    The rows are a snapshot. Photos never change and are removed a day after their rows at the earliest
    (photo_checks.ORPHAN_AGE), so they can be copied after it; those of the bin may be gone with it, and are then
    passed over. A missing or damaged photo or bundle is left out and named; such a backup never replaces a file, which
    may still hold it. `progress` counts photos. Raises BackupFailedError, StorageError and DatabaseUnavailableError;
    `target` is then unchanged.
    """
    left_out: list[str] = []

    def leave_out(what: str) -> None:
        left_out.append(what)
        if target.exists():
            raise BackupFailedError(
                f"{what}; {target} may still hold it and stays. Name another file to back up all the rest."
            )

    with archive.writing(target) as out, tempfile.TemporaryFile("w+", dir=target.parent) as hashes:
        with catalog.database.snapshot() as connection:
            schema = revision_of(connection)
            about = {"format": archive.FORMAT, "schema": schema, "made_at": now().isoformat()}
            out.add(archive.ABOUT, json.dumps(about).encode())
            counts = {table.name: _dump(connection, table.name, out) for table in table_rows.tables()}
            bundles = connection.execute(select(Generation.bundle_id).order_by(Generation.id)).scalars().all()
            total = _list_photos(connection, hashes)
        for bundle_id in bundles:
            with tempfile.TemporaryDirectory() as folder:
                bundle = _kept(catalog, bundle_id, Path(folder))
                if bundle is None:
                    leave_out(f"The model bundle {bundle_id} is missing or damaged")
                else:
                    _add_bundle(out, bundle)
        _add_photos(catalog.photos, out, hashes, leave_out, Steps(progress, total))
        out.finish({"rows": counts, "left_out": left_out})
        return BackedUp(counts, out.contents.photos, left_out)


def _dump(connection: Connection, name: str, out: Writer) -> int:
    table = next(table for table in table_rows.tables() if table.name == name)
    total = 0
    for number, (part, count) in enumerate(table_rows.parts(connection, table)):
        out.add(f"tables/{name}/{number:06}", part)
        total += count
    return total


def _list_photos(connection: Connection, hashes: IO[str]) -> int:
    """Write the hashes of photo rows to a file, one per line; returns how many.

    Those that are only the original of a crop, or in the bin, are marked: they need not be in the store.
    """
    own = union(select(Photo.sha256), select(GoldenPhoto.sha256))
    others = union(
        *(
            select(column.label("sha256")).where(column.not_in(own), column.is_not(None))
            for column in (Photo.original, BinPhoto.sha256, BinPhoto.original)
        )
    )
    total = 0
    for query, mark in ((own.order_by("sha256"), ""), (others.order_by("sha256"), "?")):
        for (sha256,) in connection.execute(query, execution_options={"yield_per": table_rows.ROWS}):
            hashes.write(f"{sha256}{mark}\n")
            total += 1
    return total


def _add_photos(
    photos: PhotoStore, out: Writer, hashes: IO[str], leave_out: Callable[[str], None], steps: Steps
) -> None:
    hashes.seek(0)
    for line in hashes:
        sha256 = line.rstrip("\n?")
        try:
            out.add(f"photos/{sha256}", photos.get(sha256))
        except NotFoundError as error:
            if not line.endswith("?\n"):
                leave_out(str(error).rstrip("."))
        except PhotoDamagedError as error:
            leave_out(str(error).rstrip("."))
        steps.advance()


def _kept(catalog: Catalog, bundle_id: str, fetched: Path) -> Bundle | None:
    """The bundle from the data folder, else the configured one if it is the same, else that of the photo store, which
    is copied to `fetched`, else None. Raises StorageError.
    """
    for folder in (catalog.settings.bundles / bundle_id, catalog.settings.model):
        try:
            bundle = load_bundle(folder)
        except BundleError:
            continue
        if bundle.id == bundle_id:
            return bundle
    with suppress(BundleError):
        return bundle_store.fetch(catalog.photos, bundle_id, fetched)
    return None


def _add_bundle(out: Writer, bundle: Bundle) -> None:
    meta = (bundle.path / META_FILE).read_bytes()
    for name in sorted([META_FILE, *json.loads(meta)["files"]]):
        out.add(f"bundles/{bundle.id}/{name}", (bundle.path / name).read_bytes())
