"""Maintenance for the operator: examine, rebuild, re-embed, coverage."""

from __future__ import annotations

from catalog.maintenance import coverage, coverage_results
from catalog.maintenance.coverage import Coverage
from catalog.maintenance.doctor import examine
from catalog.maintenance.findings import Finding, Kind, Severity, severity, status
from catalog.maintenance.model_lifecycle import Added, add_model, remove_model
from catalog.maintenance.models import (
    GenerationCounts,
    Model,
    Models,
    check_way_back,
    get_model,
    known_bundle,
    known_bundles,
    list_models,
    list_outdated,
)
from catalog.maintenance.needs_work import Work, Worklist, get_work, list_work
from catalog.maintenance.overview import DECISIONS, Day, Overview, look_over
from catalog.maintenance.readiness import Readiness
from catalog.maintenance.rebuilding import rebuild
from catalog.maintenance.reembedding import Switched, check_held, reembed, rollback
from catalog.maintenance.state import GalleryState, LastRun, State, ask_gallery, read_state

__all__ = [
    "DECISIONS",
    "Added",
    "Coverage",
    "Day",
    "Finding",
    "GalleryState",
    "GenerationCounts",
    "Kind",
    "LastRun",
    "Model",
    "Models",
    "Overview",
    "Readiness",
    "Severity",
    "State",
    "Switched",
    "Work",
    "Worklist",
    "add_model",
    "ask_gallery",
    "check_held",
    "check_way_back",
    "coverage",
    "coverage_results",
    "examine",
    "get_model",
    "get_work",
    "known_bundle",
    "known_bundles",
    "list_models",
    "list_outdated",
    "list_work",
    "look_over",
    "read_state",
    "rebuild",
    "reembed",
    "remove_model",
    "rollback",
    "severity",
    "status",
]
