"""The row that says whether an answer was right: one an answer, in the caller's transaction."""

from __future__ import annotations

import uuid

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from catalog.storage.tables import ApiKey, Feedback, RecognitionEntry


def lock_answer(session: Session, answer: uuid.UUID) -> RecognitionEntry | None:
    """The answer, locked until the transaction ends against whoever else judges it; None if it is not in the log."""
    return session.get(RecognitionEntry, answer, with_for_update={"key_share": True})


def said_of(session: Session, answer: uuid.UUID) -> Feedback | None:
    """What was said of an answer. Of an older version's catalog, which let it be said several times, the last."""
    return session.scalar(
        select(Feedback).where(Feedback.recognition_id == answer).order_by(Feedback.id.desc()).limit(1)
    )


def judge(session: Session, answer: uuid.UUID, *, correct: bool, sku: str, note: str = "", actor: str) -> None:
    """Write what is said of a locked answer, in place of what was said before."""
    session.execute(delete(Feedback).where(Feedback.recognition_id == answer))
    session.add(Feedback(recognition_id=answer, actor=actor[:100], correct=correct, sku=sku, note=note))


def may_keep(session: Session, asked_by: str) -> bool:
    """Whether a photo of who asked may still be kept: the staff may have switched it off since the answer.

    Answers know keys by their names: where one of several keys of a name keeps none, none is kept.
    """
    name = asked_by.removeprefix("key ")
    return not session.scalar(select(exists().where(ApiKey.name == name, ~ApiKey.inbox)))
