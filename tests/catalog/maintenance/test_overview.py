"""The catalog in figures: each is what was put in."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest

from catalog import maintenance, products
from catalog.catalog import Catalog
from catalog.maintenance import overview
from catalog.storage.tables import Feedback, InboxPhoto, RecognitionEntry, now
from tests.support.steps import create

WHOLE_DAYS = timedelta(days=1)


def told(catalog: Catalog, at: datetime, decision: str, milliseconds: float = 10.0, *, wrong: bool = False) -> None:
    answer = uuid.uuid4()
    facts = {"decided_by": "embedding", "bundle_id": "x", "milliseconds": milliseconds}
    with catalog.database.write() as session:
        session.add(RecognitionEntry(id=answer, at=at, decision=decision, **facts))
        if wrong:
            session.flush()
            session.add_all(Feedback(recognition_id=answer, at=at, actor=who, correct=False) for who in ("a", "b"))
            session.add(Feedback(recognition_id=answer, at=at, actor="c", correct=True))


def test_an_empty_catalog_has_no_figures(catalog: Catalog) -> None:
    seen = maintenance.look_over(catalog)
    assert (seen.counts.products, seen.pending, seen.wrong, seen.inbox_photos, seen.inbox_groups) == (0, 0, 0, 0, 0)
    assert [day.total for day in seen.days] == [0] * 30
    assert (seen.times.answers, seen.times.p50, seen.times.p95, seen.model) == (0, None, None, None)
    assert 0 < seen.disk.free <= seen.disk.total


def test_answers_count_on_their_day_in_utc(catalog: Catalog) -> None:
    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    last = timedelta(microseconds=1)
    for at, decision in (
        (today, "match"),
        (today - last, "match"),
        (today - last, "unknown"),
        (today - 29 * WHOLE_DAYS, "ambiguous"),
        (today - 29 * WHOLE_DAYS - last, "match"),
    ):
        told(catalog, at, decision)
    days = maintenance.look_over(catalog).days
    assert [day.on for day in days] == [(today - place * WHOLE_DAYS).date() for place in range(29, -1, -1)]
    counted = {place: (day.match, day.ambiguous, day.unknown) for place, day in enumerate(days) if day.total}
    assert counted == {0: (0, 1, 0), 28: (1, 0, 1), 29: (1, 0, 0)}


def test_times_are_those_of_the_newest_answers(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(100):
        told(catalog, now() - timedelta(minutes=place), "match", float(place))
    times = maintenance.look_over(catalog).times
    assert (times.answers, times.p50, times.p95) == (100, 50.0, 95.0)
    monkeypatch.setattr(overview, "TIMED", 10)
    times = maintenance.look_over(catalog).times
    assert (times.answers, times.p50, times.p95) == (10, 5.0, 9.0)


def test_what_waits_and_what_was_wrong(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    told(catalog, now(), "match", wrong=True)
    told(catalog, now(), "match")
    told(catalog, now() - 31 * WHOLE_DAYS, "match", wrong=True)
    group = uuid.uuid4()
    with catalog.database.write() as session:
        for of, ours in ((group, True), (group, True), (uuid.uuid4(), True), (uuid.uuid4(), False)):
            known = {"decision": "unknown", "bundle_id": "x", "vector": b"", "size": 1, "data": b"1"}
            session.add(InboxPhoto(id=uuid.uuid4(), group_id=of, ours=ours, **known))
    catalog.gallery.on = False  # type: ignore[attr-defined]  # see conftest: the test's gallery can be switched off
    create(catalog, "C", 3)
    products.set_active(catalog, "B", False, actor="anna")
    seen = maintenance.look_over(catalog)
    assert (seen.counts.products, seen.counts.photos) == (2, 2)
    assert (seen.pending, seen.wrong) == (2, 1), "a photo to come, and one to go"
    assert (seen.inbox_photos, seen.inbox_groups) == (3, 2)
    live = catalog.generations.live().embedder.bundle
    assert seen.model is not None and seen.model.bundle_id == live.id
