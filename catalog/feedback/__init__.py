"""What tills and people say about answers, once each; and answers read back."""

from __future__ import annotations

from catalog.feedback.giving import Judgement, correct, give
from catalog.feedback.judgements import judge, lock_answer
from catalog.feedback.reading import Answer, AnswerPage, answers_of, find_answer

__all__ = [
    "Answer",
    "AnswerPage",
    "Judgement",
    "answers_of",
    "correct",
    "find_answer",
    "give",
    "judge",
    "lock_answer",
]
