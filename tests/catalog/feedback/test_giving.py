"""Feedback: once an answer, whoever says it at once; and photos that nobody may keep."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from catalog import accounts, feedback, inbox, products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import CatalogError, FeedbackGivenError, InvalidInputError, NotFoundError
from catalog.feedback import Judgement
from catalog.recognition import Recognition, recognize
from catalog.storage import AnswerLog
from catalog.storage.tables import AuditEntry, Feedback, InboxPhoto
from tests.support.pictures import encode, jpeg, picture
from tests.support.steps import create, create_each

RIGHT, WRONG = Judgement(True), Judgement(False)
#: A picture that 1.jpg does not match (see tests/catalog/inbox).
STRANGER = 4003


@pytest.fixture
def answer(catalog: Catalog) -> Recognition:
    """The product S1, named to a till of that key; and S2."""
    create_each(catalog, 1, 2)
    found = recognize(catalog, jpeg(1), asked_by="key till", keep=True)
    assert (found.decision, found.matches[0].sku) == ("match", "S1")
    return found


def unknown(catalog: Catalog) -> Recognition:
    found = recognize(catalog, encode(picture(STRANGER), quality=90), asked_by="key till", keep=True)
    assert found.decision == "unknown"
    return found


def said(catalog: Catalog) -> list[tuple[uuid.UUID, bool, str, str, str]]:
    with catalog.database.read() as session:
        rows = session.scalars(select(Feedback).order_by(Feedback.id)).all()
    return [(row.recognition_id, row.correct, row.sku, row.note, row.actor) for row in rows]


def kept(catalog: Catalog) -> list[uuid.UUID]:
    catalog.unanswered.flush()
    with catalog.database.read() as session:
        return list(session.scalars(select(InboxPhoto.id)))


def test_an_answer_is_judged_before_it_is_written(catalog: Catalog, answer: Recognition) -> None:
    assert feedback.give(catalog, answer.id, Judgement(False, " S2 ", " the other flavor"), actor="key till")
    assert said(catalog) == [(answer.id, False, "S2", "the other flavor", "key till")]


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (RIGHT, RIGHT),
        (RIGHT, Judgement(True, "S1")),
        (Judgement(True, "S1", "sure"), RIGHT),
        (WRONG, WRONG),
        (Judgement(False, "S2", "x"), Judgement(False, "S2", "x")),
        (Judgement(False, "S2", "x"), Judgement(False, "S2")),
    ],
)
def test_what_is_said_again_changes_nothing(
    catalog: Catalog, answer: Recognition, first: Judgement, again: Judgement
) -> None:
    assert feedback.give(catalog, answer.id, first, actor="key till")
    before, photos = said(catalog), kept(catalog)
    if photos:
        inbox.discard(catalog.database, photos, actor="anna")
    assert not feedback.give(catalog, answer.id, again, actor="key other till")
    assert said(catalog) == before
    assert kept(catalog) == [], "what the staff has decided on does not come again"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (RIGHT, WRONG),
        (WRONG, RIGHT),
        (WRONG, Judgement(False, "S2")),
        (Judgement(False, "S2"), WRONG),
        (Judgement(True, note="sure"), Judgement(True, note="not so sure")),
    ],
)
def test_a_contradiction_is_refused_and_told_what_was_said(
    catalog: Catalog, answer: Recognition, first: Judgement, then: Judgement
) -> None:
    feedback.give(catalog, answer.id, first, actor="key till")
    before, photos = said(catalog), kept(catalog)
    with pytest.raises(FeedbackGivenError) as caught:
        feedback.give(catalog, answer.id, then, actor="key till")
    assert (caught.value.correct, caught.value.sku, caught.value.note) == (first.correct, first.sku, first.note)
    assert said(catalog) == before
    assert kept(catalog) == photos


def test_what_can_not_be_said(catalog: Catalog, answer: Recognition) -> None:
    nobody = unknown(catalog)
    for which, judgement, kind in (
        (uuid.uuid4(), RIGHT, NotFoundError),
        (answer.id, Judgement(False, "NOBODY"), NotFoundError),
        (answer.id, Judgement(False, note="x" * 501), InvalidInputError),
        (answer.id, Judgement(True, "S2"), InvalidInputError),
        (answer.id, Judgement(False, "S1"), InvalidInputError),
        (nobody.id, Judgement(True, "S1"), InvalidInputError),
    ):
        with pytest.raises(kind):
            feedback.give(catalog, which, judgement, actor="key till")
    assert said(catalog) == []


def test_a_product_that_was_renamed_is_named_by_either_sku(catalog: Catalog, answer: Recognition) -> None:
    catalog.answers.flush()
    products.rename(catalog, "S1", "NEW", actor="anna")
    with pytest.raises(InvalidInputError, match="was correct"):
        feedback.give(catalog, answer.id, Judgement(False, "NEW"), actor="key till")
    assert feedback.give(catalog, answer.id, Judgement(True, "NEW"), actor="key till")
    assert not feedback.give(catalog, answer.id, Judgement(True, "S1"), actor="key till")


def test_an_answer_of_another_process_is_waited_for(catalog: Catalog, answer: Recognition) -> None:
    here = Catalog(**{**vars(catalog), "answers": AnswerLog(catalog.database, 90)})  # with a buffer of its own
    writing = threading.Timer(0.5, catalog.answers.flush)
    writing.start()
    assert feedback.give(here, answer.id, RIGHT, actor="key till")
    writing.join()
    assert [row[:2] for row in said(catalog)] == [(answer.id, True)]


def test_nobody_waits_for_an_answer_of_long_ago(catalog: Catalog) -> None:
    began = time.monotonic()
    for old in (uuid.uuid4(), uuid.UUID(int=7 << 76 | 2 << 62)):
        with pytest.raises(NotFoundError):
            feedback.find_answer(catalog, old)
    assert time.monotonic() - began < feedback.reading.WAIT


def test_two_that_say_the_same_at_once_are_one(catalog: Catalog, open_catalog: Callable[[], Catalog]) -> None:
    create_each(catalog, 1, 2)
    other = open_catalog()
    for _ in range(10):
        answer = recognize(catalog, jpeg(1), asked_by="key till", keep=True)
        catalog.answers.flush()
        meet = threading.Barrier(2)

        def give(one: Catalog, which: uuid.UUID = answer.id, meet: threading.Barrier = meet) -> bool:
            meet.wait()
            return feedback.give(one, which, Judgement(False, "S2"), actor="key till")

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(give, (catalog, other))) == [False, True]
    with catalog.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Feedback)) == 10


def test_of_two_that_contradict_each_other_at_once_one_is_refused(
    catalog: Catalog, open_catalog: Callable[[], Catalog]
) -> None:
    create_each(catalog, 1, 2)
    other = open_catalog()
    for _ in range(10):
        answer = recognize(catalog, jpeg(1), asked_by="key till")
        catalog.answers.flush()
        meet = threading.Barrier(2)

        def give(one: tuple[Catalog, Judgement], which: uuid.UUID = answer.id, meet: threading.Barrier = meet) -> str:
            meet.wait()
            try:
                feedback.give(one[0], which, one[1], actor="key till")
            except CatalogError as error:
                return error.code
            return "given"

        with ThreadPoolExecutor(2) as pool:
            told = pool.map(give, ((catalog, RIGHT), (other, WRONG)))
            assert sorted(told) == ["feedback_given", "given"]


def test_a_second_one_waits_for_the_first_to_commit(catalog: Catalog, answer: Recognition) -> None:
    """Held open here, the first one is seen by the second, which gives no second row."""
    catalog.answers.flush()
    done = threading.Event()

    def second() -> bool:
        try:
            return feedback.give(catalog, answer.id, RIGHT, actor="key till")
        finally:
            done.set()

    with ThreadPoolExecutor(1) as pool:
        with catalog.database.write() as session:
            feedback.lock_answer(session, answer.id)
            feedback.judge(session, answer.id, correct=True, sku="", actor="key till")
            session.flush()
            told = pool.submit(second)
            assert not done.wait(0.5)
        assert told.result() is False
    assert len(said(catalog)) == 1


def test_a_person_corrects_it(catalog: Catalog, answer: Recognition) -> None:
    feedback.give(catalog, answer.id, RIGHT, actor="key till")
    feedback.correct(catalog, answer.id, Judgement(False, "S2"), actor="anna")
    feedback.correct(catalog, answer.id, Judgement(False, "S2"), actor="anna")
    assert said(catalog) == [(answer.id, False, "S2", "", "anna")]
    with catalog.database.read() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "answer.judge"))
    assert (entry.subject, entry.before, entry.after) == (
        str(answer.id),
        {"correct": True, "sku": "", "note": ""},
        {"correct": False, "sku": "S2", "note": ""},
    )
    assert not feedback.give(catalog, answer.id, Judgement(False, "S2"), actor="key till")


def test_what_the_staff_decides_in_the_inbox_takes_the_place_of_what_the_till_said(
    catalog: Catalog, answer: Recognition
) -> None:
    feedback.give(catalog, answer.id, Judgement(False, "S2"), actor="key till")
    assert kept(catalog) == [answer.id]
    inbox.deciding.settle(catalog.database, [answer.id], sku="S1", actor="anna")
    assert said(catalog) == [(answer.id, False, "S1", "", "anna")]


def test_an_unknown_that_was_right_does_not_come_from_another_process_either(catalog: Catalog) -> None:
    create_each(catalog, 1)
    found = unknown(catalog)
    catalog.answers.flush()
    with catalog.database.write() as session:  # by another process, while the photo waits in this one
        feedback.judge(session, found.id, correct=True, sku="", actor="key till")
    assert kept(catalog) == []


def test_the_photo_of_a_wrong_match_is_kept_and_only_then(catalog: Catalog, answer: Recognition) -> None:
    assert kept(catalog) == []
    feedback.give(catalog, answer.id, WRONG, actor="key till")
    assert kept(catalog) == [answer.id]


def test_no_photo_is_kept_where_the_key_that_judges_says_no(catalog: Catalog, answer: Recognition) -> None:
    feedback.give(catalog, answer.id, WRONG, actor="key till", keep=False)
    assert kept(catalog) == []
    assert not catalog.unanswered.judged_wrong(answer.id), "nor is it held in memory"


def test_no_photo_is_kept_where_the_key_that_asked_says_no(catalog: Catalog) -> None:
    create_each(catalog, 1)
    answer = recognize(catalog, jpeg(1), asked_by="key till", keep=False)
    feedback.give(catalog, answer.id, WRONG, actor="key office")
    assert kept(catalog) == []


def test_no_photo_is_kept_where_that_was_switched_off_since_the_answer(catalog: Catalog, answer: Recognition) -> None:
    made = accounts.add_key(catalog.database, "till", actor="anna")
    accounts.set_inbox(catalog.database, made.id, False, actor="anna")
    feedback.give(catalog, answer.id, WRONG, actor="key office")
    assert kept(catalog) == []


def test_no_photo_is_kept_where_there_is_no_inbox(env: dict[str, str], tmp_path: Path) -> None:
    catalog = Catalog.open(Settings.from_env({**env, "CATALOG_INBOX_DAYS": "0"}))
    create(catalog, "S1", 1)
    answer = recognize(catalog, jpeg(1), asked_by="key till", keep=True)
    feedback.give(catalog, answer.id, WRONG, actor="key till")
    assert kept(catalog) == []
    catalog.close()


def test_an_answer_that_is_not_kept_takes_no_feedback(env: dict[str, str]) -> None:
    catalog = Catalog.open(Settings.from_env({**env, "CATALOG_LOG_DAYS": "0"}))
    create(catalog, "S1", 1)
    answer = recognize(catalog, jpeg(1), asked_by="key till", keep=True)
    with pytest.raises(NotFoundError):
        feedback.give(catalog, answer.id, WRONG, actor="key till")
    assert kept(catalog) == []
    catalog.close()


def test_answers_of_a_product_are_read_back_page_by_page(catalog: Catalog) -> None:
    create_each(catalog, 1, 2)
    asked = [recognize(catalog, jpeg(1), asked_by="key till") for _ in range(5)]
    recognize(catalog, jpeg(2), asked_by="key till")
    feedback.give(catalog, asked[3].id, Judgement(False, "S2", "x"), actor="key till")
    found, older = [], None
    while True:
        page = feedback.answers_of(catalog, "S1", older=older, limit=2)
        found += page.answers
        older = page.older
        if older is None:
            break
    assert [one.entry.id for one in found] == [one.id for one in reversed(asked)]
    assert [one.feedback and one.feedback.sku for one in found] == [None, "S2", None, None, None]
    assert feedback.find_answer(catalog, asked[3].id).feedback.note == "x"
    with pytest.raises(NotFoundError):
        feedback.answers_of(catalog, "NOBODY")
