"""Maintenance for the operator: examine, rebuild, re-embed, coverage."""

from __future__ import annotations

from catalog.maintenance import coverage
from catalog.maintenance.coverage import Coverage
from catalog.maintenance.doctor import examine
from catalog.maintenance.findings import Finding, Kind, status
from catalog.maintenance.jobs import run_reembed, work
from catalog.maintenance.needs_work import Worklist, list_work
from catalog.maintenance.readiness import Readiness
from catalog.maintenance.rebuilding import rebuild
from catalog.maintenance.reembedding import reembed, rollback

__all__ = [
    "Coverage",
    "Finding",
    "Kind",
    "Readiness",
    "Worklist",
    "coverage",
    "examine",
    "list_work",
    "rebuild",
    "reembed",
    "rollback",
    "run_reembed",
    "status",
    "work",
]
