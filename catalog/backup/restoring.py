"""Restore a backup into an empty catalog, on whichever database and photo store it has."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, delete
from sqlalchemy.exc import InterfaceError, OperationalError, StatementError
from sqlalchemy.orm import Session

from catalog.backup import archive, table_rows
from catalog.backup.archive import ArchiveError
from catalog.catalog import Catalog
from catalog.errors import ConflictError
from catalog.progress import Progress, Steps, no_progress
from catalog.storage import PhotoStore, audit_log, bundle_store
from catalog.storage.database import alembic_config
from catalog.storage.revision import ROWS_FIT_SINCE
from catalog.storage.tables import LOST, Enrollment, Generation, Webhook, now
from embedder.bundle import load_bundle
from embedder.errors import BundleError


class NotEmptyError(ConflictError):
    """A backup can be restored into an empty catalog only, and this one is not; nothing was changed."""

    code = "catalog_not_empty"


@dataclass(frozen=True)
class Restored:
    """What was restored: number of rows by table, number of photos; and what the backup lacked."""

    rows: dict[str, int]
    photos: int
    left_out: list[str]


def restore(catalog: Catalog, source: Path, progress: Progress = no_progress, *, actor: str) -> Restored:
    """Verify a backup, then copy its photos and bundles, then its rows in one transaction; all photos are pending.

    Until that transaction is committed the catalog stays empty, and the restore can be repeated: photos and bundles are
    content-addressed. `progress` counts bytes: each of the file twice. Raises ArchiveError, NotEmptyError,
    StorageError, and OSError for a file that can't be read.
    """
    with catalog.database.read() as session:
        _refuse_filled(session.connection())
    steps = Steps(progress, 2 * source.stat().st_size)
    with source.open("rb") as file:
        manifest = archive.check(file, _accept, steps)
        _refuse_unknown(manifest)
        with tempfile.TemporaryDirectory() as folder:
            _copy(catalog.photos, file, Path(folder), steps)
            _keep_bundles(catalog, Path(folder))
        with catalog.database.write() as session:
            counts = _load(session, file, manifest, steps)
            facts = {"products": counts.get("product", 0), "photos": counts.get("photo", 0)}
            audit_log.record(session, actor, "catalog.restore", source.name[:100], after=facts)
    return Restored(counts, manifest["contents"]["photos"]["count"], manifest["left_out"])


def _accept(about: dict[str, Any]) -> None:
    """Raises ArchiveError for a backup of an unsupported version."""
    if about.get("format") != archive.FORMAT:
        raise ArchiveError(f"The backup has the format {about.get('format')}; this version reads {archive.FORMAT}.")
    scripts = ScriptDirectory.from_config(alembic_config())
    known = [script.revision for script in scripts.walk_revisions()]  # the newest first
    schema = about.get("schema")
    if schema not in known:
        raise ArchiveError(
            f"The backup was made by a newer version than this one (schema {schema}): restore it by that version."
        )
    if known.index(schema) > known.index(ROWS_FIT_SINCE):
        raise ArchiveError(
            f"The backup's schema {schema} is too old to be restored at once (the oldest is {ROWS_FIT_SINCE}): restore "
            "it by the version that made it, start this version on that catalog, and back it up again."
        )


def _refuse_unknown(manifest: dict[str, Any]) -> None:
    """Raises ArchiveError for rows of an unknown table, and for an invalid manifest."""
    if not isinstance(manifest.get("rows"), dict) or not isinstance(manifest.get("left_out"), list):
        raise ArchiveError("The backup's manifest does not say what it holds.")
    unknown = {*manifest["rows"], *manifest["contents"]["tables"]} - {table.name for table in table_rows.tables()}
    if unknown:
        raise ArchiveError(f"The backup has rows of {', '.join(sorted(unknown))}, which this version does not know.")


def _refuse_filled(connection: Connection) -> None:
    """Raises NotEmptyError unless only generations are there: `catalog init` adds one, and it is no loss."""
    there = table_rows.filled(connection)
    there.pop(Generation.__tablename__, None)
    if there:
        what = ", ".join(f"{count} in {name}" for name, count in there.items())
        raise NotEmptyError(
            f"The catalog is not empty ({what}): a backup goes into an empty one. Name a new folder by CATALOG_DATA, "
            "or a new database by CATALOG_DATABASE."
        )


def _copy(photos: PhotoStore, file: BinaryIO, folder: Path, steps: Steps) -> None:
    """Copy photos into the store, and bundles into a folder each."""
    for member in archive.members(file):
        kind, _, rest = member.name.partition("/")
        if kind == "photos":
            if photos.put(member.read()) != rest:
                raise ArchiveError(f"The photo {rest[:12]} was changed while the backup was read.")
            steps.advance(member.size)
        elif kind == "bundles":
            path = folder / rest
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(member.read())
            steps.advance(member.size)


def _keep_bundles(catalog: Catalog, folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        try:
            bundle = load_bundle(path)
        except BundleError as error:
            raise ArchiveError(f"The backup's model bundle {path.name} can't be used: {error}") from error
        if bundle.id != path.name:
            raise ArchiveError(f"The backup's model bundle {path.name} is another one, {bundle.id}.")
        bundle_store.keep(bundle, catalog.settings.bundles)
        bundle_store.share(catalog.photos, bundle)


def _load(session: Session, file: BinaryIO, manifest: dict[str, Any], steps: Steps) -> dict[str, int]:
    """Insert all rows; returns how many by table. Raises NotEmptyError when somebody was faster, and ArchiveError."""
    connection = session.connection()
    table_rows.hold_all(connection)
    _refuse_filled(connection)
    connection.execute(delete(Generation))
    known = {table.name: table for table in table_rows.tables()}
    counts = dict.fromkeys(known, 0)
    # The gallery is rebuilt, whatever was in the old one.
    changed: dict[str, dict[str, Any]] = {
        Enrollment.__tablename__: {"done": False, "attempts": LOST, "error": "", "updated_at": now()},
        # The feed begins anew, and a copy that is restored beside the catalog is not to speak for it.
        Webhook.__tablename__: {
            "cursor": 0, "attempts": 0, "failing_since": None, "due_at": None, "paused": "restored",
        },
    }  # fmt: skip
    try:
        for member in archive.members(file):
            if member.name.startswith("tables/"):
                table = member.name.split("/")[1]
                counts[table] += table_rows.load(connection, known[table], member.read(), changed.get(table, {}))
                steps.advance(member.size)
    except StatementError as error:
        if isinstance(error, OperationalError | InterfaceError):  # the database's fault, not the row's
            raise
        raise ArchiveError(f"The backup's rows do not fit: {str(error).splitlines()[0][:200]}") from error
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ArchiveError(f"The backup's rows do not fit: {error!r}.") from error
    if any(counts[name] != expected for name, expected in manifest["rows"].items()):
        raise ArchiveError("The backup does not hold as many rows as it says.")
    table_rows.count_up(connection, known.values())
    return counts
