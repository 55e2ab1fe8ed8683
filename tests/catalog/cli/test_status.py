"""`catalog status`: what it shows, what it says needs a person, and its exit status."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from catalog import accounts
from catalog.accounts.keys import WARNED
from catalog.catalog import Catalog
from catalog.cli import status
from catalog.judging.figures import Figures, Report
from catalog.storage import Database
from catalog.storage.tables import LOST, ApiKey, Enrollment, Generation, InboxPhoto, Judgement, Photo, Run, Webhook, now
from tests.support.commands import Run as RunCommand

HOUR = timedelta(hours=1)


@pytest.fixture
def database(run: RunCommand, database_url: str) -> Iterator[Database]:
    """The database of a catalog of one product, in which all is well."""
    run("add", "TEA", "1.jpg", "2.jpg", "--name", "Green tea")
    database = Database(database_url)
    yield database
    database.close()


def told(run: RunCommand, exit_status: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("status", "--json", status=exit_status).stdout)
    assert found["ok"] == (exit_status == 0) == (found["problems"] == [])
    return found


def kinds(run: RunCommand) -> list[str]:
    return [problem["kind"] for problem in told(run, 1)["problems"]]


def test_a_catalog_that_is_not_there_is_no_good_state_and_is_not_made(run: RunCommand, env: dict[str, str]) -> None:
    assert kinds(run) == ["no_catalog"]
    assert "catalog init" in run("status", status=1).stdout
    if env["CATALOG_DATABASE"].startswith("sqlite"):
        assert not (Path(env["CATALOG_DATA"]) / "catalog.db").exists()
    run("init")
    found = told(run, 0)
    assert (found["products"], found["photos"], found["runs"]) == (0, 0, [])
    assert run("status").stdout.endswith("all is well\n")


def test_all_is_shown(run: RunCommand, database: Database) -> None:
    with database.write() as session:
        session.add(Run(kind="doctor", state="done", actor="anna", message="All is well.", ended_at=now()))
    found = told(run, 0)
    assert (found["products"], found["photos"], found["pending"]) == (1, 2, 0)
    assert found["gallery"] == {"points": 2, "error": "", "is_locked": False}
    assert found["runs"][0]["kind"] == "doctor" and 0 < found["disk"]["free"] <= found["disk"]["total"]
    text = run("status").stdout
    assert found["model"]["name"] in text and found["model"]["bundle"] in text
    for line in ("1 product, 2 photos", "all is searchable", "2 points", "0 photos", "All is well."):
        assert line in text, text
    assert text.endswith("\nall is well\n")


def test_daily_work_of_the_staff_is_shown_and_is_no_alarm(run: RunCommand, database: Database) -> None:
    known = {"decision": "unknown", "bundle_id": "x", "vector": b"", "size": 1, "data": b"1"}
    with database.write() as session:
        session.add(InboxPhoto(id=uuid.uuid4(), group_id=uuid.uuid4(), ours=True, **known))
    assert told(run, 0)["inbox"] == {"photos": 1, "groups": 1}
    assert "1 photo in 1 group" in run("status").stdout


def test_a_photo_that_is_pending_is_an_alarm_when_it_is_for_long(run: RunCommand, database: Database) -> None:
    with database.write() as session:
        session.execute(update(Enrollment).values(done=False))
    assert told(run, 0)["pending"] == 2
    with database.write() as session:
        session.execute(update(Photo).values(created_at=now() - HOUR))
    assert kinds(run) == ["pending_long"]
    text = run("status", status=1).stdout
    assert "! 2 photos can't be found" in text and text.endswith("1 thing needs a person\n")
    with database.write() as session:
        session.execute(update(Enrollment).values(attempts=3))
    assert kinds(run) == ["photos_failed"]
    with database.write() as session:
        session.execute(update(Enrollment).values(attempts=LOST))
    assert kinds(run) == ["gallery_refilling"]


def test_runs_that_failed_or_found_something(run: RunCommand, database: Database) -> None:
    with database.write() as session:
        session.add(Run(kind="map", state="failed", actor="anna", message="No room.", ended_at=now()))
        counts = {"counts": {"defect": 2, "waste": 1}}
        message = "2 things are amiss."
        session.add(Run(kind="doctor", state="done", actor="a", message=message, ended_at=now(), result=counts))
    assert kinds(run) == ["doctor_defects", "run_failed"]
    text = run("status", status=1).stdout
    assert "No room." in text and message in text and "2 things need a person" in text


def test_a_night_with_something_for_a_person_and_a_model_that_is_held(run: RunCommand, database: Database) -> None:
    message = "A person is to look at: model."
    with database.write() as session:
        live = session.scalars(select(Generation)).one()
        told = {"state": "done", "actor": "every night", "message": message, "result": {"well": False}}
        session.add(Run(kind="nightly", ended_at=now(), **told))
        held = Generation(
            bundle_id="0" * 12, bundle_name="worse 1", collection="sku-gallery-worse", dim=256, live=False
        )
        session.add(held)
        session.flush()
        empty = Report(1, {}, Figures(), Figures(), 0, 0).as_dict()
        broken = ["It is worse."]
        session.add(
            Judgement(
                generation_id=held.id, live_id=live.id, seed=1, state="held", report=empty, broken=broken, at=now()
            )
        )
    assert kinds(run) == ["night_amiss", "model_held"]
    text = run("status", status=1).stdout
    assert message in text and "worse 1 (000000000000) is held: It is worse. See Models." in text


def test_nights_that_were_left_out(run: RunCommand, database: Database, env: dict[str, str]) -> None:
    with database.write() as session:
        session.execute(update(Generation).values(created_at=now() - 72 * HOUR))
    assert kinds(run) == ["night_overdue", "night_overdue"]
    with database.write() as session:
        session.add(Run(kind="doctor", state="done", actor="every night", ended_at=now() - 12 * HOUR))
        session.add(Run(kind="coverage", state="done", actor="every night", ended_at=now() - 40 * HOUR))
    assert kinds(run) == ["night_overdue"]
    env["CATALOG_NIGHTLY"] = "off"
    assert told(run, 0)["problems"] == []
    with database.write() as session:
        told_of = {"state": "done", "actor": "every night", "result": {"well": True}}
        session.add(Run(kind="nightly", ended_at=now() - 40 * HOUR, **told_of))
    assert kinds(run) == ["night_overdue"], "it was in use"


def test_webhooks_that_are_not_taken(run: RunCommand, database: Database) -> None:
    with database.write() as session:
        facts = {"url": "https://example.org", "kinds": ["products"], "secret": "x"}
        session.add(Webhook(name="ERP", failing_since=now() - HOUR / 2, **facts))
    assert told(run, 0)["webhooks"] == {"total": 1, "failing": 1, "paused": 0, "dead": 0}
    with database.write() as session:
        session.execute(update(Webhook).values(failing_since=now() - 2 * HOUR))
    assert kinds(run) == ["webhooks_failing"]
    with database.write() as session:
        session.execute(update(Webhook).values(paused="staff"))
    assert told(run, 0)["webhooks"]["paused"] == 1
    with database.write() as session:
        session.execute(update(Webhook).values(paused="dead"))
    assert kinds(run) == ["webhooks_dead"]


def test_keys_that_end(run: RunCommand, database: Database) -> None:
    accounts.add_key(database, "till 1", actor="anna")
    for at, word in ((now() + WARNED / 2, "ends"), (now() - HOUR, "ended")):
        with database.write() as session:
            session.execute(update(ApiKey).values(expires_at=at))
        [problem] = told(run, 1)["problems"]
        assert problem["kind"] == "key_ends" and "'till 1'" in problem["message"] and word in problem["message"]


def test_a_disk_that_is_nearly_full(run: RunCommand, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "LITTLE_ROOM", 2.0)
    assert kinds(run) == ["disk_full"]


def test_a_gallery_that_does_not_answer(run: RunCommand, database: Database, env: dict[str, str]) -> None:
    env["CATALOG_GALLERY"] = "http://127.0.0.1:1"
    found = told(run, 1)
    assert [problem["kind"] for problem in found["problems"]] == ["gallery_down"]
    assert found["gallery"]["points"] is None and found["gallery"]["error"] in found["problems"][0]["message"]


def test_a_gallery_that_a_server_has_open_is_in_good_hands(
    run: RunCommand, database: Database, open_catalog: Callable[[], Catalog]
) -> None:
    open_catalog().generations.ready()
    assert told(run, 0)["gallery"]["is_locked"] is True
    assert "open in another process, which answers by it" in run("status").stdout
