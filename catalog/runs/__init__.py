"""Runs: long maintenance work that is recorded in SQL, done in the background, and gone on with after a kill."""

from __future__ import annotations

from catalog.runs import recording
from catalog.runs.broker import Sender, work
from catalog.runs.commands import JobFailedError, Record, recorded, run_reembed
from catalog.runs.doctor_run import outcome_of
from catalog.runs.kinds import KINDS, NIGHT, Kind
from catalog.runs.performing import alone_at, perform, say_why
from catalog.runs.tasks import LostError, Outcome, StopAskedError, Task
from catalog.runs.worker import RunWorker

__all__ = [
    "KINDS",
    "NIGHT",
    "JobFailedError",
    "Kind",
    "LostError",
    "Outcome",
    "Record",
    "RunWorker",
    "Sender",
    "StopAskedError",
    "Task",
    "alone_at",
    "outcome_of",
    "perform",
    "recorded",
    "recording",
    "run_reembed",
    "say_why",
    "work",
]
