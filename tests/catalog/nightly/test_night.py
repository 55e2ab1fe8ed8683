"""A night: its steps in order, each whatever became of the others, one night at a time, and beside a real server."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select, update

from catalog import cli, maintenance, runs
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import ConflictError
from catalog.nightly import Night, Plan, Step, night, run_night
from catalog.runs import recording
from catalog.runs.performing import alone_at
from catalog.storage import Database, change_feed
from catalog.storage.tables import AuditEntry, Generation, Judgement, Run, now
from embedder.bundle import Bundle
from tests.support.judged import put_packs
from tests.support.runs import state
from tests.support.served import environment, run, served
from tests.support.steps import create

#: Without a new model, and without a backup.
PLAN = Plan()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else is there who could take a run."""
    monkeypatch.setattr(night, "TAKEN_WITHIN", 0.0)
    monkeypatch.setattr(night, "LOOK_EVERY", 0.05)


def of(catalog: Catalog, plan: Plan = PLAN, **more: Any) -> Night:
    """A night of another process than the one that has the catalog open: the embedded gallery is given back to it."""
    catalog.generations.release_old()
    catalog.generations.release(catalog.generations.live().collection)
    return run_night(catalog.settings, plan, **more)


def states(night: Night) -> dict[str, str]:
    return {step.name: step.state for step in night.steps}


def step(night: Night, name: str) -> Step:
    return next(step for step in night.steps if step.name == name)


def test_a_new_model_then_all_else(catalog: Catalog, equal_bundle: Bundle, tmp_path: Path) -> None:
    create(catalog, "TEA", 1, 2)
    create(catalog, "COFFEE", 3, 4)
    (catalog.settings.data / "photos").mkdir(exist_ok=True)
    plan = Plan(equal_bundle.path, tmp_path / "backups")
    told: list[str] = []
    first = of(catalog, plan, told=lambda step: told.append(step.name))
    assert told == ["model", "check", "coverage", "backup", "old models"]
    assert states(first) == dict.fromkeys(told, "done") and first.is_well, first.as_dict()
    assert first.live == equal_bundle.id == catalog.generations.live().embedder.bundle.id
    assert len(list((tmp_path / "backups").iterdir())) == 1
    kept = recording.latest(catalog.database, runs.NIGHT)
    assert kept is not None and (kept.state, kept.message) == ("done", "All is well.")
    assert [each["name"] for each in kept.result["steps"]] == told
    page = change_feed.changes_after(catalog.database, "", 100)
    assert [(each.type, each.told) for each in page.changes][-1] == ("night.ended", {"well": True})

    again = of(catalog, plan)
    assert states(again) | {"model": "skipped"} == states(again)
    assert step(again, "coverage").run == step(first, "coverage").run, "it was found this night"
    assert step(again, "check").run != step(first, "check").run


def test_a_model_that_is_worse_is_for_a_person_and_is_not_judged_every_night(
    catalog: Catalog, worse_bundle: Bundle
) -> None:
    put_packs(catalog, 4)
    live = catalog.generations.live().embedder.bundle.id
    first = of(catalog, Plan(worse_bundle.path))
    assert (first.live, step(first, "model").state, first.is_well) == (live, "amiss", False)
    assert "model" in first.message
    with catalog.database.read() as session:
        judged = session.scalars(select(Judgement.at)).all()
    again = of(catalog, Plan(worse_bundle.path))
    assert "a person decides" in step(again, "model").message and not step(again, "model").run
    with catalog.database.read() as session:
        assert session.scalars(select(Judgement.at)).all() == judged


def test_what_a_person_has_switched_back_from_or_removed_stays_so(catalog: Catalog, equal_bundle: Bundle) -> None:
    create(catalog, "TEA", 1, 2)
    first = catalog.generations.live().embedder.bundle.id
    plan = Plan(equal_bundle.path)
    assert of(catalog, plan).live == equal_bundle.id
    catalog.generations.release_old()
    maintenance.rollback(catalog, actor="anna")
    night = of(catalog, plan)
    assert (night.live, step(night, "model").state) == (first, "amiss")
    assert "anna has switched back" in step(night, "model").message
    catalog.generations.release_old()
    maintenance.reembed(catalog, equal_bundle, actor="anna")
    assert step(of(catalog, plan), "model").state == "skipped", "until somebody switches to it again"

    catalog.generations.release_old()
    maintenance.rollback(catalog, actor="anna")
    catalog.generations.release_old()
    maintenance.remove_model(catalog, equal_bundle.id, actor="ben")
    with catalog.database.write() as session:  # as if the way back had been long ago
        session.execute(delete(AuditEntry).where(AuditEntry.action == "model.rollback"))
    assert "ben has removed" in step(of(catalog, plan), "model").message
    maintenance.add_model(catalog, equal_bundle.path, actor="ben")
    assert of(catalog, plan).live == equal_bundle.id


