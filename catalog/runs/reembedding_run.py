"""Re-embedding and rollback as runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from catalog.catalog import Catalog
from catalog.maintenance import Switched, known_bundle, reembed, rollback
from catalog.progress import Progress
from catalog.runs.tasks import Outcome, Task
from embedder.bundle import load_bundle


def work(catalog: Catalog, task: Task) -> Outcome:
    """What `options` ask for. Raises what `reembed` raises."""
    return switch(catalog, task.options, task.progress, actor=task.actor)


def switch(catalog: Catalog, options: Mapping[str, Any], progress: Progress, *, actor: str) -> Outcome:
    """Switch to the bundle in the folder `options["bundle"]`, or without one to the known one of the id
    `options["bundle_id"]` (without either, to CATALOG_MODEL's); or back if `rollback`, from the bundle of the id
    `live`. With `switch_anyway` the new one is not compared with the live one.

    The result has the fields of a Switched. Raises what `reembed` raises, and NotFoundError for an unknown id.
    """
    if options.get("rollback"):
        switched = rollback(catalog, progress, actor=actor, live=options.get("live", ""))
    else:
        if "bundle_id" in options and "bundle" not in options:
            bundle = known_bundle(catalog, options["bundle_id"])
        else:
            bundle = load_bundle(Path(options.get("bundle") or catalog.settings.model))
        anyway = bool(options.get("switch_anyway"))
        switched = reembed(catalog, bundle, progress, switch_anyway=anyway, actor=actor)
    return Outcome(_said(switched), asdict(switched))


def _said(switched: Switched) -> str:
    if switched.held:
        return f"{switched.bundle} is held: {' '.join(switched.held)} {switched.before} stays live; a person decides."
    if not switched.changed:
        return f"{switched.bundle} is live already."
    return f"Photos embedded: {switched.photos}; searchable by {switched.bundle}: {switched.total}."
