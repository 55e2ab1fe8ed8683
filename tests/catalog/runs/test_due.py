from __future__ import annotations

from datetime import datetime, time, timedelta

import pytest
from sqlalchemy import update

from catalog.catalog import Catalog
from catalog.runs import RunWorker, recording
from catalog.runs.due import EVERY_NIGHT, ask_for_due, last_due
from catalog.runs.kinds import KINDS
from catalog.storage.tables import Generation, now

THREE = time(3)
#: Kinds of every night; the map is one where its extra is installed.
NIGHTLY = [kind.name for kind in KINDS.values() if kind.nightly]


@pytest.fixture
def old(catalog: Catalog) -> Catalog:
    """A catalog that has been there for a year."""
    catalog.generations.ready()
    with catalog.database.write() as session:
        session.execute(update(Generation).values(created_at=now() - timedelta(days=400)))
    return catalog


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        ("2026-05-02 02:59", "2026-05-01 03:00"),
        ("2026-05-02 03:00", "2026-05-02 03:00"),
        ("2026-05-02 23:59", "2026-05-02 03:00"),
        ("2026-01-01 00:00", "2025-12-31 03:00"),
    ],
)
def test_when_it_is_due(moment: str, due: str) -> None:
    assert last_due(THREE, datetime.fromisoformat(moment)) == datetime.fromisoformat(due)


def test_a_night_is_once_over_restarts_and_the_next_one_follows(old: Catalog) -> None:
    moment = datetime.now()
    assert ask_for_due(old.database, THREE, moment) == len(NIGHTLY)
    assert ask_for_due(old.database, THREE, moment) == 0, "they wait"
    worker = RunWorker(old)
    while worker.step():
        pass
    assert ask_for_due(old.database, THREE, moment) == 0, "they are done"
    runs = recording.list_runs(old.database)
    assert {(run.kind, run.state, run.actor, run.night) for run in runs} == {
        (kind, "done", EVERY_NIGHT, last_due(THREE, moment).date().isoformat()) for kind in NIGHTLY
    }
    assert ask_for_due(old.database, THREE, moment + timedelta(days=1)) == len(NIGHTLY)


def test_what_a_command_has_done_this_night_is_not_done_again(old: Catalog) -> None:
    moment = datetime.now()
    recording.start(old.database, "coverage", actor=EVERY_NIGHT)
    RunWorker(old).step()
    at = (moment + timedelta(minutes=1)).time()  # the server's own time comes later
    asked = ask_for_due(old.database, at, moment + timedelta(minutes=2))
    assert asked == len(NIGHTLY) - 1


def test_what_is_at_work_is_not_asked_for_twice(old: Catalog) -> None:
    moment = datetime.now()
    recording.start(old.database, "coverage", actor="anna")
    assert ask_for_due(old.database, THREE, moment) == len(NIGHTLY) - 1
    RunWorker(old).step()
    assert ask_for_due(old.database, THREE, moment) == 1


def test_a_new_catalog_waits_for_its_first_night(catalog: Catalog) -> None:
    moment = datetime.now()
    assert ask_for_due(catalog.database, THREE, moment) == 0, "it has no model yet"
    catalog.generations.ready()
    assert ask_for_due(catalog.database, THREE, moment) == 0
    assert ask_for_due(catalog.database, THREE, moment + timedelta(days=1)) == len(NIGHTLY)
