"""Judging: a new generation and the live one answer the same queries before the new one may become live."""

from __future__ import annotations

from catalog.judging import golden
from catalog.judging.answering import answer_as_live
from catalog.judging.drawing import PHOTOS
from catalog.judging.figures import KINDS, Figures, Report, side_by_side
from catalog.judging.judging import JudgingError, Verdict, judge_generation, overrule
from catalog.judging.reading import (
    Found,
    Seen,
    WorsePage,
    find_judgement,
    held_generations,
    list_judgements,
    list_worse,
)

__all__ = [
    "KINDS",
    "PHOTOS",
    "Figures",
    "Found",
    "JudgingError",
    "Report",
    "Seen",
    "Verdict",
    "WorsePage",
    "answer_as_live",
    "find_judgement",
    "golden",
    "held_generations",
    "judge_generation",
    "list_judgements",
    "list_worse",
    "overrule",
    "side_by_side",
]
