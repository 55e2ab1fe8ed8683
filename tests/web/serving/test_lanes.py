"""Overload: what is refused, and what is answered all the same."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support.connections import ask, connect, head, read_reply
from web.serving import Load, Verdict

ASK = head("POST /api/v1/recognize", Content_Length=4) + b"data"


class Slow:
    """A WSGI application whose photos wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = 0
        self._counting = threading.Lock()

    def __call__(self, environ, start_response):
        if environ["REQUEST_METHOD"] == "POST":
            with self._counting:
                self.begun += 1
            assert self.go.wait(20)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"ok"]

    def wait_for(self, begun: int) -> None:
        deadline = time.monotonic() + 10
        while self.begun < begun:
            assert time.monotonic() < deadline, self.begun
            time.sleep(0.01)


def judge(found) -> Verdict:
    return Verdict({"/health": "express", "/page": "pages"}.get(found.path, "tills"), 1000)


@pytest.fixture
def slow():
    application = Slow()
    yield application
    application.go.set()


@pytest.fixture
def send(connected):
    def sent(port: int):
        connection = connected(port)
        connection.sendall(ASK)
        return connection

    return sent


def test_beyond_the_queue_a_request_is_refused_at_once_and_the_others_are_answered(serve, send, slow: Slow) -> None:
    with serve(slow, judge, threads=1, waiting=1) as server:
        first = send(server.port)
        slow.wait_for(1)
        second = send(server.port)
        time.sleep(0.2)  # until it waits
        with connect(server.port, timeout=5) as refused:
            for _ in range(2):  # the connection stays open: a till asks again on it
                refused.sendall(ASK)
                reply = read_reply(refused)
                reply.problem(503, "overloaded")
                assert int(reply.headers["retry-after"]) >= 1
            assert ask(server.port, head("GET /health"), timeout=5).status == 200
            assert ask(server.port, head("GET /page"), timeout=5).status == 200, "pages don't wait for tills"
            slow.go.set()
            assert [read_reply(first).status, read_reply(second).status] == [200, 200]
            refused.sendall(ASK)
            assert read_reply(refused).status == 200
    assert slow.begun == 3


def test_as_many_tills_as_there_is_room_for_are_never_refused(serve, connected, slow: Slow) -> None:
    """Each asks again the moment it has its answer, when the thread that sent it has not yet come back."""
    slow.go.set()
    statuses: list[int] = []

    def till(connection) -> None:
        for _ in range(200):
            connection.sendall(ASK)
            statuses.append(read_reply(connection).status)

    with serve(slow, judge, threads=2, waiting=2) as server:
        tills = [threading.Thread(target=till, args=(connected(server.port),)) for _ in range(4)]
        for thread in tills:
            thread.start()
        for thread in tills:
            thread.join(60)
    assert statuses == [200] * 800


def test_what_waits_for_a_client_that_has_gone_is_not_begun_and_leaves_room(serve, send, slow: Slow) -> None:
    with serve(slow, judge, threads=1, waiting=2) as server:
        first = send(server.port)
        slow.wait_for(1)
        for _ in range(2):
            send(server.port).close()
        time.sleep(0.3)
        third = send(server.port)
        time.sleep(0.3)
        slow.go.set()
        assert read_reply(first).status == 200
        assert read_reply(third).status == 200, "those that had gone took no room"
    assert slow.begun == 2


def test_a_person_is_shown_a_page(serve, send, slow: Slow) -> None:
    with serve(slow, judge, threads=1, waiting=1) as server:
        held = [send(server.port)]
        slow.wait_for(1)
        held.append(send(server.port))
        time.sleep(0.2)
        reply = ask(server.port, head("POST /try/", Accept="text/html,*/*", Content_Length=1) + b"x", timeout=5)
        assert reply.status == 503 and reply.headers["content-type"].startswith("text/html")
        assert b"<h1>Too busy</h1>" in reply.body and "retry-after" in reply.headers
        slow.go.set()
        assert [read_reply(connection).status for connection in held] == [200, 200]


def test_a_stopping_server_answers_what_it_has(serve, send, connected, slow: Slow) -> None:
    with serve(slow, judge, threads=1, waiting=1) as server:
        first = send(server.port)
        slow.wait_for(1)
        second, idle = send(server.port), connected(server.port)
        threading.Timer(0.5, slow.go.set).start()
    for connection in (first, second):
        reply = read_reply(connection)
        assert reply.status == 200 and reply.headers["connection"] == "close"
        assert connection.recv(1) == b""
    assert idle.recv(1) == b""
    with pytest.raises(OSError):
        connect(server.port)


def test_what_is_in_hand_and_what_is_refused_is_told(serve, send, slow: Slow) -> None:
    told: list[tuple[str, int, str]] = []

    def count(*refusal) -> None:
        told.append(refusal)

    with serve(slow, judge, threads=1, waiting=1, on_refusal=count) as server:
        assert set(server.load().values()) == {Load(0, 0)}
        first = send(server.port)
        slow.wait_for(1)
        second = send(server.port)
        time.sleep(0.2)  # until it waits
        assert server.load()["tills"] == Load(1, 1) and server.load()["pages"] == Load(0, 0)
        with connect(server.port, timeout=5) as refused:
            refused.sendall(ASK)
            assert read_reply(refused).status == 503
            refused.sendall(b"nonsense\r\n\r\n")
            assert read_reply(refused).status == 400
        assert [(status, code) for _, status, code in told] == [(503, "overloaded"), (400, "bad_request")]
        assert told[0][0] == "POST"
        slow.go.set()
        assert [read_reply(connection).status for connection in (first, second)] == [200, 200]
        deadline = time.monotonic() + 5
        while server.load()["tills"] != Load(0, 0):
            assert time.monotonic() < deadline
