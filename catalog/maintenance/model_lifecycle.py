"""The life of a model beside its re-embedding: added while another is live, and removed for good."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.durable_files import sync_folder
from catalog.enrollment import outbox
from catalog.errors import ConflictError, NotFoundError, StorageError
from catalog.gallery import collection_name
from catalog.generations import live_generation
from catalog.maintenance.models import BUILD_LOCK, BUILD_RUN, building, target_of
from catalog.storage import Database, audit_log
from catalog.storage.tables import AuditEntry, ComparedPhoto, Enrollment, Generation, LeftOutAnswer, Removal, Run
from embedder.bundle import ID_LENGTH, Bundle, load_bundle
from embedder.inference import check_model

#: The lock of those who add and remove models: one at a time.
LIST_LOCK = "models"
#: Rows that are removed in one transaction.
PAGE = 2000


@dataclass(frozen=True)
class Added:
    """`new`: it was not there before. `live`: it answers already. `self_test`: the cosine that the bundle's self-test
    reached on this machine, None for a bundle that carries none.
    """

    bundle: Bundle
    new: bool
    live: bool
    self_test: float | None


def add_model(catalog: Catalog, folder: Path, *, actor: str) -> Added:
    """Check the bundle in a folder, keep a copy, and register its generation, which is not live and has no photos yet.

    Repeating it changes nothing. Raises BundleError, before anything is copied or written, for a bundle that is
    incomplete, was changed after it was written, or whose model can't be used (see embedder.inference.check_model);
    ConfigError when it can't be kept.
    """
    bundle = load_bundle(folder)
    cosine = check_model(bundle)
    with catalog.database.read() as session:
        first = live_generation(session) is None
    if first:  # a new catalog gets the model of CATALOG_MODEL before this
        catalog.generations.live()
    with catalog.database.alone(LIST_LOCK, wait=True):
        with catalog.database.read() as session:
            there = _find(session, bundle.id) is not None
        generation = catalog.generations.add(bundle, actor=actor)
    return Added(bundle, not there, generation.live, cosine)


def remove_model(catalog: Catalog, bundle_id: str, *, actor: str) -> bool:
    """Remove a model for good: its collection, this host's copy of its bundle, its rows. False if it was gone already.

    A rollback that would have gone to it goes to the one before it. Killed at any moment, it leaves a model that is
    still listed: this can be repeated, and photos can be embedded by it again. Raises NotFoundError; ConflictError for
    the live model, one by which photos are embedded right now or are to be, and the one that CATALOG_MODEL names
    there; GalleryError, as while another process has its collection open; StorageError.
    """
    with (
        catalog.database.alone(LIST_LOCK) as nobody_adds,
        catalog.database.alone(BUILD_LOCK) as nobody_builds,  # held to the end: none begins meanwhile
    ):
        if not nobody_adds:
            raise ConflictError("Another model is being added or removed right now: try again when that is over.")
        folder = catalog.settings.bundles / bundle_id
        if not _is_there(catalog, bundle_id):
            return False
        if not nobody_builds:
            _refuse_beside(building(catalog.database, catalog.settings), bundle_id)
        if folder.resolve() == catalog.settings.model.resolve():
            raise ConflictError(f"CATALOG_MODEL is {folder}: let it name another bundle first.")
        with catalog.database.read() as session:
            _check_free(session, catalog.settings, bundle_id)
        # First what another process may refuse: until then the model is as it was. A gallery that is lost is filled
        # again by whoever goes back to it; a bundle that is lost is not, so nobody may before it is removed.
        collection = collection_name(bundle_id)
        catalog.generations.release(collection)
        catalog.gallery.drop(collection)
        with catalog.database.write() as session:
            _go_past(session, bundle_id)
        _remove_photo_rows(catalog.database, bundle_id)
        _remove_copy(folder)
        with catalog.database.write() as session:
            _remove_rows(session, bundle_id, actor)
        return True


def _find(session: Session, bundle_id: str) -> Generation | None:
    return session.scalar(select(Generation).where(Generation.bundle_id == bundle_id))


def _is_there(catalog: Catalog, bundle_id: str) -> bool:
    """Whether there is something to remove; False if it was removed before. Raises NotFoundError."""
    if not re.fullmatch(f"[0-9a-f]{{{ID_LENGTH}}}", bundle_id):
        raise NotFoundError(f"{bundle_id!r} is no id of a model: `catalog model list` names those that there are.")
    with catalog.database.read() as session:
        if _find(session, bundle_id) is not None:
            return True
        was_removed = (AuditEntry.action == "model.remove") & (AuditEntry.subject == bundle_id)
        before = session.scalar(select(AuditEntry.id).where(was_removed).limit(1)) is not None
    if (catalog.settings.bundles / bundle_id).is_dir():  # a process that added it was killed before its row was there
        return True
    if not before:
        raise NotFoundError(f"The catalog has no model {bundle_id!r}: `catalog model list` names those that it has.")
    return False


def _refuse_beside(built: str, bundle_id: str) -> None:
    if built == bundle_id:
        raise ConflictError(f"Photos are being embedded by the model {bundle_id}: let that end, or stop it under Jobs.")
    raise ConflictError(
        f"Photos are being embedded by another model{f' ({built})' if built else ''}: let that end, or stop it under "
        "Jobs, before one is removed."
    )


def _check_free(session: Session, settings: Settings, bundle_id: str) -> None:
    """Raises ConflictError for the live model, and for one by which photos are to be embedded."""
    live = live_generation(session)
    if live is not None and live.bundle_id == bundle_id:
        raise ConflictError(f"The model {bundle_id} is live: switch to another one first (`catalog reembed`).")
    waiting = select(Run).where(Run.kind == BUILD_RUN, Run.state == "waiting", Run.ended_at.is_(None))
    for run in session.scalars(waiting):
        if target_of(session, settings, run.options) == bundle_id:
            raise ConflictError(f"Photos are to be embedded by the model {bundle_id}: stop that under Jobs first.")


def _go_past(session: Session, bundle_id: str) -> None:
    """Nobody goes back to this model from now on, but to the one before it."""
    live_generation(session, hold="change")
    if (generation := _find(session, bundle_id)) is None:
        return
    for later in session.scalars(select(Generation).where(Generation.previous_id == generation.id)):
        later.previous_id = generation.previous_id if generation.previous_id != later.id else None


def _remove_copy(folder: Path) -> None:
    """Remove a kept bundle: at once by its name, so that nobody loads half of one. Raises StorageError."""
    going = folder.with_name(f".removed-{folder.name}")
    try:
        if going.is_dir():
            shutil.rmtree(going)
        if folder.is_dir():
            folder.rename(going)
            sync_folder(folder.parent)
            shutil.rmtree(going)
    except OSError as error:
        raise StorageError(f"The model's files in {folder} can't be removed: {error.strerror or error}.") from error


def _remove_photo_rows(database: Database, bundle_id: str) -> None:
    """Remove what there is a row for each photo of, a page at a time: nobody waits for a million of them."""
    with database.read() as session:
        generation = _find(session, bundle_id)
    if generation is None:
        return
    for table in (LeftOutAnswer, ComparedPhoto, Enrollment):
        mine = table.generation_id == generation.id
        page = select(table.photo_id).where(mine).order_by(table.photo_id).limit(PAGE).with_for_update()
        rows: Sequence[uuid.UUID] = [uuid.UUID(int=0)]
        while rows:
            with database.write() as session:
                rows = session.scalars(page).all()
                session.execute(delete(table).where(mine, table.photo_id.in_(rows)))


def _remove_rows(session: Session, bundle_id: str, actor: str) -> None:
    generation = _find(session, bundle_id)
    before = None
    if generation is not None:
        before = {"name": generation.bundle_name, "dim": generation.dim}
        # In the order in which a deletion of photos locks them; what else there is of it goes with its row.
        enrolled, owed = Enrollment.generation_id == generation.id, Removal.generation_id == generation.id
        outbox.lock_enrollments(session, enrolled)
        session.execute(delete(Enrollment).where(enrolled))
        outbox.lock_removals(session, owed)
        session.execute(delete(Removal).where(owed))
        session.execute(delete(Generation).where(Generation.id == generation.id))
    audit_log.record(session, actor, "model.remove", bundle_id, before)
