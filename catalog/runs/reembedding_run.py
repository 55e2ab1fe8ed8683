"""Re-embedding and rollback as runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from catalog.catalog import Catalog
from catalog.maintenance import known_bundle, reembed, rollback
from catalog.progress import Progress
from catalog.runs.tasks import Outcome, Task
from embedder.bundle import load_bundle


def work(catalog: Catalog, task: Task) -> Outcome:
    """What `options` ask for. Raises what `reembed` raises."""
    return switch(catalog, task.options, task.progress, actor=task.actor)


def switch(catalog: Catalog, options: Mapping[str, Any], progress: Progress, *, actor: str) -> Outcome:
    """Switch to the bundle in the folder `options["bundle"]`, or without one to the known one of the id
    `options["bundle_id"]` (without either, to CATALOG_MODEL's); or back if `rollback`, from the bundle of the id
    `live`.

    The result has the fields of a Switched. Raises what `reembed` raises, and NotFoundError for an unknown id.
    """
    if options.get("rollback"):
        switched = rollback(catalog, progress, actor=actor, live=options.get("live", ""))
    else:
        if "bundle_id" in options and "bundle" not in options:
            bundle = known_bundle(catalog, options["bundle_id"])
        else:
            bundle = load_bundle(Path(options.get("bundle") or catalog.settings.model))
        switched = reembed(catalog, bundle, progress, actor=actor)
    said = f"Photos embedded: {switched.photos}; searchable by {switched.bundle}: {switched.total}."
    return Outcome(said if switched.changed else f"{switched.bundle} is live already.", asdict(switched))
