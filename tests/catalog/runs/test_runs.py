"""Runs: one of a kind at a time, stopped at any moment, gone on with after a kill, and told as they are."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from catalog import right_of_way
from catalog.catalog import Catalog
from catalog.enrollment import run_pending
from catalog.errors import (
    CatalogError,
    ConflictError,
    DatabaseUnavailableError,
    GalleryLockedError,
    GalleryMismatchError,
    GalleryRefillingError,
    NotFoundError,
)
from catalog.generations import LiveModel
from catalog.maintenance.coverage import examine_coverage
from catalog.runs import KINDS, Outcome, RunWorker, Task, performing, recording
from catalog.runs.performing import alone_at
from catalog.runs.tasks import LostError
from catalog.storage import Database
from catalog.storage.tables import AuditEntry, Run, now
from tests.support.runs import asked, state
from tests.support.spawning import line, spawn
from tests.support.steps import create

Work = Callable[[Catalog, Task], Outcome]


@pytest.fixture
def doing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Work], None]:
    """Has the doctor's runs do something else."""

    def replaced(work: Work) -> None:
        monkeypatch.setitem(KINDS, "doctor", replace(KINDS["doctor"], work=work))

    return replaced


def test_the_doctor_and_coverage_as_runs(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    doctor, coverage = asked(catalog), asked(catalog, "coverage")
    worker = RunWorker(catalog)
    assert worker.step() and worker.step() and not worker.step()
    done = recording.get(catalog.database, doctor)
    assert (done.state, done.message, done.done, done.total) == ("done", "All is well.", 1, 1)
    assert done.started_at is not None and done.ended_at is not None and done.ended_at >= done.started_at
    done = recording.get(catalog.database, coverage)
    assert (done.state, done.result) == ("done", {"products": 1, "asked": 0, "found": 0, "needy": 1})
    with catalog.database.read() as session:
        actions = session.execute(select(AuditEntry.actor, AuditEntry.action, AuditEntry.subject)).all()
    assert ("anna", "run.start", "doctor") in actions


def test_what_the_doctor_finds_is_in_its_run_and_tills_keep_the_gallery(catalog: Catalog) -> None:
    sha256 = create(catalog, "A", 1).photos[0].sha256
    (catalog.settings.data / "photos" / sha256[:2] / sha256[2:4] / sha256).unlink()
    run = asked(catalog)
    live = catalog.generations.ready()
    RunWorker(catalog).step()
    done = recording.get(catalog.database, run)
    assert done.result["counts"] == {"defect": 1} and done.message == "1 thing is amiss."
    [finding] = done.result["findings"]
    assert (finding["kind"], finding["sku"], finding["severity"]) == ("photo_missing", "A", "defect")
    assert live.collection in catalog.generations._ready, "it was not closed"


def test_of_a_kind_one_is_open(catalog: Catalog) -> None:
    asked(catalog)
    with pytest.raises(ConflictError):
        asked(catalog)
    asked(catalog, "coverage")
    worker = RunWorker(catalog)
    while worker.step():
        pass
    asked(catalog)


def test_a_night_has_one_run_of_a_kind(catalog: Catalog) -> None:
    recording.start(catalog.database, "doctor", actor="night", night="2026-01-01")
    RunWorker(catalog).step()
    with pytest.raises(ConflictError):
        recording.start(catalog.database, "doctor", actor="night", night="2026-01-01")
    recording.start(catalog.database, "doctor", actor="night", night="2026-01-02")


def test_progress_is_kept_and_a_person_stops_it(catalog: Catalog, doing: Callable[[Work], None]) -> None:
    seen = []

    def work(catalog: Catalog, task: Task) -> Outcome:
        task.progress(3, 10)
        seen.append(recording.get(catalog.database, task.id))
        recording.stop(catalog.database, task.id, actor="anna")
        task.told_at = 0.0
        task.progress(4, 10)
        raise AssertionError("it goes on")

    doing(work)
    run = asked(catalog)
    RunWorker(catalog).step()
    assert (seen[0].state, seen[0].done, seen[0].total) == ("running", 3, 10)
    stopped = recording.get(catalog.database, run)
    assert (stopped.state, stopped.done, stopped.holder) == ("stopped", 4, None)
    assert not RunWorker(catalog).step()


def test_one_that_waits_is_stopped_at_once(catalog: Catalog) -> None:
    run = asked(catalog)
    recording.stop(catalog.database, run, actor="anna")
    assert state(catalog, run) == "stopped" and not RunWorker(catalog).step()
    recording.stop(catalog.database, run, actor="anna")
    with pytest.raises(NotFoundError):
        recording.stop(catalog.database, uuid.uuid4(), actor="anna")


@pytest.mark.parametrize("error", [CatalogError("No room."), OSError("No room."), RuntimeError("bug")])
def test_one_that_fails_says_why(catalog: Catalog, doing: Callable[[Work], None], error: Exception) -> None:
    def work(catalog: Catalog, task: Task) -> Outcome:
        raise error

    doing(work)
    run = asked(catalog)
    RunWorker(catalog).step()
    failed = recording.get(catalog.database, run)
    assert (
        failed.state == "failed" and ("unexpected" if isinstance(error, RuntimeError) else "No room.") in failed.message
    )


@pytest.mark.parametrize("kind", ["coverage", "doctor"])
def test_while_a_till_asks_nothing_is_examined(catalog: Catalog, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    create(catalog, "A", 1, 2)
    monkeypatch.setattr(right_of_way, "LONGEST", 60.0)
    monkeypatch.setattr(right_of_way, "TURN", 60.0)
    run, worker = asked(catalog, kind), RunWorker(catalog)
    with right_of_way.asking():
        worker.start()
        while state(catalog, run) == "waiting":
            time.sleep(0.01)
        time.sleep(1.0)
        waits = recording.get(catalog.database, run)
        assert (waits.state, waits.done) == ("running", 0)
    while state(catalog, run) == "running":
        time.sleep(0.01)
    worker.stop()
    assert state(catalog, run) == "done"


@pytest.mark.parametrize("error", [GalleryLockedError("It is open elsewhere."), RuntimeError("bug")])
def test_one_that_can_not_begin_keeps_no_other_from_it(
    catalog: Catalog, doing: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def raised(catalog: Catalog) -> str:
        raise error

    first, second = asked(catalog), asked(catalog, "coverage")
    monkeypatch.setitem(KINDS, "doctor", replace(KINDS["doctor"], obstacle=raised))
    assert RunWorker(catalog).step() and state(catalog, second) == "done"
    waits = recording.get(catalog.database, first)
    expected = "It is open elsewhere." if isinstance(error, CatalogError) else "unexpected"
    assert waits.state == "waiting" and expected in waits.message and "bug" not in waits.message


def test_a_gallery_that_another_process_has_open_is_waited_for(catalog: Catalog, doing: Callable[[Work], None]) -> None:
    def work(catalog: Catalog, task: Task) -> Outcome:
        raise GalleryLockedError("It is open in another process.")

    doing(work)
    run, worker = asked(catalog), RunWorker(catalog)
    for _ in range(recording.ATTEMPTS + 1):
        assert not worker.step()
        waits = recording.get(catalog.database, run)
        assert (waits.state, waits.attempts, waits.message) == ("waiting", 0, "It is open in another process.")


def test_a_gallery_that_can_not_be_opened_is_told_by_the_work(
    catalog: Catalog, doing: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> LiveModel:
        raise GalleryMismatchError("It is broken.")

    def work(catalog: Catalog, task: Task) -> Outcome:
        catalog.generations.ready()
        raise AssertionError("it goes on")

    doing(work)
    run, worker = asked(catalog), RunWorker(catalog)
    monkeypatch.setattr(catalog.generations, "ready", broken)
    worker._is_embedded = True
    assert worker.step()
    failed = recording.get(catalog.database, run)
    assert (failed.state, failed.message) == ("failed", "It is broken.")


def test_a_database_that_is_away_for_a_moment_is_no_attempt(
    catalog: Catalog, doing: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(performing, "ASK_EVERY", 0.01)
    away = iter([True, True, False])
    give_back = recording.give_back

    def gave_back(database: Database, holder: uuid.UUID) -> None:
        if next(away):
            raise DatabaseUnavailableError("It is away.")
        give_back(database, holder)

    def work(catalog: Catalog, task: Task) -> Outcome:
        raise DatabaseUnavailableError("It is away.")

    doing(work)
    monkeypatch.setattr(recording, "give_back", gave_back)
    run = asked(catalog)
    with pytest.raises(DatabaseUnavailableError):
        RunWorker(catalog).step()
    waits = recording.get(catalog.database, run)
    assert (waits.state, waits.holder, waits.attempts) == ("waiting", None, 0)


def test_one_that_nobody_can_take_is_stopped_all_the_same(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    run = asked(catalog)
    assert recording.take(catalog.database, run) is not None  # by a process that was killed since
    recording.stop(catalog.database, run, actor="anna")
    monkeypatch.setattr(RunWorker, "_has_gallery", lambda worker: False)
    assert not RunWorker(catalog).step()
    assert state(catalog, run) == "stopped"


def test_a_server_that_stops_leaves_it_to_the_next(catalog: Catalog, doing: Callable[[Work], None]) -> None:
    began = threading.Event()

    def work(catalog: Catalog, task: Task) -> Outcome:
        began.set()
        while True:
            time.sleep(0.01)
            task.progress(1, 2)

    doing(work)
    run = asked(catalog)
    for _ in range(recording.ATTEMPTS + 1):  # stopping in order is no failure, however often
        worker = RunWorker(catalog)
        worker.start()
        assert began.wait(10)
        began.clear()
        worker.stop()
        left = recording.get(catalog.database, run)
        assert (left.state, left.holder, left.attempts) == ("waiting", None, 0)
    doing(lambda catalog, task: Outcome("well"))
    assert RunWorker(catalog).step() and state(catalog, run) == "done"


def begin(child: subprocess.Popen[str]) -> None:
    assert line(child) == "ready" and child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


@pytest.mark.slow
def test_a_killed_process_loses_it_and_the_next_one_goes_on(catalog: Catalog, env: dict[str, str]) -> None:
    run = asked(catalog)
    with spawn("running", run, env=env) as child:
        begin(child)
        assert child.wait(60) == -signal.SIGKILL
    left = recording.get(catalog.database, run)
    assert (left.state, left.attempts, left.total) == ("running", 1, 4)
    assert RunWorker(catalog).step()
    done = recording.get(catalog.database, run)
    assert (done.state, done.attempts, done.message) == ("done", 2, "All is well.")


@pytest.mark.slow
def test_two_processes_at_once_do_it_once(catalog: Catalog, env: dict[str, str]) -> None:
    run = asked(catalog)
    with spawn("running", run, 1, env=env) as one, spawn("running", run, 1, env=env) as other:
        begin(one)
        begin(other)
        assert sorted((line(one), line(other))) == ["False", "True"]
        assert (one.wait(60), other.wait(60)) == (0, 0)
    assert recording.get(catalog.database, run).attempts == 1


def test_what_ends_every_process_is_given_up(catalog: Catalog) -> None:
    run = asked(catalog)
    for _ in range(recording.ATTEMPTS):
        assert recording.take(catalog.database, run) is not None
    assert not RunWorker(catalog).step()
    given_up = recording.get(catalog.database, run)
    assert given_up.state == "failed" and "3 processes" in given_up.message


def test_a_process_that_lost_it_changes_nothing(catalog: Catalog) -> None:
    run = asked(catalog)
    lost = recording.take(catalog.database, run)
    task = recording.take(catalog.database, run)
    assert lost is not None and task is not None
    with pytest.raises(LostError):
        lost.progress(9, 9)
    assert not recording.end(lost, "failed", "late")
    recording.end(task, "done", "well")
    assert recording.get(catalog.database, run).message == "well"


def test_a_run_that_a_process_holds_is_left_alone(catalog: Catalog, database_url: str) -> None:
    run = asked(catalog)
    with closing(Database(database_url)) as other, alone_at(other, "doctor"):
        assert not RunWorker(catalog).step() and state(catalog, run) == "waiting"
    assert RunWorker(catalog).step()


def test_nothing_is_examined_in_a_gallery_that_is_being_filled(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    live = catalog.generations.live()
    catalog.gallery.drop(live.collection)
    catalog.generations.release(live.collection)
    catalog.generations.ready()
    with pytest.raises(GalleryRefillingError):
        list(examine_coverage(catalog))
    coverage, worker = asked(catalog, "coverage"), RunWorker(catalog)
    assert not worker.step()
    waits = recording.get(catalog.database, coverage)
    assert (waits.state, waits.attempts) == ("waiting", 0) and "is being filled again" in waits.message
    while run_pending(catalog):
        pass
    assert worker.step() and state(catalog, coverage) == "done"


def test_what_is_lost_in_the_middle_is_waited_for(catalog: Catalog, doing: Callable[[Work], None]) -> None:
    def work(catalog: Catalog, task: Task) -> Outcome:
        raise GalleryRefillingError("It is being filled.")

    doing(work)
    run = asked(catalog)
    assert not RunWorker(catalog).step()
    waits = recording.get(catalog.database, run)
    assert (waits.state, waits.holder, waits.attempts, waits.message) == ("waiting", None, 0, "It is being filled.")


def test_what_this_process_can_not_do_waits_and_says_why(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.runs.kinds.is_installed", lambda: False)
    mapping, doctor = asked(catalog, "map"), asked(catalog)
    assert RunWorker(catalog).step() and state(catalog, doctor) == "done", "others go on"
    waits = recording.get(catalog.database, mapping)
    assert (waits.state, waits.attempts) == ("waiting", 0) and "the extra `map`" in waits.message


def test_old_runs_are_removed_but_for_the_last_of_each_kind(catalog: Catalog) -> None:
    runs = []
    for kind in ("doctor", "doctor", "coverage"):
        runs.append(asked(catalog, kind))
        RunWorker(catalog).step()
    with catalog.database.write() as session:
        for number, run in enumerate(runs):
            old = now() - recording.KEPT - timedelta(hours=3 - number)
            session.execute(update(Run).where(Run.id == run).values(created_at=old))
    recording.trim(catalog.database)
    assert {run.id for run in recording.list_runs(catalog.database)} == set(runs[1:])


def test_the_open_ones_are_listed_first(catalog: Catalog) -> None:
    first = asked(catalog)
    coverage = asked(catalog, "coverage")
    recording.stop(catalog.database, coverage, actor="anna")
    assert [run.id for run in recording.list_runs(catalog.database)] == [first, coverage]
