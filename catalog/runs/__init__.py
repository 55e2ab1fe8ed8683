"""Runs: long maintenance work that is recorded in SQL, done in the background, and gone on with after a kill."""

from __future__ import annotations

from catalog.runs import recording
from catalog.runs.broker import Sender, work
from catalog.runs.commands import JobFailedError, Record, bundle_options, recorded, run_reembed
from catalog.runs.doctor_run import outcome_of
from catalog.runs.kinds import KINDS, NIGHT, Kind
from catalog.runs.performing import alone_at, perform
from catalog.runs.tasks import Outcome, Task
from catalog.runs.worker import RunWorker

__all__ = [
    "KINDS",
    "NIGHT",
    "JobFailedError",
    "Kind",
    "Outcome",
    "Record",
    "RunWorker",
    "Sender",
    "Task",
    "alone_at",
    "bundle_options",
    "outcome_of",
    "perform",
    "recorded",
    "recording",
    "run_reembed",
    "work",
]
