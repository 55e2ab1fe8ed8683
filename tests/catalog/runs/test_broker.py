from __future__ import annotations

import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from catalog import enrollment, products, runs
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import ConfigError
from catalog.products import Facts, Intake
from catalog.runs import RunWorker, recording
from catalog.runs import broker as broker_of_runs
from catalog.runs.performing import alone_at, perform_alone
from catalog.storage import Database
from embedder.bundle import RELEASED, Bundle, load_bundle
from tests.support.pictures import jpeg
from tests.support.redises import free_port, redis_server
from tests.support.served import environment, run

BROKERS = {"redis": ("redis://127.0.0.1:6379/9", 6379), "amqp": ("amqp://guest:guest@127.0.0.1:5672//", 5672)}


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> str:
    pytest.importorskip("celery", reason="Celery (extra `celery`) is not installed")
    url, port = BROKERS[request.param]
    with socket.socket() as probe:
        probe.settimeout(2)
        if probe.connect_ex(("127.0.0.1", port)):
            pytest.skip(f"no {request.param} broker at 127.0.0.1:{port}")
    return url


@pytest.fixture
def catalog_env(broker: str, tmp_path: Path) -> dict[str, str]:
    """A catalog with one product, and nobody who has it open."""
    env = {"CATALOG_DATA": str(tmp_path / "data"), "CATALOG_JOBS": broker}
    catalog = Catalog.open(Settings.from_env(env))
    products.create(catalog, Facts("A"), [enrollment.NewPhoto("a.jpg", jpeg(1))], Intake("test"))
    catalog.close()
    return environment(**env)


@pytest.fixture
def worker(catalog_env: dict[str, str], tmp_path: Path) -> Iterator[Callable[[], str]]:
    """A worker in a process of its own; called, it tells its log."""
    log = tmp_path / "worker.log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "catalog", "worker"], env=catalog_env, stdout=out, stderr=out)
    try:
        yield log.read_text
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_a_worker_reembeds_and_rolls_back(
    catalog_env: dict[str, str], worker: Callable[[], str], other_bundle: Bundle
) -> None:
    first = load_bundle(RELEASED).id
    for _ in range(10):  # until the worker listens
        done = run(["reembed", "--quiet", "--bundle", str(other_bundle.path)], catalog_env)
        if "No worker answers" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr + worker()
    assert done.stdout == f"{first} -> {other_bundle.id}: 1 photos embedded, 1 searchable\n"
    back = run(["reembed", "--quiet", "--rollback"], catalog_env)
    assert back.returncode == 0 and back.stdout.startswith(f"{other_bundle.id} -> {first}:"), back.stderr
    failed = run(["reembed", "--quiet", "--bundle", str(other_bundle.path.parent)], catalog_env)
    assert failed.returncode == 1 and "is no model bundle" in failed.stderr, "the worker's own words"


@pytest.mark.slow
def test_what_is_asked_for_in_the_pages_is_sent_to_a_worker(
    catalog_env: dict[str, str], worker: Callable[[], str], other_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_of_runs, "SEND_AGAIN", 0.5)  # until the worker listens
    with closing(Catalog.open(Settings.from_env(catalog_env))) as catalog:
        options = {"bundle_id": other_bundle.id}
        run = recording.start(catalog.database, "reembed", actor="anna", options=options)
        serving = RunWorker(catalog)
        while recording.get(catalog.database, run).ended_at is None:
            assert not serving.step(), "it is the worker's"
            time.sleep(0.2)
        done = recording.get(catalog.database, run)
        assert (done.state, done.result.get("bundle")) == ("done", other_bundle.id), worker()
        assert catalog.generations.live().embedder.bundle.id == other_bundle.id


@pytest.mark.slow
def test_without_a_worker_a_run_says_so_and_others_go_on(catalog_env: dict[str, str]) -> None:
    with closing(Catalog.open(Settings.from_env(catalog_env))) as catalog:
        waiting = recording.start(catalog.database, "reembed", actor="anna", options={"rollback": True})
        here = recording.start(catalog.database, "doctor", actor="anna")
        assert RunWorker(catalog).step()
        found = recording.get(catalog.database, waiting)
        assert found.state == "waiting" and "No worker answers" in found.message
        assert recording.get(catalog.database, here).state == "done", "the embedded gallery is open here alone"


@pytest.mark.slow
def test_a_worker_that_is_busy_is_there(tmp_path: Path) -> None:
    """It answers nothing before it is through with its run; what it is sent meanwhile waits in the queue."""
    pytest.importorskip("celery", reason="Celery (extra `celery`) is not installed")
    settings = replace(Settings.from_env({"CATALOG_DATA": str(tmp_path)}), jobs="memory://")
    with closing(Catalog.open(settings)) as catalog, closing(Database(settings.database)) as worker:
        waiting = recording.start(catalog.database, "reembed", actor="anna")
        recording.start(catalog.database, "doctor", actor="anna")
        with pytest.raises(ConfigError, match="No worker answers"):
            broker_of_runs.Sender(settings, catalog.database).send(waiting)
        with alone_at(worker, "doctor"):
            assert not broker_of_runs.Sender(settings, catalog.database).send(waiting), "none answered, and it is sent"


