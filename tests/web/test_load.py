"""The real server in a process of its own, under load and with many connections."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.connections import Reply, ask, connect, head, read_reply
from tests.support.served import environment, run, served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, bytes]]:
    """The server's port, and a till's request."""
    folder: Path = tmp_path_factory.mktemp("load")
    env = environment(CATALOG_DATA=str(folder / "data"), CATALOG_TRUSTED_PROXIES="127.0.0.1")
    photo = folder / "1.jpg"
    photo.write_bytes(pictures.jpeg(1))
    run(["add", "LOAD-1", str(photo)], env)
    key = run(["key", "create", "till"], env).stdout.split()[-1]
    data = photo.read_bytes()
    asked = head("POST /api/v1/recognize", Authorization=f"Bearer {key}", Content_Length=len(data)) + data
    with served(folder / "log", env, ["serve", "--port", "0", "--threads", "2", "--waiting", "2"]) as server:
        yield int(server.url.rpartition(":")[2]), asked


def test_too_many_at_once_are_told_and_nobody_is_left_without_an_answer(till: tuple[int, bytes]) -> None:
    port, asked = till
    replies: list[Reply] = []
    health: list[int] = []
    over = threading.Event()

    def one() -> None:
        for _ in range(5):
            replies.append(ask(port, asked, timeout=30))

    def watch() -> None:
        while not over.is_set():
            health.append(ask(port, head("GET /health")).status)
            health.append(ask(port, head("GET /health/ready")).status)
            time.sleep(0.1)

    watching = threading.Thread(target=watch)
    watching.start()
    tills = [threading.Thread(target=one) for _ in range(16)]
    for thread in tills:
        thread.start()
    for thread in tills:
        thread.join()
    over.set()
    watching.join()
    assert len(replies) == 80
    answered = [reply for reply in replies if reply.status == 200]
    for reply in replies:
        if reply.status != 200:
            reply.problem(503, "overloaded")
            assert int(reply.headers["retry-after"]) >= 1
    assert len(answered) >= 4 and len(answered) < len(replies), "four fit, sixteen do not"
    assert health and set(health) == {200}
    assert ask(port, asked).status == 200, "nothing is left of it"


def test_500_idle_and_500_tills_are_served(till: tuple[int, bytes]) -> None:
    port, asked = till
    with contextlib.ExitStack() as opened:
        idle = [opened.enter_context(connect(port)) for _ in range(500)]
        tills = [opened.enter_context(connect(port)) for _ in range(500)]
        for number, connection in enumerate(tills):
            connection.sendall(asked if number % 10 == 0 else head("GET /health"))
            assert read_reply(connection).status == 200
        for connection in tills:
            connection.sendall(head("GET /health"))
        assert {read_reply(connection).status for connection in tills} == {200}
        idle[0].sendall(head("GET /health"))
        assert read_reply(idle[0]).status == 200


def test_more_idle_connections_than_the_server_has_room_for(till: tuple[int, bytes]) -> None:
    port, asked = till
    with contextlib.ExitStack() as opened:
        for _ in range(2500):
            opened.enter_context(connect(port))
        for _ in range(5):
            assert ask(port, asked).status == 200


@pytest.mark.parametrize("start", [b"GET /health HTTP/1.1\r\nX: ", head("POST /login", Content_Length=10_000)])
def test_a_slow_sender_is_cut_off(till: tuple[int, bytes], start: bytes) -> None:
    port, asked = till
    began = time.monotonic()
    with connect(port) as slow:
        slow.sendall(start)
        slow.settimeout(0.5)
        while time.monotonic() < began + 60:
            with contextlib.suppress(socket.timeout):
                data = slow.recv(1000)
                break
            slow.sendall(b"x")
        assert data.startswith((b"HTTP/1.0 408", b"HTTP/1.1 408"))
    assert 8 < time.monotonic() - began < 40
    assert ask(port, asked).status == 200


def test_a_trusted_proxy_is_believed(till: tuple[int, bytes]) -> None:
    port, _ = till
    assert "Secure" in ask(port, head("GET /login", X_Forwarded_Proto="https")).headers["set-cookie"]
    assert "Secure" not in ask(port, head("GET /login")).headers["set-cookie"]
