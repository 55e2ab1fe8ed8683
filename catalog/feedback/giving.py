"""Say of an answer that it was right, or which SKU it should have been: once. A person may correct it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.errors import FeedbackGivenError, InvalidInputError
from catalog.feedback.judgements import judge, lock_answer, may_keep, said_of
from catalog.feedback.reading import await_answer, no_answer
from catalog.normalization import checked_text, no_product, normalized_sku
from catalog.storage import audit_log
from catalog.storage.tables import Feedback, InboxPhoto, Product, RecognitionEntry

#: Characters of a note, at most.
NOTE = 500


@dataclass(frozen=True)
class Judgement:
    """What is said of an answer: it was `correct`, or the photo shows `sku` ("": no product of the catalog)."""

    correct: bool
    sku: str = ""
    note: str = ""


def give(catalog: Catalog, answer: uuid.UUID, said: Judgement, *, actor: str, keep: bool = True) -> bool:
    """Judge an answer; False where the same was said before, and nothing changes.

    An `unknown` that was right leaves the inbox. The photo of a match that was wrong comes into it, unless `keep` or
    the key that asked says that no photo is kept. Raises NotFoundError for an answer that is not in the log or a SKU
    that is not in the catalog, InvalidInputError for what contradicts itself or a note that can't be stored,
    FeedbackGivenError for what contradicts that which was said before.
    """
    note = checked_text("note", said.note, NOTE)
    await_answer(catalog, answer)
    if said.correct:
        catalog.unanswered.flush()  # so that its photo is where it can be deleted
    with catalog.database.write() as session:
        entry = lock_answer(session, answer)
        if entry is None:
            raise no_answer(answer)
        sku = _checked_sku(session, entry, said)
        before = said_of(session, answer)
        if before is not None:
            if _same(before, said.correct, sku, note):
                return False
            raise FeedbackGivenError(answer, before.correct, before.sku, before.note)
        judge(session, answer, correct=said.correct, sku=sku, note=note, actor=actor)
        keep = keep and may_keep(session, entry.asked_by)
        _clear_inbox(session, answer, said)
    _keep_photo(catalog, answer, said, keep)
    return True


def correct(catalog: Catalog, answer: uuid.UUID, said: Judgement, *, actor: str) -> None:
    """Judge an answer in place of what was said before, as a person who knows better. Raises like `give`."""
    note = checked_text("note", said.note, NOTE)
    await_answer(catalog, answer)
    with catalog.database.write() as session:
        entry = lock_answer(session, answer)
        if entry is None:
            raise no_answer(answer)
        sku = _checked_sku(session, entry, said)
        before = said_of(session, answer)
        if before is not None and _same(before, said.correct, sku, note):
            return
        told = {"correct": before.correct, "sku": before.sku, "note": before.note} if before else None
        judge(session, answer, correct=said.correct, sku=sku, note=note, actor=actor)
        _clear_inbox(session, answer, said)
        audit_log.record(
            session, actor, "answer.judge", str(answer), told, {"correct": said.correct, "sku": sku, "note": note}
        )


def _same(before: Feedback, is_correct: bool, sku: str, note: str) -> bool:
    """Whether that was said before. A note that is left out takes back none."""
    return before.correct == is_correct and before.sku == sku and note in ("", before.note)


def _checked_sku(session: Session, entry: RecognitionEntry, said: Judgement) -> str:
    """The SKU as it is stored: "" for an answer that was right, which names it. Raises InvalidInputError."""
    if not said.sku.strip():
        return ""
    sku = normalized_sku(said.sku)
    if said.correct and sku == entry.sku and entry.decision != "unknown":
        return ""  # also where the product has gone since
    product = session.execute(select(Product.id, Product.sku).where(Product.sku == sku)).one_or_none()
    if product is None:
        raise no_product(said.sku)
    is_named = entry.decision == "match" and (sku == entry.sku or product.id == entry.product_id)
    if said.correct and not is_named:
        what = f"named {entry.sku!r}" if entry.sku and entry.decision != "unknown" else "named no product"
        raise InvalidInputError("sku", f"The answer {what}: if the photo shows {sku!r}, it was not correct.")
    if not said.correct and is_named:
        raise InvalidInputError("sku", f"The answer was {sku!r}: if the photo shows that, it was correct.")
    return "" if said.correct else str(product.sku)


def _clear_inbox(session: Session, answer: uuid.UUID, said: Judgement) -> None:
    """An `unknown` that was right shows none of our products: its photo leaves the inbox."""
    if said.correct:
        session.execute(delete(InboxPhoto).where(InboxPhoto.id == answer, InboxPhoto.decision == "unknown"))


def _keep_photo(catalog: Catalog, answer: uuid.UUID, said: Judgement, keep: bool) -> None:
    """Put the photo of a wrong match into the inbox, or forget it where it may not be kept."""
    if said.correct or not keep:
        catalog.unanswered.forget(answer)
    else:
        catalog.unanswered.judged_wrong(answer)
