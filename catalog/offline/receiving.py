"""What offline tills answered, and feedback on it, into the server's log: each once, however often it is sent."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.errors import CatalogError, ConflictError, FeedbackGivenError, NotFoundError
from catalog.feedback import judge, lock_answer
from catalog.normalization import checked_text, normalized_sku
from catalog.storage.tables import Feedback, Product, RecognitionEntry, now

#: Characters of a note, at most.
NOTE = 500


@dataclass(frozen=True)
class TillFeedback:
    """Feedback that a till took at a moment; fields as in Feedback."""

    at: datetime
    correct: bool
    sku: str
    note: str


@dataclass(frozen=True)
class TillAnswer:
    """An answer that a till gave; fields as in AnswerEntry."""

    id: uuid.UUID
    at: datetime
    decision: str
    decided_by: str
    sku: str
    score: float | None
    confidence: float | None
    bundle_id: str
    milliseconds: float
    feedback: tuple[TillFeedback, ...] = ()


@dataclass(frozen=True)
class Refused:
    """An answer, or feedback on it, that is not in the log and never will be; `code` as of problems."""

    id: uuid.UUID
    code: str
    detail: str


def receive(catalog: Catalog, answers: Sequence[TillAnswer], *, actor: str) -> list[Refused]:
    """Store answers and feedback of a till, in one transaction; those that are there already are left as they are.

    Returns what can't be stored. Raises ConflictError when the same answers are being stored at this moment, or
    DatabaseUnavailableError: nothing is stored then, and all can be sent again.
    """
    refused: list[Refused] = []
    try:
        with catalog.database.write() as session:
            skus = {answer.sku for answer in answers if answer.decision == "match"}
            known = dict(session.execute(select(Product.sku, Product.id).where(Product.sku.in_(skus))).all())
            for answer in answers:
                try:
                    _take(session, answer, known.get(answer.sku), actor)
                except CatalogError as error:
                    refused.append(Refused(answer.id, error.code, str(error)))
    except IntegrityError as error:
        raise ConflictError("These answers are being stored by another request: send them again.") from error
    return refused


def _take(session: Session, answer: TillAnswer, product_id: uuid.UUID | None, actor: str) -> None:
    entry = lock_answer(session, answer.id)
    if entry is None:
        entry = RecognitionEntry(
            id=answer.id,
            at=min(answer.at, now()),  # a till's clock may be fast
            asked_by=actor[:100],
            decision=answer.decision,
            decided_by=answer.decided_by,
            product_id=product_id if answer.decision == "match" else None,
            sku=answer.sku,
            score=answer.score,
            confidence=answer.confidence,
            bundle_id=answer.bundle_id,
            milliseconds=answer.milliseconds,
        )
        session.add(entry)
        session.flush()
    elif entry.asked_by != actor[:100]:
        raise ConflictError(f"The answer {answer.id} is another key's.")
    for said in answer.feedback:
        _add_feedback(session, answer.id, said, actor)


def _add_feedback(session: Session, answer: uuid.UUID, said: TillFeedback, actor: str) -> None:
    sku = said.sku
    if sku:
        found = session.scalar(select(Product.sku).where(Product.sku == normalized_sku(sku)))
        if found is None:
            raise NotFoundError(f"Feedback on {answer} names the SKU {sku!r}, which is no longer in the catalog.")
        sku = found
    last = select(Feedback).where(Feedback.recognition_id == answer).order_by(Feedback.id.desc()).limit(1)
    before = session.scalar(last)
    if before is None:
        judge(session, answer, correct=said.correct, sku=sku, note=checked_text("note", said.note, NOTE), actor=actor)
        session.flush()
        session.execute(update(Feedback).where(Feedback.recognition_id == answer).values(at=min(said.at, now())))
    elif (before.correct, before.sku) != (said.correct, sku):  # by the staff, who saw the answer meanwhile
        raise FeedbackGivenError(answer, before.correct, before.sku, before.note)
