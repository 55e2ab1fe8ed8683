"""Answers read back from the log, with what was said of them."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.errors import NotFoundError
from catalog.normalization import no_product, normalized_sku
from catalog.storage import made_at
from catalog.storage.tables import Feedback, Product, RecognitionEntry

#: An answer of another process is in SQL within a second or two: for one that is younger than FRESH seconds, and is
#: not there yet, WAIT seconds are waited, and looked for it every PAUSE.
FRESH, WAIT, PAUSE = 30.0, 3.0, 0.1


@dataclass(frozen=True)
class Answer:
    """An answer to a till, and what was said of it (None: nothing)."""

    entry: RecognitionEntry
    feedback: Feedback | None


@dataclass(frozen=True)
class AnswerPage:
    """Answers, the newest first; `older`: moment and id that older ones are below (None at the end)."""

    answers: list[Answer]
    older: tuple[datetime, uuid.UUID] | None


def find_answer(catalog: Catalog, answer: uuid.UUID) -> Answer:
    """An answer of the log, or of what waits to be written there. Raises NotFoundError."""
    await_answer(catalog, answer)
    with catalog.database.read() as session:
        entry = session.get(RecognitionEntry, answer)
        if entry is None:
            raise no_answer(answer)
        return _with_feedback(session, [entry])[0]


def answers_of(
    catalog: Catalog, sku: str, *, older: tuple[datetime, uuid.UUID] | None = None, limit: int = 50
) -> AnswerPage:
    """Answers that named a product as the match, the newest first, below `older`. Raises NotFoundError."""
    catalog.answers.flush()
    with catalog.database.read() as session:
        product_id = session.scalar(select(Product.id).where(Product.sku == normalized_sku(sku)))
        if product_id is None:
            raise no_product(sku)
        query = select(RecognitionEntry).where(RecognitionEntry.product_id == product_id)
        if older is not None:
            at, identity = older
            same = and_(RecognitionEntry.at == at, RecognitionEntry.id < identity)
            query = query.where(or_(RecognitionEntry.at < at, same))
        in_order = query.order_by(RecognitionEntry.at.desc(), RecognitionEntry.id.desc())
        entries = list(session.scalars(in_order.limit(limit + 1)))
        shown = entries[:limit]
        last = (shown[-1].at, shown[-1].id) if len(entries) > limit else None
        return AnswerPage(_with_feedback(session, shown), last)


def await_answer(catalog: Catalog, answer: uuid.UUID) -> None:
    """Have an answer in SQL that this process gave, and wait for one that another process gave just now."""
    catalog.answers.flush()
    at, ends = made_at(answer), time.monotonic() + WAIT
    if at is None or not catalog.answers.is_kept or abs(time.time() - at) > FRESH:
        return
    while time.monotonic() < ends:
        with catalog.database.read() as session:
            if session.scalar(select(RecognitionEntry.id).where(RecognitionEntry.id == answer)) is not None:
                return
        time.sleep(PAUSE)


def no_answer(answer: uuid.UUID) -> NotFoundError:
    """What is said of an answer that is not in the log."""
    return NotFoundError(f"There is no answer {answer} in the log.")


def _with_feedback(session: Session, entries: list[RecognitionEntry]) -> list[Answer]:
    ids = [entry.id for entry in entries]
    # Of an older version's catalog, which has several of one answer, the last one stays.
    said = session.scalars(select(Feedback).where(Feedback.recognition_id.in_(ids)).order_by(Feedback.id))
    given = {row.recognition_id: row for row in said}
    return [Answer(entry, given.get(entry.id)) for entry in entries]
