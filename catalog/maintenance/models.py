"""The models of a catalog, as the staff and `catalog model` see them: which is live, what each can do and holds, and
how far a re-embedding is.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from catalog import products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.durable_files import disk_usage
from catalog.enrollment.outbox import PENDING
from catalog.errors import ConfigError, ConflictError, NotFoundError, StorageError
from catalog.generations import live_generation
from catalog.normalization import plain
from catalog.storage import Database
from catalog.storage.tables import Enrollment, Generation, Judgement, ProductMargin, Removal, Run, now
from embedder.bundle import RELEASED, Bundle, load_bundle
from embedder.errors import BundleError

#: `live`: it answers; `building`: a process embeds photos by it right now; `kept`: it was live; `added`: it never was.
State = Literal["live", "building", "kept", "added"]
#: Kind and lock of the run that builds a generation. catalog/runs is above this package, and takes the lock.
BUILD_RUN, BUILD_LOCK = "reembed", "run-reembed"


@dataclass(frozen=True)
class Rates:
    """Shares of query photos, 0 to 1, of products that the thresholds were not fitted on (see the bundle's card).

    Of products in the gallery: `right` and `wrong` matches, `unsure` otherwise. `accepted`: matches of products that
    are in no gallery.
    """

    right: float
    wrong: float
    unsure: float
    accepted: float


@dataclass(frozen=True)
class Model:
    """A generation. `embedded`: photos of active products in it; `previous`: a rollback goes to it.

    `bundle` is None when it is damaged or can't be had, `rates` when it was never calibrated.
    `bundle_bytes`, `gallery_bytes`: what they take on the disk; None where a server has the gallery.
    """

    name: str
    bundle_id: str
    dim: int
    state: State
    previous: bool
    created_at: datetime
    switched_at: datetime | None
    embedded: int
    bundle: Bundle | None
    rates: Rates | None
    bundle_bytes: int
    gallery_bytes: int | None

    @property
    def live(self) -> bool:
        """Whether tills are answered by it."""
        return self.state == "live"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: all but what the bundle says."""
        return {
            "id": self.bundle_id,
            "name": self.name,
            "state": self.state,
            "previous": self.previous,
            "dim": self.dim,
            "created_at": self.created_at.isoformat(),
            "switched_at": self.switched_at.isoformat() if self.switched_at else None,
            "embedded": self.embedded,
            "bundle_bytes": self.bundle_bytes,
            "gallery_bytes": self.gallery_bytes,
            "rates": asdict(self.rates) if self.rates else None,
        }


@dataclass(frozen=True)
class GenerationCounts:
    """What a generation has, in photos: `embedded`, `pending` (to be embedded), `failed` (those of them that could not
    be), `removals` (deleted, and to be taken out of it before it is live). `margins`: products that need one of their
    own.
    """

    embedded: int
    pending: int
    failed: int
    removals: int
    margins: int


@dataclass(frozen=True)
class Models:
    """All models, the newest first; `photos` of active products, which a model has to have to become the live one."""

    models: list[Model]
    photos: int

    @property
    def previous(self) -> Model | None:
        """The model that a rollback goes to."""
        return next((model for model in self.models if model.previous), None)

    @property
    def live(self) -> Model | None:
        """The live model."""
        return next((model for model in self.models if model.live), None)


def list_models(catalog: Catalog) -> Models:
    """The models that the catalog has had, and how much of it each has embedded. Loads no model, but brings the bundles
    that another host made to this one.
    """
    with catalog.database.read() as session:
        rows = session.scalars(select(Generation).order_by(Generation.id.desc())).all()
        embedded = _count_embedded(session)
    built = building(catalog.database, catalog.settings)
    previous = next((row.previous_id for row in rows if row.live), None)
    were_live = {row.previous_id for row in rows} | {row.id for row in rows if row.switched_at}

    def state(row: Generation) -> State:
        if row.live:
            return "live"
        if row.bundle_id == built:
            return "building"
        return "kept" if row.id in were_live else "added"

    return Models(
        [_model(catalog, row, state(row), embedded.get(row.id, 0), previous=row.id == previous) for row in rows],
        products.counts(catalog.database).photos,
    )


def get_model(catalog: Catalog, bundle_id: str) -> tuple[Model, GenerationCounts]:
    """One of them, and what its generation has. Raises NotFoundError."""
    model = next((model for model in list_models(catalog).models if model.bundle_id == bundle_id), None)
    if model is None:
        raise NotFoundError(f"The catalog has no model {bundle_id!r}: `catalog model list` names those that it has.")
    return model, _counts(catalog.database, bundle_id)


def _counts(database: Database, bundle_id: str) -> GenerationCounts:
    with database.read() as session:
        generation = select(Generation.id).where(Generation.bundle_id == bundle_id).scalar_subquery()
        enrolled = select(func.count()).select_from(Enrollment).where(Enrollment.generation_id == generation)
        pending = session.scalar(enrolled.where(PENDING)) or 0
        removals = select(func.count()).select_from(Removal).where(Removal.generation_id == generation)
        margins = select(func.count()).select_from(ProductMargin).where(ProductMargin.generation_id == generation)
        return GenerationCounts(
            embedded=(session.scalar(enrolled) or 0) - pending,
            pending=pending,
            failed=session.scalar(enrolled.where(PENDING, Enrollment.error != "")) or 0,
            removals=session.scalar(removals) or 0,
            margins=session.scalar(margins) or 0,
        )


def building(database: Database, settings: Settings) -> str:
    """The id of the bundle by which a process embeds photos right now; "" when none does, or it was killed."""
    with database.read() as session:
        run = session.scalar(select(Run).where(Run.kind == BUILD_RUN, Run.state == "running", Run.ended_at.is_(None)))
        target = target_of(session, settings, run.options) if run else ""
    if not target:
        return ""
    with database.alone(BUILD_LOCK) as nobody_else:
        return "" if nobody_else else target


def target_of(session: Session, settings: Settings, options: Mapping[str, Any]) -> str:
    """The id of the bundle that a run with these options (see catalog/runs) switches to; "" when it can't be told."""
    if options.get("rollback"):
        live = live_generation(session)
        previous = session.get(Generation, live.previous_id) if live and live.previous_id else None
        return previous.bundle_id if previous else ""
    if "bundle_id" in options:
        return str(options["bundle_id"])
    try:
        return load_bundle(Path(options.get("bundle") or settings.model)).id
    except BundleError:
        return ""


def known_bundles(settings: Settings) -> list[Bundle]:
    """The bundles that photos can be embedded with, each once, by name: those that ship, CATALOG_MODEL's, and those
    that were added before. One that is damaged is left out.
    """
    # One whose name begins with a dot is about to be there, or to be gone.
    added = sorted(settings.bundles.glob("[!.]*")) if settings.bundles.is_dir() else []
    shipped = sorted(RELEASED.parent.glob(f"{RELEASED.name}*"))
    found: dict[str, Bundle] = {}
    for folder in (*added, *shipped, settings.model):
        try:
            bundle = load_bundle(folder)
        except BundleError:
            continue
        found.setdefault(bundle.id, bundle)
    return sorted(found.values(), key=lambda bundle: (bundle.name, bundle.version, bundle.id))


def known_bundle(catalog: Catalog, bundle_id: str) -> Bundle:
    """One of them, or of those that another host has added. Raises NotFoundError, ConfigError or StorageError."""
    for bundle in known_bundles(catalog.settings):
        if bundle.id == bundle_id:
            return bundle
    row = None
    if plain(bundle_id):  # PostgreSQL takes no other text
        with catalog.database.read() as session:
            row = session.scalar(select(Generation).where(Generation.bundle_id == bundle_id))
    if row is None:
        raise NotFoundError("There is no such model here: look again.")
    return catalog.generations.bundle(row)


def check_way_back(database: Database, live: str) -> None:
    """Raises ConflictError unless the bundle `live` is the live one, as the person saw it, and one was before it."""
    with database.read() as session:
        row = live_generation(session)
    if row is None or row.bundle_id != live or row.previous_id is None:
        raise ConflictError("Another model is live by now, or none was before it: look again.")


def _count_embedded(session: Session) -> dict[int, int]:
    """Enrollments that are done, by generation: all of them, as the primary key counts them, less the pending."""
    query = select(Enrollment.generation_id, func.count()).group_by(Enrollment.generation_id)
    pending = dict(session.execute(query.where(PENDING)).all())
    return {generation: count - pending.get(generation, 0) for generation, count in session.execute(query)}


def _bundle(catalog: Catalog, row: Generation) -> Bundle | None:
    with suppress(ConfigError, StorageError):
        return catalog.generations.bundle(row)
    return None


def _model(catalog: Catalog, row: Generation, state: State, embedded: int, *, previous: bool) -> Model:
    bundle = _bundle(catalog, row)
    return Model(
        row.bundle_name,
        row.bundle_id,
        row.dim,
        state,
        previous,
        row.created_at,
        row.switched_at,
        embedded,
        bundle,
        _rates(bundle.training) if bundle else None,
        disk_usage(catalog.settings.bundles / row.bundle_id),
        catalog.gallery.disk_bytes(row.collection),
    )


def _rates(training: dict[str, Any]) -> Rates | None:
    """The rates of the whole answer, with the second look where the bundle has one, as its card states them."""
    for part in ("second_look", "calibration"):
        rates = (training.get(part) or {}).get("rates")
        if rates:
            known = rates["known"]
            unsure = known["ambiguous"] + known["unknown"]
            return Rates(known["right"], known["wrong"], unsure, rates["held_out"]["accepted"])
    return None


def list_outdated(database: Database, kept: timedelta) -> list[str]:
    """Bundles of models that are of no more use, the oldest first: those that were live and were switched from longer
    than `kept` ago, but for the one that a rollback goes to; and those that were held for as long, against a model that
    is not live any more.
    """
    with database.read() as session:
        rows = session.scalars(select(Generation).order_by(Generation.id)).all()
        held_before = (Judgement.state == "held") & (Judgement.at < now() - kept)
        held = dict(session.execute(select(Judgement.generation_id, Judgement.live_id).where(held_before)).all())
    back = {row.previous_id for row in rows}
    # The first one of a catalog was never switched to.
    were_live = [row for row in rows if row.live or row.switched_at or row.id in back]
    were_live.sort(key=lambda row: row.switched_at or row.created_at)
    live = next((row for row in rows if row.live), None)
    needed = {live.id, live.previous_id} if live else set()
    until = now() - kept
    old = [
        row.bundle_id
        for row, later in pairwise(were_live)
        if row.id not in needed and later.switched_at is not None and later.switched_at < until
    ]
    never_live = [row for row in rows if row not in were_live]
    return old + [row.bundle_id for row in never_live if live and held.get(row.id, live.id) != live.id]
