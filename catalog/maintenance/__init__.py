"""Maintenance for the operator: examine, rebuild, re-embed, coverage."""

from __future__ import annotations

from catalog.maintenance import coverage
from catalog.maintenance.coverage import Coverage
from catalog.maintenance.doctor import examine
from catalog.maintenance.findings import Finding, Kind, status
from catalog.maintenance.jobs import run_reembed, work
from catalog.maintenance.models import Models, list_models
from catalog.maintenance.needs_work import Worklist, list_work
from catalog.maintenance.overview import DECISIONS, Day, Overview, look_over
from catalog.maintenance.readiness import Readiness
from catalog.maintenance.rebuilding import rebuild
from catalog.maintenance.reembedding import reembed, rollback
from catalog.maintenance.rolling_back import RollingBack

__all__ = [
    "DECISIONS",
    "Coverage",
    "Day",
    "Finding",
    "Kind",
    "Models",
    "Overview",
    "Readiness",
    "RollingBack",
    "Worklist",
    "coverage",
    "examine",
    "list_models",
    "list_work",
    "look_over",
    "rebuild",
    "reembed",
    "rollback",
    "run_reembed",
    "status",
    "work",
]
