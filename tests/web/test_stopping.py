"""SIGTERM and SIGINT, sent to the real server in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from catalog.config import Settings
from catalog.storage import Database
from catalog.storage.tables import RecognitionEntry
from tests.support import pictures
from tests.support.connections import ask, connect, head
from tests.support.served import environment, run, served
from web.__main__ import _stop_together

pytestmark = pytest.mark.slow

#: Seconds within which a stopped container is not yet killed.
SOON = 10
SERVE = [sys.executable, "-m", "catalog", "serve", "--port", "0"]


def key_of(env: dict[str, str]) -> str:
    return run(["key", "create", "till"], env).stdout.split()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_flight_is_answered_and_logged(tmp_path: Path, number: signal.Signals) -> None:
    env = environment(CATALOG_DATA=str(tmp_path / "data"), CATALOG_SECOND_LOOK="always")
    key, photo = key_of(env), pictures.jpeg(1)
    asked = head("POST /api/v1/recognize", Authorization=f"Bearer {key}", Content_Length=len(photo)) + photo
    answered: list[str] = []
    failed: list[str] = []
    with served(tmp_path / "log", env, ["serve", "--port", "0", "--waiting", "20"]) as server:
        port = int(server.url.rpartition(":")[2])
        stop = threading.Event()

        def till() -> None:
            while not stop.is_set():
                try:
                    reply = ask(port, asked)
                except ConnectionRefusedError:
                    return  # no new request is taken
                except (AssertionError, OSError) as error:
                    failed.append(repr(error))
                    return
                (answered if reply.status == 200 else failed).append(json.loads(reply.body).get("id", str(reply)))

        tills = [threading.Thread(target=till) for _ in range(6)]
        for thread in tills:
            thread.start()
        while len(answered) < 12:
            assert not failed, failed
            time.sleep(0.05)
        server.process.send_signal(number)
        began = time.monotonic()
        assert server.process.wait(30) == 0
        took = time.monotonic() - began
        stop.set()
        for thread in tills:
            thread.join()
    assert not failed and took < SOON
    assert "Traceback" not in (tmp_path / "log").read_text()
    database = Database(Settings.from_env(env).database)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(RecognitionEntry)) == len(answered)
    database.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_as_the_first_process_of_a_container(tmp_path: Path, number: signal.Signals) -> None:
    """The kernel gives such a process only the signals that it handles."""
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "--pid", "--fork", "true"], capture_output=True).returncode:
        pytest.skip("no `unshare --pid`: not root, or no util-linux")
    env = environment(CATALOG_DATA=str(tmp_path / "data"))
    with (tmp_path / "log").open("wb") as log:
        outer = subprocess.Popen([unshare, "--pid", "--fork", "--kill-child", *SERVE], env=env, stdout=log, stderr=log)
    try:
        while "Serving on" not in (tmp_path / "log").read_text():
            assert outer.poll() is None
            time.sleep(0.05)
        inner = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text())
        os.kill(inner, number)
        assert outer.wait(SOON) == 0
    finally:
        outer.kill()
        outer.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("after", [0.3, 0.6, 1.0, 1.5, 2.5])
def test_while_loading_it_ends_without_a_word(tmp_path: Path, number: signal.Signals, after: float) -> None:
    env = environment(CATALOG_DATA=str(tmp_path / "data"))
    starting = subprocess.Popen(SERVE, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(after)
    starting.send_signal(number)
    _, said = starting.communicate(timeout=SOON)
    assert "Traceback" not in said and "Exception" not in said
    # Beside 0: the command line, before it is the server.
    assert starting.returncode in (0, 1, 130, -signal.SIGTERM, -signal.SIGINT)


def test_a_silent_gallery_does_not_hold_it(tmp_path: Path) -> None:
    env = environment(CATALOG_DATA=str(tmp_path / "data"), CATALOG_GALLERY_TRIES="1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)  # takes connections, and says nothing
        env["CATALOG_GALLERY"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with served(tmp_path / "log", env) as server:
            port = int(server.url.rpartition(":")[2])
            with connect(port) as waiting:
                waiting.sendall(head("GET /health/ready"))
                time.sleep(1)
                server.process.send_signal(signal.SIGTERM)
                assert server.process.wait(SOON) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_second_signal_does_not_wait_for_what_is_in_flight(tmp_path: Path) -> None:
    env = environment(CATALOG_DATA=str(tmp_path / "data"))
    with served(tmp_path / "log", env) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises((AssertionError, OSError)):
            holding = threading.Timer(
                1.0, lambda: [server.process.terminate(), time.sleep(0.5), server.process.terminate()]
            )
            holding.start()
            ask(port, head("POST /login", Content_Length=10) + b"half")
        began = time.monotonic()
        assert server.process.wait(SOON) == 0
        assert time.monotonic() - began < 4
        holding.join()


def test_what_one_thread_is_at_is_given_back_while_another_takes_long_to_stop() -> None:
    given_back, waited = threading.Event(), []
    _stop_together([lambda: waited.append(given_back.wait(10)), given_back.set])
    assert waited == [True]
