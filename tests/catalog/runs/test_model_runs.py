"""Re-embedding and rolling back as runs: in a process of its own, beside the tills."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import uuid
from contextlib import closing

import pytest
from sqlalchemy import select, update

from catalog import maintenance
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.runs import RunWorker, perform, recording
from catalog.runs.performing import alone_at
from catalog.storage import Database
from catalog.storage.tables import AuditEntry, Enrollment, Generation, Photo, Run
from embedder.bundle import Bundle
from tests.support.steps import create, first

pytestmark = pytest.mark.slow


def asked(catalog: Catalog, **options: object) -> uuid.UUID:
    return recording.start(catalog.database, "reembed", actor="anna", options=options)


def state(catalog: Catalog, run: uuid.UUID) -> str:
    return recording.get(catalog.database, run).state


def done(catalog: Catalog, run: uuid.UUID) -> Run:
    """The run when it is over."""
    assert RunWorker(catalog).step()
    return recording.get(catalog.database, run)


def test_a_model_is_switched_by_a_process_of_its_own(catalog: Catalog, other_bundle: Bundle) -> None:
    create(catalog, "A", 1)
    before = catalog.generations.live().embedder.bundle.id
    found = done(catalog, asked(catalog, bundle=str(other_bundle.path)))
    assert (found.state, found.result.get("before"), found.result.get("bundle")) == ("done", before, other_bundle.id)
    failed = done(catalog, asked(catalog, bundle="/nowhere"))
    assert failed.state == "failed" and "/nowhere" in failed.message


def test_its_process_is_ended_when_a_person_stops_it(catalog: Catalog, other_bundle: Bundle) -> None:
    create(catalog, "A", 1)
    catalog.generations.ready()
    run = asked(catalog, bundle=str(other_bundle.path))
    thread = threading.Thread(target=RunWorker(catalog).step)
    thread.start()
    while state(catalog, run) == "waiting":
        time.sleep(0.01)
    recording.stop(catalog.database, run, actor="anna")
    thread.join(60)
    assert not thread.is_alive() and state(catalog, run) == "stopped"
    assert catalog.generations.live().embedder.bundle.id != other_bundle.id


def test_a_server_that_stops_ends_its_process_and_the_next_one_goes_on(catalog: Catalog, other_bundle: Bundle) -> None:
    create(catalog, "A", 1)
    catalog.generations.ready()
    run = asked(catalog, bundle=str(other_bundle.path))
    worker = RunWorker(catalog)
    worker.start()
    while state(catalog, run) == "waiting":
        time.sleep(0.01)
    [process] = multiprocessing.active_children()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)  # or it might be through before it is ended
    threading.Timer(2.0, os.kill, (process.pid, signal.SIGCONT)).start()
    worker.stop()
    left = recording.get(catalog.database, run)
    assert (left.state, left.holder, left.attempts) == ("waiting", None, 0)
    assert not multiprocessing.active_children()
    assert done(catalog, run).state == "done"


def test_two_servers_do_it_once_each_in_a_process_of_its_own(catalog: Catalog, other_bundle: Bundle) -> None:
    create(catalog, "A", 1)
    catalog.generations.ready()
    run = asked(catalog, bundle=str(other_bundle.path))
    workers = [RunWorker(catalog) for _ in range(3)]
    for worker in workers:
        worker.start()
    while state(catalog, run) in ("waiting", "running"):
        time.sleep(0.05)
    for worker in workers:
        worker.stop()
    found = recording.get(catalog.database, run)
    assert (found.state, found.attempts, found.result.get("bundle")) == ("done", 1, other_bundle.id), found.message


def test_what_ended_its_process_at_once_has_failed_but_not_where_another_has_it(
    catalog: Catalog, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = asked(catalog)

    def dead(settings: Settings, run_id: uuid.UUID) -> multiprocessing.Process:
        process = multiprocessing.get_context("spawn").Process(target=os._exit, args=(1,))
        process.start()
        process.join()
        return process

    monkeypatch.setattr("catalog.runs.worker.start_apart", dead)
    worker = RunWorker(catalog)
    with closing(Database(database_url)) as other, alone_at(other, "reembed"):
        [waits] = recording.list_open(catalog.database)
        assert worker._wait_for(dead(catalog.settings, run), waits) and state(catalog, run) == "waiting"
    assert worker.step()
    failed = recording.get(catalog.database, run)
    assert failed.state == "failed" and "before it had begun" in failed.message


def test_a_rollback_switches_back_beside_the_tills_and_is_in_the_audit_log(
    catalog: Catalog, other_bundle: Bundle
) -> None:
    create(catalog, "A", 1)
    before = catalog.generations.live().embedder.bundle.id
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    create(catalog, "B", 2)
    catalog.generations.release_old()
    run = asked(catalog, rollback=True)
    thread = threading.Thread(target=RunWorker(catalog).step)
    thread.start()
    assert first(catalog, 2) == "B", "tills are answered meanwhile"
    thread.join(60)
    assert state(catalog, run) == "done"
    found = maintenance.list_models(catalog)
    assert found.live is not None and (found.live.bundle_id, found.live.embedded) == (before, 2)
    with catalog.database.read() as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry and (entry.actor, entry.action, entry.subject) == ("anna", "model.rollback", before)
    assert [first(catalog, seed) for seed in (1, 2)] == ["A", "B"]


def test_a_rollback_that_is_begun_again_after_its_switch_goes_back_once(
    catalog: Catalog, other_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(catalog, "A", 1)
    before = catalog.generations.live().embedder.bundle.id
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    with catalog.database.write() as session:  # as if a third one had been live before that
        older = Generation(bundle_id="0" * 12, bundle_name="older", collection="older", dim=4, live=False)
        session.add(older)
        session.flush()
        session.execute(update(Generation).where(Generation.bundle_id == before).values(previous_id=older.id))
    catalog.generations.release_old()
    run = asked(catalog, rollback=True, live=other_bundle.id)
    monkeypatch.setattr(recording, "end", lambda *given: None)  # as if killed after the switch
    perform(catalog, run)
    monkeypatch.undo()
    assert state(catalog, run) == "running" and catalog.generations.live().embedder.bundle.id == before
    again = done(catalog, run)
    assert (again.state, again.message) == ("done", f"{before} is live already.")
    assert catalog.generations.live().embedder.bundle.id == before


def test_why_a_rollback_failed_is_said(catalog: Catalog, other_bundle: Bundle) -> None:
    create(catalog, "A", 1)
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    with catalog.database.write() as session:
        session.execute(update(Photo).values(sha256="0" * 64))
        session.execute(update(Enrollment).values(done=False))
    catalog.generations.release_old()
    failed = done(catalog, asked(catalog, rollback=True))
    assert failed.state == "failed" and "can't be embedded" in failed.message
    live = maintenance.list_models(catalog).live
    assert live is not None and live.bundle_id == other_bundle.id