def test_one_who_waits_goes_on_when_a_worker_has_answered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_of_runs, "LOOK_EVERY", 0.0)
    settings = Settings.from_env({"CATALOG_DATA": str(tmp_path)})
    with closing(Catalog.open(settings)) as catalog:
        run = recording.start(catalog.database, "reembed", actor="anna")
        said = iter([True, ConfigError("No worker answers."), ConfigError("No worker answers.")])

        class Sent(broker_of_runs.Sender):
            def send(self, run_id: uuid.UUID) -> bool:
                answer = next(said, None)
                if isinstance(answer, Exception):
                    raise answer
                if answer is None:
                    recording.stop(catalog.database, run_id, actor="anna")
                return bool(answer)

        sender = Sent(settings, catalog.database)
        assert broker_of_runs.wait_for(catalog.database, sender, run, lambda run: None).state == "stopped"


@pytest.mark.slow
def test_without_a_worker_it_says_so(catalog_env: dict[str, str]) -> None:
    done = run(["reembed", "--quiet"], catalog_env)
    assert done.returncode == 1 and "No worker answers" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_dead_broker_is_told(tmp_path: Path) -> None:
    pytest.importorskip("celery", reason="Celery (extra `celery`) is not installed")
    for url in ("redis://127.0.0.1:1/0", "amqp://guest:secret-word@127.0.0.1:1//"):
        env = environment(CATALOG_DATA=str(tmp_path), CATALOG_JOBS=url)
        done = run(["reembed", "--quiet"], env)
        assert done.returncode == 1 and "broker" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr and "secret-word" not in done.stderr


def test_local_has_no_worker(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CATALOG_JOBS is local"):
        runs.work(Settings.from_env({"CATALOG_DATA": str(tmp_path)}))


def test_a_run_is_given_back_when_its_worker_is_to_end(tmp_path: Path) -> None:
    """At its next step, as an orderly end that counts for nothing: the next worker goes on."""
    settings = Settings.from_env({"CATALOG_DATA": str(tmp_path)})
    with closing(Catalog.open(settings)) as catalog:
        products.create(catalog, Facts("A"), [enrollment.NewPhoto("a.jpg", jpeg(1))], Intake("test"))
        asked = recording.start(catalog.database, "coverage", actor="anna")
    perform_alone(settings, asked, leaving=lambda: True)
    with closing(Database(settings.database)) as database:
        waiting = recording.get(database, asked)
        assert (waiting.state, waiting.holder, waiting.attempts) == ("waiting", None, 0)
    perform_alone(settings, asked)
    with closing(Database(settings.database)) as database:
        assert recording.get(database, asked).state == "done"


@pytest.mark.slow
def test_sigterm_in_the_middle_of_a_run(tmp_path: Path) -> None:
    """The worker ends at once, and the file of its health check was touched at the run's steps."""
    pytest.importorskip("celery", reason="Celery (extra `celery`) is not installed")
    alive = tmp_path / "alive"
    with redis_server(tmp_path, free_port()) as broker:
        settings = Settings.from_env({"CATALOG_DATA": str(tmp_path / "data"), "CATALOG_JOBS": broker})
        with closing(Catalog.open(settings)) as catalog:
            for seed in range(40):
                products.create(catalog, Facts(f"{seed}"), [enrollment.NewPhoto("a.jpg", jpeg(seed))], Intake("test"))
            asked = recording.start(catalog.database, "coverage", actor="anna")
        env = environment(CATALOG_DATA=str(settings.data), CATALOG_JOBS=broker, CATALOG_SECOND_LOOK="always")
        log = tmp_path / "worker.log"
        command = [sys.executable, "-m", "catalog", "worker", "--alive", str(alive)]
        with log.open("wb") as out, subprocess.Popen(command, env=env, stdout=out, stderr=out) as worker:
            try:
                until = time.monotonic() + 60
                while not alive.exists():
                    assert worker.poll() is None and time.monotonic() < until, log.read_text()
                    time.sleep(0.05)
                broker_of_runs.make_app(settings).send_task(broker_of_runs.TASK, (str(asked),), ignore_result=True)
                with closing(Database(settings.database)) as database:
                    while recording.get(database, asked).state != "running":
                        assert worker.poll() is None and time.monotonic() < until, log.read_text()
                        time.sleep(0.02)
                    alive.unlink()
                    while not alive.exists():
                        assert worker.poll() is None and time.monotonic() < until, log.read_text()
                        time.sleep(0.02)
                    worker.terminate()
                    assert worker.wait(30) == 0, log.read_text()
                    left = recording.get(database, asked)
            finally:
                worker.kill()
        assert (left.state, left.holder, left.attempts) == ("waiting", None, 0), log.read_text()
