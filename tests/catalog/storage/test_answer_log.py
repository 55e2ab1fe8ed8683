from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from catalog import products, storage
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment import Worker
from catalog.errors import DatabaseUnavailableError
from catalog.recognition import recognize
from catalog.storage import answer_log
from catalog.storage.tables import RecognitionEntry, now
from tests.support.pictures import jpeg
from tests.support.steps import create, create_each


def logged(catalog: Catalog) -> list[RecognitionEntry]:
    with catalog.database.read() as session:
        return list(session.scalars(select(RecognitionEntry).order_by(RecognitionEntry.at)))


def entry(**facts: object) -> storage.AnswerEntry:
    common = {"asked_by": "x", "decision": "unknown", "decided_by": "embedding", "sku": "", "score": None}
    return storage.AnswerEntry(
        **{
            "id": uuid.uuid4(),
            "at": now(),
            "confidence": None,
            "bundle_id": "b",
            "milliseconds": 1.0,
            **common,
            **facts,
        }
    )


def test_answers_are_kept_with_what_they_named(catalog: Catalog) -> None:
    create_each(catalog, 1, 2)
    found = recognize(catalog, jpeg(1), asked_by="key till 1")
    recognize(catalog, jpeg(2))  # nobody's: not kept
    assert logged(catalog) == []  # no answer waits for the disk
    assert catalog.answers.flush() == 1
    assert catalog.answers.flush() == 0
    (kept,) = logged(catalog)
    assert (kept.id, kept.asked_by, kept.decision, kept.decided_by) == (found.id, "key till 1", "match", "embedding")
    assert (kept.sku, kept.score, kept.bundle_id) == ("S1", pytest.approx(1, abs=1e-3), found.bundle)
    assert kept.milliseconds == found.milliseconds
    assert abs(kept.at - now()) < timedelta(minutes=1)
    assert [p.sku for p in products.list_page(catalog.database, products.Filter(never_recognized=True)).products] == [
        "S2"
    ]


def test_an_answer_that_named_nobody(catalog: Catalog) -> None:
    recognize(catalog, jpeg(1), asked_by="till")
    catalog.answers.flush()
    (kept,) = logged(catalog)
    assert (kept.decision, kept.sku, kept.score, kept.product_id) == ("unknown", "", None, None)


def test_a_purged_product_leaves_its_answers(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    recognize(catalog, jpeg(1), asked_by="till")
    catalog.answers.flush()
    products.purge(catalog, "A", actor="anna")
    (kept,) = logged(catalog)
    assert (kept.sku, kept.product_id) == ("A", None)


def test_the_worker_writes_the_log_and_takes_away_what_is_old(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    old, young = (entry(at=now() - timedelta(days=days)) for days in (91, 89))
    catalog.answers.append(old)
    catalog.answers.append(young)
    catalog.gallery.on = False  # of which the log is independent
    worker = Worker(catalog, every=0.02)
    worker.start()
    try:
        for _ in range(500):
            if [kept.id for kept in logged(catalog)] == [young.id]:
                break
            worker._stop.wait(0.02)
    finally:
        worker.stop()
    assert [kept.id for kept in logged(catalog)] == [young.id]


def test_closing_writes_what_waits(open_catalog: Callable[[], Catalog]) -> None:
    first = open_catalog()
    first.answers.append(entry())
    first.close()
    assert len(logged(open_catalog())) == 1


def test_no_log_is_kept_where_none_is_wanted(env: dict[str, str]) -> None:
    catalog = Catalog.open(Settings.from_env({**env, "CATALOG_LOG_DAYS": "0"}))
    catalog.answers.append(entry())
    assert catalog.answers.flush() == 0
    catalog.close()


def test_a_dead_database_loses_no_entry(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = [entry() for _ in range(3)]
    for one in waiting:
        catalog.answers.append(one)

    def dead(*_: object) -> None:
        raise DatabaseUnavailableError("away")

    monkeypatch.setattr(catalog.database, "write", dead)
    with pytest.raises(DatabaseUnavailableError):
        catalog.answers.flush()
    monkeypatch.undo()
    assert catalog.answers.flush() == 3
    assert {kept.id for kept in logged(catalog)} == {one.id for one in waiting}


def test_the_id_of_an_answer_tells_when_it_was_given() -> None:
    ids = [answer_log.new_answer_id() for _ in range(50)]
    assert len(set(ids)) == 50
    assert {(one.version, one.variant) for one in ids} == {(7, uuid.RFC_4122)}
    assert all(abs(answer_log.made_at(one) - now().timestamp()) < 60 for one in ids)
    assert answer_log.made_at(uuid.uuid4()) is None
    assert answer_log.made_at(uuid.UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")) > 0  # of nobody's making


@pytest.mark.slow
def test_the_oldest_give_way_while_the_database_is_away_for_long(catalog: Catalog) -> None:
    for number in range(answer_log.WAITING + 5):
        catalog.answers.append(entry(asked_by=str(number)))
    assert catalog.answers.flush() == answer_log.WAITING
    assert logged(catalog)[0].asked_by == "5"
