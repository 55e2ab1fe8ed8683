"""The night: what is done while few customers are there, one step after the other, and a report of it."""

from __future__ import annotations

from catalog.nightly.night import Night, Plan, Step, is_stuck, run_night
from catalog.nightly.report import MailError, as_text, line_of, send_mail, write_report

__all__ = [
    "MailError",
    "Night",
    "Plan",
    "Step",
    "as_text",
    "is_stuck",
    "line_of",
    "run_night",
    "send_mail",
    "write_report",
]
