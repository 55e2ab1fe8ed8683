"""Re-embedding: build a new model's gallery beside the live one, validate and judge it, switch atomically; roll back.

Runs in a process of its own while tills are served. The embedded gallery is locked per generation, so the builder holds
the new one and the serving process the live one; the serving process sees the switch in SQL at its next request.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog import enrollment, judging, margins
from catalog.catalog import Catalog
from catalog.enrollment import outbox
from catalog.errors import CatalogError, ConflictError, GalleryLockedError, NotFoundError
from catalog.generations import LiveModel, live_generation
from catalog.progress import Progress, no_progress
from catalog.storage import Database, audit_log
from catalog.storage.tables import Enrollment, Generation, Photo, Product, now
from embedder.bundle import Bundle
from embedder.inference import PhotoFeatures

log = logging.getLogger(__name__)

#: Sample of photos, at most, that must find themselves before the switch; enough to detect a gallery that is unusable.
JUDGED = 200
#: Seconds to wait for a server that still has the new generation open, as it was live before: it gives it back when its
#: last answers of then are given, and a busy one takes a while.
RELEASED_WITHIN = 20.0


class NotFitError(CatalogError):
    """The new gallery failed its validation; the live one stays."""

    code = "generation_not_fit"


@dataclass(frozen=True)
class Switched:
    """Result of a re-embedding. `photos` were embedded in this run: few if the gallery existed; `total` are in it.

    `judged`: the new model was compared with the live one. `held`: the rules that it broke, a sentence each; it was not
    switched to, and a person is to decide.
    """

    bundle: str
    before: str
    photos: int
    total: int
    changed: bool
    judged: bool = field(default=False, compare=False)
    held: Sequence[str] = ()


Action = Literal["model.switch", "model.rollback"]


def reembed(
    catalog: Catalog,
    bundle: Bundle,
    progress: Progress = no_progress,
    *,
    switch_anyway: bool = False,
    actor: str = "cli",
) -> Switched:
    """Build the bundle's gallery from the stored photos, judge it against the live one, and switch unless it is worse.

    Photos added or deleted meanwhile are caught up with before the switch, which checks that in its own transaction.
    After any failure the live gallery stays as it is, and the next run continues where this one ended. `switch_anyway`:
    a person has decided, so nothing is compared. Raises NotFitError, JudgingError, GalleryError, StorageError, or
    ConfigError for a bundle that can't be loaded.
    """
    # A new catalog gets its first model before this. The live gallery is not opened: another process may hold it.
    catalog.generations.live()
    catalog.generations.share_all()
    target = catalog.generations.add(bundle)
    return _build_and_switch(catalog, target, progress, actor, action="model.switch", judged=not switch_anyway)


def rollback(catalog: Catalog, progress: Progress = no_progress, *, actor: str = "cli", live: str = "") -> Switched:
    """Switch back to the generation before the live one, after adding what is new since. Raises NotFoundError.

    `live`: the bundle to go back from. Nothing is done where another one is live, as when a rollback is begun again
    after its switch: it would go back one further.
    """
    with catalog.database.read() as session:
        row = live_generation(session)
        previous = session.get(Generation, row.previous_id) if row and row.previous_id else None
    if row is not None and live not in ("", row.bundle_id):
        return Switched(row.bundle_id, row.bundle_id, 0, 0, changed=False)
    if previous is None:
        raise NotFoundError("There is no generation before the live one to go back to.")
    return _build_and_switch(catalog, previous, progress, actor, action="model.rollback", judged=False)


def check_held(database: Database, bundle_id: str) -> None:
    """Raises ConflictError unless a bundle is held against the model that is live, as the person saw it."""
    if all(held.bundle_id != bundle_id for held in judging.held_generations(database)):
        raise ConflictError("This model is not held any more: look again.")


def _build_and_switch(
    catalog: Catalog, target: Generation, progress: Progress, actor: str, *, action: Action, judged: bool
) -> Switched:
    with catalog.database.read() as session:
        live = live_generation(session)
        before = live.bundle_id if live else ""
    if target.live:
        # Nothing to switch; pending photos are left to the outbox of the process that holds the gallery.
        return Switched(target.bundle_id, before, 0, 0, changed=False)
    catalog.generations.share(target)  # other hosts need it from the moment of the switch on
    building = catalog.generations.load(target)
    try:
        _open(catalog, building)
        built = _fill(catalog, building, progress)
        catalog.gallery.optimize(target.collection)
        while outbox.apply_removals(catalog, building):
            pass
        built += _fill(catalog, building, progress)
        _validate(catalog, building)
        # Before the switch, so that the first answer of the new model keeps to its margins; what changes meanwhile is
        # asked by the serving process, which looks for it after a switch.
        margins.refresh(catalog, building)
        if judged and (broken := judging.judge_generation(catalog, building, progress, actor=actor).broken):
            with catalog.database.read() as session:
                total = _count(session)
            return Switched(target.bundle_id, before, built, total, changed=False, judged=True, held=broken)
        while (switched := _switch(catalog, building, actor, action)) is None:
            built += _fill(catalog, building, progress)
        return Switched(target.bundle_id, before, built, switched, changed=True, judged=judged)
    finally:
        catalog.generations.release(target.collection)


def _open(catalog: Catalog, building: LiveModel) -> None:
    """Open the new generation's collection. One that was live a moment ago is still a server's, for some seconds.

    Raises a GalleryError.
    """
    until = time.monotonic() + RELEASED_WITHIN
    while True:
        try:
            return catalog.generations.ensure_collection(building)
        except GalleryLockedError:
            if time.monotonic() >= until:
                raise


def _missing(session: Session, generation_id: int, limit: int, after: uuid.UUID | None = None) -> dict[uuid.UUID, str]:
    """Photos (SHA-256 by id) of active products that are not enrolled in the generation, sorted by id."""
    held = exists().where(Enrollment.photo_id == Photo.id, Enrollment.generation_id == generation_id, Enrollment.done)
    query = select(Photo.id, Photo.sha256).join(Product).where(Product.active, ~held).order_by(Photo.id).limit(limit)
    if after is not None:
        query = query.where(Photo.id > after)
    return dict(session.execute(query).all())


def _count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Photo).join(Product).where(Product.active)) or 0


def _fill(catalog: Catalog, building: LiveModel, progress: Progress) -> int:
    """Embed and enroll missing photos; returns how many.

    Raises NotFitError for photos that can't be read, after all others are enrolled.
    """
    done = unreadable = 0
    mine = (Enrollment.generation_id == building.generation_id) & Enrollment.done
    last: uuid.UUID | None = None
    while True:
        with catalog.database.read() as session:
            photos = _missing(session, building.generation_id, 4 * outbox.CHUNK, last)
            total = _count(session)
        if not photos:
            break
        features = _extract(catalog, building, photos)
        _owe(catalog.database, building, list(features))
        done += outbox.apply_enrollments(catalog, building, features)
        unreadable += len(photos) - len(features)
        last = max(photos)
        with catalog.database.read() as session:  # those of an earlier run, too: a bar goes on where it was
            there = session.scalar(select(func.count()).select_from(Enrollment).where(mine)) or 0
        progress(min(there, total), total)
    if unreadable:
        raise NotFitError(f"{unreadable} photos can't be embedded; the log names them. The live gallery stays.")
    return done


def _extract(catalog: Catalog, building: LiveModel, photos: Mapping[uuid.UUID, str]) -> dict[uuid.UUID, PhotoFeatures]:
    features, failures = enrollment.extract_stored(catalog.photos, building, photos)
    enrollment.note_failures(catalog.database, building.generation_id, failures)
    return features


def _owe(database: Database, building: LiveModel, ids: Sequence[uuid.UUID]) -> None:
    """Add pending enrollments for those of the photos that still exist. Raises ConflictError."""
    mine = Enrollment.generation_id == building.generation_id
    try:
        with database.write() as session:
            there = set(session.scalars(select(Enrollment.photo_id).where(mine, Enrollment.photo_id.in_(ids))))
            # Locked until the rows are committed, so that a concurrent deletion of a photo deletes its row, too.
            still = select(Photo.id).where(Photo.id.in_(ids)).order_by(Photo.id)  # the lock order of deletions
            kept = session.scalars(still.with_for_update(read=True, key_share=True))
            new = [identity for identity in kept if identity not in there]
            session.add_all(Enrollment(generation_id=building.generation_id, photo_id=identity) for identity in new)
    except IntegrityError as error:
        raise ConflictError("Another process builds the same gallery right now: let it end.") from error


def _validate(catalog: Catalog, building: LiveModel) -> None:
    """Embed a sample of photos again, drawn evenly: each must find itself at rank 1. Raises NotFitError."""
    with catalog.database.read() as session:
        held = (Enrollment.generation_id == building.generation_id) & Enrollment.done
        query = select(Photo.id, Photo.sha256).join(Enrollment, Enrollment.photo_id == Photo.id).where(held)
        rows = session.execute(query.order_by(Photo.id)).all()
    sample = dict(rows[:: max(1, -(-len(rows) // JUDGED))])
    features = _extract(catalog, building, sample)
    lost = [
        i for i, extracted in features.items() if not enrollment.finds_itself(catalog, building, i, extracted.vector)
    ]
    if lost or len(features) < len(sample):
        raise NotFitError(
            f"The new gallery is not fit: of {len(sample)} photos asked, {len(lost)} do not find themselves and "
            f"{len(sample) - len(features)} can't be read. The live gallery stays."
        )


def _switch(catalog: Catalog, building: LiveModel, actor: str, action: Action) -> int | None:
    """Make the generation live if it holds every photo; returns its size, or None if there is more to catch up with.

    The live row is locked (FOR UPDATE), so no photo can be added between the check and the switch.
    """
    with catalog.database.write() as session:
        live = live_generation(session, hold="change")
        target = session.get(Generation, building.generation_id)
        if target is None or live is None or _missing(session, building.generation_id, 1):
            return None
        if target.id != live.id:
            live.live = False
            session.flush()  # the unique index allows one live row, also between two statements
            target.live, target.switched_at = True, now()
            if action != "model.rollback":  # after a rollback, the target keeps the predecessor that it had
                target.previous_id = live.id
            after: dict[str, object] = {"live": target.bundle_id}
            if action == "model.switch" and (broken := judging.overrule(session, target.id)):
                after["in_spite_of"] = broken
            audit_log.record(session, actor, action, target.bundle_id, {"live": live.bundle_id}, after)
        # Released before the commit: a process that sees the switch can open the gallery.
        catalog.generations.release(building.collection)
        return _count(session)
