"""Commands record the runs that they do, beside those that wait and those of other processes."""

from __future__ import annotations

from contextlib import closing

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from catalog import cli
from catalog.catalog import Catalog
from catalog.errors import (
    ConflictError,
)
from catalog.progress import no_progress
from catalog.runs import JobFailedError, Outcome, RunWorker, recorded, recording
from catalog.runs.performing import alone_at
from catalog.storage import Database
from tests.support.runs import asked, state


def test_a_command_records_its_run(catalog: Catalog) -> None:
    with recorded(catalog.database, "doctor", actor="cli") as record:
        assert record.task is not None
        assert not RunWorker(catalog).step(), "it is the command's"
        assert state(catalog, record.task.id) == "running"
        record.outcome = Outcome("well", {"a": 1})
    done = recording.get(catalog.database, record.task.id)
    assert (done.state, done.message, done.result, done.actor) == ("done", "well", {"a": 1}, "cli")
    with pytest.raises(ZeroDivisionError), recorded(catalog.database, "doctor", actor="cli"):
        raise ZeroDivisionError("by 0")
    failed = recording.latest(catalog.database, "doctor")
    assert failed is not None and failed.state == "failed" and "unexpected" in failed.message, "viewers read it"


def test_a_command_goes_on_beside_another_process_unless_it_must_be_alone(catalog: Catalog, database_url: str) -> None:
    with closing(Database(database_url)) as other, alone_at(other, "doctor"):
        with recorded(catalog.database, "doctor", actor="cli") as record:
            assert record.task is None
        with pytest.raises(ConflictError), recorded(catalog.database, "doctor", actor="cli", needed=True):
            raise AssertionError("it begins")
    assert recording.list_runs(catalog.database) == []


def test_a_command_takes_the_place_of_what_waits_and_is_stopped_in_the_pages(catalog: Catalog) -> None:
    waiting = asked(catalog)
    with pytest.raises(JobFailedError), recorded(catalog.database, "doctor", actor="cli") as record:
        assert state(catalog, waiting) == "stopped" and record.task is not None
        recording.stop(catalog.database, record.task.id, actor="anna")
        record.beside(no_progress)(1, 2)
    assert state(catalog, record.task.id) == "stopped"


def test_a_command_that_does_less_leaves_what_waits(catalog: Catalog) -> None:
    mend = recording.start(catalog.database, "doctor", actor="anna", options={"repair": True, "remove_orphans": True})
    with recorded(catalog.database, "doctor", actor="cli", options={"repair": True, "remove_orphans": False}) as record:
        assert record.task is None
    assert state(catalog, mend) == "waiting"
    with recorded(catalog.database, "doctor", actor="cli", options={"repair": True, "remove_orphans": True}) as record:
        assert record.task is not None and state(catalog, mend) == "stopped"


def test_a_check_without_the_gallery_is_none_of_the_catalog(catalog: Catalog, env: dict[str, str]) -> None:
    nightly = recording.start(catalog.database, "doctor", actor="every night", night="2026-01-01")
    ended = CliRunner().invoke(cli.main, ["doctor", "--quiet", "--no-gallery"], env=env)
    assert ended.exit_code == 0, ended.output
    assert [(run.id, run.state) for run in recording.list_runs(catalog.database)] == [(nightly, "waiting")]


def test_a_command_whose_run_was_ended_says_so(catalog: Catalog) -> None:
    with (
        pytest.raises(JobFailedError, match="ended its run"),
        recorded(catalog.database, "doctor", actor="cli") as record,
    ):
        assert record.task is not None
        recording.end_left(catalog.database, record.task.id, "failed", "The command ended before it was through.")
        record.beside(no_progress)(1, 2)


def test_a_command_that_lost_its_lock_is_done_all_the_same(catalog: Catalog) -> None:
    if catalog.database.is_sqlite:
        pytest.skip("the lock is a file's: it can't be lost")
    with recorded(catalog.database, "doctor", actor="cli") as record:
        assert record.task is not None
        with catalog.database.write() as session:
            locks = text("SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'")
            assert session.scalar(locks) == 1
        record.outcome = Outcome("well")
    assert state(catalog, record.task.id) == "done"


def test_a_killed_command_has_failed(catalog: Catalog) -> None:
    task = recording.take_as_command(catalog.database, "doctor", actor="cli", options={})
    assert not RunWorker(catalog).step()
    failed = recording.get(catalog.database, task.id)
    assert failed.state == "failed" and "The command ended" in failed.message