def test_what_nobody_expected_loses_no_backup_and_no_report(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(night, "_examine", fail)
    found = run_night(catalog.settings, Plan(None, tmp_path / "backups"))
    assert (states(found)["coverage"], states(found)["backup"]) == ("failed", "done")
    assert "unexpected" in step(found, "coverage").message


def test_what_killed_backups_left_goes_and_what_is_being_written_stays(catalog: Catalog, tmp_path: Path) -> None:
    left, written = (tmp_path / f".catalog-2026-01-0{day}-030000.tar.partial" for day in (1, 2))
    left.write_bytes(b"half")
    with written.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        of(catalog, Plan(None, tmp_path))
    assert not left.exists() and written.exists()


def test_coverage_by_another_model_is_not_this_night_s(catalog: Catalog, equal_bundle: Bundle) -> None:
    create(catalog, "TEA", 1, 2)
    before = step(of(catalog), "coverage")
    catalog.generations.release(catalog.generations.live().collection)
    maintenance.reembed(catalog, equal_bundle, switch_anyway=True)
    assert step(of(catalog), "coverage").run != before.run


def test_a_step_that_fails_keeps_no_other_from_being_done(catalog: Catalog, tmp_path: Path) -> None:
    create(catalog, "TEA", 1)
    (tmp_path / "no-bundle").mkdir()
    (tmp_path / "file").write_text("")
    found = of(catalog, Plan(tmp_path / "no-bundle", tmp_path / "file"))
    assert states(found) == {
        "model": "failed",
        "check": "done",
        "coverage": "done",
        "backup": "failed",
        "old models": "done",
    }
    assert not found.is_well and found.message == "A person is to look at: model, backup."


def test_what_can_be_mended_is(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    live = catalog.generations.live()
    [point] = catalog.gallery.ids(live.collection)
    catalog.gallery.delete(live.collection, [point])
    found = of(catalog)
    assert step(found, "check").state == "done" and "mended" in step(found, "check").message
    assert catalog.gallery.ids(live.collection) == {point}


def test_a_photo_that_is_gone_is_for_a_person_and_no_older_backup_goes(catalog: Catalog, tmp_path: Path) -> None:
    create(catalog, "TEA", 1)
    backups = tmp_path / "backups"
    backups.mkdir()
    old = backups / "catalog-2026-01-01-030000.tar"
    old.write_bytes(b"")
    [photo] = [
        path for path in (catalog.settings.data / "photos").rglob("*") if re.fullmatch("[0-9a-f]{64}", path.name)
    ]
    photo.unlink()
    found = of(catalog, Plan(None, backups, keep=1))
    assert states(found)["check"] == states(found)["backup"] == "amiss"
    assert old.exists()


def test_the_newest_backups_stay(catalog: Catalog, tmp_path: Path) -> None:
    names = [f"catalog-2026-01-0{day}-030000.tar" for day in range(1, 6)]
    backups = tmp_path / "backups"
    backups.mkdir()
    for name in (*names, "another.tar"):
        (backups / name).write_bytes(b"")
    found = of(catalog, Plan(None, backups, keep=3))
    assert "3 older removed" in step(found, "backup").message
    left = sorted(path.name for path in backups.iterdir())
    assert left[:3] == ["another.tar", *names[3:]] and len(left) == 4


def test_models_of_long_ago_go_but_for_the_one_before(
    catalog: Catalog, equal_bundle: Bundle, other_bundle: Bundle
) -> None:
    create(catalog, "TEA", 1, 2)
    first = catalog.generations.live().embedder.bundle.id
    for bundle in (equal_bundle, other_bundle):
        maintenance.reembed(catalog, bundle, switch_anyway=True)
    assert states(of(catalog))["old models"] == "done"
    assert {model.bundle_id for model in maintenance.list_models(catalog).models} >= {first, equal_bundle.id}
    with catalog.database.write() as session:
        long_ago = now() - night.MODELS_KEPT - timedelta(days=3)
        session.execute(update(Generation).where(Generation.bundle_id == first).values(created_at=long_ago))
        for days, bundle in enumerate((equal_bundle, other_bundle), 1):
            at = long_ago + timedelta(days=days)
            session.execute(update(Generation).where(Generation.bundle_id == bundle.id).values(switched_at=at))
    found = of(catalog)
    assert step(found, "old models").message == f"Removed: {first}."
    assert {model.bundle_id for model in maintenance.list_models(catalog).models} == {equal_bundle.id, other_bundle.id}
    assert maintenance.rollback(catalog).bundle == equal_bundle.id


def test_one_at_a_time(catalog: Catalog, env: dict[str, str]) -> None:
    with closing(Database(env["CATALOG_DATABASE"])) as other, alone_at(other, runs.NIGHT):
        with pytest.raises(ConflictError):
            of(catalog)
        ended = CliRunner().invoke(cli.main, ["nightly", "--quiet"], env=env)
        assert ended.exit_code == 0 and "another process" in ended.output
    assert of(catalog).is_well


def test_a_person_stops_it(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(night, "TAKEN_WITHIN", 60.0)  # nobody does its runs
    create(catalog, "TEA", 1)

    def stop(done: int, total: int) -> None:
        for each in recording.list_open(catalog.database):
            if each.kind == runs.NIGHT:
                recording.stop(catalog.database, each.id, actor="anna")

    with pytest.raises(runs.JobFailedError, match="stopped"):
        of(catalog, progress=stop)
    assert recording.list_open(catalog.database) == [], "what it had asked for is ended, too"


def test_a_night_that_is_too_long_ends(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(night, "TAKEN_WITHIN", 60.0)
    monkeypatch.setattr(night, "LONGEST", timedelta(seconds=0.5))
    found = of(catalog)
    assert states(found)["check"] == "failed" and "hours" in step(found, "check").message
    assert recording.list_open(catalog.database) == []


def test_the_command_writes_a_report(catalog: Catalog, env: dict[str, str], tmp_path: Path) -> None:
    create(catalog, "TEA", 1)
    arguments = ["nightly", "--quiet", "--report", str(tmp_path / "night.json"), "--bundle", str(tmp_path)]
    catalog.generations.release(catalog.generations.live().collection)
    ended = CliRunner().invoke(cli.main, arguments, env=env)
    assert ended.exit_code == 1 and ended.output.startswith("failed   model") and "coverage" not in ended.output
    told = json.loads((tmp_path / "night.json").read_text())
    assert (told["well"], [each["state"] for each in told["steps"]][:3]) == (False, ["failed", "done", "done"])


@pytest.mark.slow
def test_beside_a_server_that_has_the_embedded_gallery(tmp_path: Path, equal_bundle: Bundle) -> None:
    env = environment(CATALOG_DATA=str(tmp_path / "data"), CATALOG_NIGHTLY="off")
    with closing(Catalog.open(Settings.from_env(env))) as catalog:
        create(catalog, "TEA", 1, 2)
        create(catalog, "COFFEE", 3, 4)
    with served(tmp_path / "log", env):
        ended = run(["nightly", "--quiet", "--bundle", str(equal_bundle.path), "--report", str(tmp_path / "n")], env)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads((tmp_path / "n").read_text())
    assert {each["name"]: each["state"] for each in told["steps"]}["check"] == "done", "and not: the gallery is locked"
    assert told["live"] == equal_bundle.id


@pytest.mark.slow
def test_one_that_is_killed_holds_up_no_other(tmp_path: Path) -> None:
    env = environment(CATALOG_DATA=str(tmp_path / "data"))
    settings = Settings.from_env(env)
    with closing(Catalog.open(settings)) as catalog:
        create(catalog, "TEA", 1, 2)
        catalog.generations.release(catalog.generations.live().collection)
        killed = subprocess.Popen([sys.executable, "-m", "catalog", "nightly", "--quiet"], env=env)
        while not (open_runs := [each for each in recording.list_open(catalog.database) if each.kind == runs.NIGHT]):
            assert killed.poll() is None
            time.sleep(0.02)
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert state(catalog, open_runs[0].id) == "running"
        assert run_night(settings, Plan()).is_well
        assert state(catalog, open_runs[0].id) in ("stopped", "failed")
        with catalog.database.read() as session:
            assert session.scalars(select(Run).where(Run.ended_at.is_(None))).all() == []
