"""The models of a catalog, as the staff sees them: which is live, what each can do, how far a re-embedding is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from catalog import products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment.outbox import PENDING
from catalog.errors import ConfigError, ConflictError, NotFoundError, StorageError
from catalog.generations import live_generation
from catalog.storage import Database
from catalog.storage.tables import Enrollment, Generation
from embedder.bundle import RELEASED, Bundle, load_bundle
from embedder.errors import BundleError


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
    """

    name: str
    bundle_id: str
    dim: int
    live: bool
    previous: bool
    created_at: datetime
    switched_at: datetime | None
    embedded: int
    bundle: Bundle | None
    rates: Rates | None


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
    previous = next((row.previous_id for row in rows if row.live), None)
    return Models(
        [_model(row, _bundle(catalog, row), embedded.get(row.id, 0), previous=row.id == previous) for row in rows],
        products.counts(catalog.database).photos,
    )


def known_bundles(settings: Settings) -> list[Bundle]:
    """The bundles that photos can be embedded with, each once, by name: those that ship, CATALOG_MODEL's, and those
    that were added before. One that is damaged is left out.
    """
    added = sorted(settings.bundles.iterdir()) if settings.bundles.is_dir() else []
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


def _model(row: Generation, bundle: Bundle | None, embedded: int, *, previous: bool) -> Model:
    return Model(
        row.bundle_name,
        row.bundle_id,
        row.dim,
        row.live,
        previous,
        row.created_at,
        row.switched_at,
        embedded,
        bundle,
        _rates(bundle.training) if bundle else None,
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
