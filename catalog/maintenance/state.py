"""The state of a catalog at one moment, for those who watch over it: Prometheus (web/metrics) and `catalog status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment.outbox import ATTEMPTS, PENDING
from catalog.errors import GalleryError, GalleryLockedError
from catalog.generations import live_generation
from catalog.maintenance.overview import Webhooks, count_removals, webhooks
from catalog.storage import Database
from catalog.storage.tables import LOST, Enrollment, Generation, InboxPhoto, Photo, Run, now


@dataclass(frozen=True)
class LiveGeneration:
    """The generation that answers, since when, and whether its gallery was lost and is being filled again."""

    id: int
    name: str
    bundle_id: str
    since: datetime
    is_refilling: bool


@dataclass(frozen=True)
class Outbox:
    """What the live gallery is not told yet: photos to add and points to remove.

    `oldest`: when the first of these photos was added, or, of a gallery that was lost, last tried; None without any.
    `failed`: photos that failed repeatedly by themselves, as their files are damaged.
    """

    photos: int
    removals: int
    oldest: datetime | None
    failed: int

    @property
    def seconds(self) -> float:
        """How long the oldest photo has been pending; 0 without any."""
        return max(0.0, (now() - self.oldest).total_seconds()) if self.oldest else 0.0


@dataclass(frozen=True)
class LastRun:
    """The last run of a kind that came to its end by itself, done or failed. `counts`: the doctor's, by severity.

    `needs_person`: of a night, that a step failed or found what is for a person.
    """

    kind: str
    failed: bool
    message: str
    ended_at: datetime
    counts: Mapping[str, int] = field(default_factory=dict)
    needs_person: bool = False


@dataclass(frozen=True)
class State:
    """What SQL says. `generation` is None before the first; `runs`: by kind, those that there were."""

    products: int
    photos: int
    outbox: Outbox
    generation: LiveGeneration | None
    inbox_photos: int
    inbox_groups: int
    runs: tuple[LastRun, ...]
    webhooks: Webhooks


@dataclass(frozen=True)
class GalleryState:
    """Whether the gallery answers, with how many points of the live generation, or else why not.

    `is_locked`: another process has the embedded gallery open, and answers by it.
    """

    points: int | None
    error: str = ""
    is_locked: bool = False


def read_state(database: Database) -> State:
    """Count all that a State has; some statements, none of which reads all rows. Raises DatabaseUnavailableError."""
    counts = products.counts(database)
    with database.read() as session:
        live = live_generation(session)
        inbox = session.execute(
            select(func.count(), func.count(InboxPhoto.group_id.distinct())).where(InboxPhoto.ours)
        ).one()
        return State(
            counts.products,
            counts.photos,
            _outbox(session, live),
            _generation(session, live),
            *inbox,
            _last_runs(session),
            webhooks(session),
        )


def ask_gallery(catalog: Catalog) -> GalleryState | None:
    """Ask the gallery for its points; None before the first generation. Nothing is made or loaded.

    Raises DatabaseUnavailableError, which says nothing of the gallery.
    """
    with catalog.database.read() as session:
        live = live_generation(session)
    if live is None:
        return None
    try:
        return GalleryState(catalog.gallery.count(live.collection))
    except GalleryError as error:
        return GalleryState(None, str(error), isinstance(error, GalleryLockedError))


def _generation(session: Session, live: Generation | None) -> LiveGeneration | None:
    if live is None:
        return None
    mine = Enrollment.generation_id == live.id
    lost = select(Enrollment.photo_id).where(mine, PENDING, Enrollment.attempts == LOST).limit(1)
    return LiveGeneration(
        live.id,
        live.bundle_name,
        live.bundle_id,
        live.switched_at or live.created_at,
        session.scalar(lost) is not None,
    )


def _outbox(session: Session, live: Generation | None) -> Outbox:
    if live is None:
        return Outbox(0, 0, None, 0)
    # Not when the row was changed, for each attempt changes it.
    since = case((Enrollment.attempts == LOST, Enrollment.updated_at), else_=Photo.created_at)
    failed = func.sum(case((Enrollment.attempts >= ATTEMPTS, 1), else_=0))
    query = select(func.count(), func.min(since), failed).join_from(Enrollment, Photo)
    photos, oldest, failures = session.execute(query.where(Enrollment.generation_id == live.id, PENDING)).one()
    return Outbox(photos, count_removals(session, live), oldest, failures or 0)


def _last_runs(session: Session) -> tuple[LastRun, ...]:
    over = Run.state.in_(("done", "failed"))
    last = select(func.max(Run.ended_at)).where(over).group_by(Run.kind)
    rows = session.scalars(select(Run).where(over, Run.ended_at.in_(last)).order_by(Run.kind, Run.ended_at)).all()
    each = {row.kind: row for row in rows}
    return tuple(
        LastRun(
            row.kind,
            row.state == "failed",
            row.message,
            row.ended_at or row.created_at,
            dict(row.result.get("counts") or {}) if row.kind == "doctor" else {},
            row.result.get("well") is False,
        )
        for row in each.values()
    )
