"""Connections: how many, how slow, and bodies that are refused before they are read."""

from __future__ import annotations

import http.client
import json

import pytest

from tests.support import pictures
from tests.support.connections import ask, connect, head, read_reply
from web.serving import Verdict, channel, parser

GB = 2**30


def hello(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def judge(found) -> Verdict:
    return Verdict("pages", 100_000)


def test_idle_connections_make_room_the_longest_idle_first(serve, connected) -> None:
    with serve(hello, judge, connections=20) as server:
        till = connected(server.port)
        till.sendall(head("GET /"))
        assert read_reply(till).status == 200
        idle = [connected(server.port) for _ in range(100)]
        for _ in range(3):
            assert ask(server.port, head("GET /"), timeout=5).status == 200
        till.sendall(head("GET /"))
        assert read_reply(till).status == 200, "who never asked has to go before who did"
        assert idle[0].recv(1) == b"", "closed"


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHos",
        head("POST /", Content_Length=500) + b"half",
        head("POST /", Transfer_Encoding="chunked"),
    ],
    ids=["in the header", "in the body", "in a chunk"],
)
def test_a_slow_sender_is_told_and_cut_off(serve, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(parser, "HEADER_SECONDS", 0.5)
    monkeypatch.setattr(parser, "BODY_SECONDS", 0.5)
    with serve(hello, judge) as server, connect(server.port, timeout=8) as slow:
        slow.sendall(sent)
        read_reply(slow).problem(408, "request_timeout")
        assert slow.recv(1) == b""


def test_a_body_that_keeps_coming_is_not_cut_off(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "HEADER_SECONDS", 0.1)
    monkeypatch.setattr(parser, "BODY_SECONDS", 0.1)
    monkeypatch.setattr(parser, "SLOWEST", 1000)
    with serve(hello, judge) as server, connect(server.port) as sender:
        sender.sendall(head("POST /", Content_Length=40_000))
        for _ in range(4):
            sender.sendall(b"x" * 10_000)
            channel.time.sleep(0.6)  # 17,000 bytes a second
        assert read_reply(sender).status == 200


def test_an_idle_connection_is_closed(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "IDLE", 0.3)
    with serve(hello, judge) as server, connect(server.port, timeout=8) as idle:
        assert idle.recv(1) == b""


REFUSED = {
    "no route takes so much": (head("POST /health", Content_Length=GB), 413, "request_entity_too_large"),
    "nor where there is none": (head("PUT /nowhere", Content_Length=GB), 413, "request_entity_too_large"),
    "a form": (head("POST /login", Content_Length=300_000), 413, "request_entity_too_large"),
    "a photo": (
        head("POST /api/v1/recognize", Authorization="Bearer x", Content_Length=27 * 2**20),
        413,
        "request_entity_too_large",
    ),
    "a product": (
        head("POST /api/v1/products", Authorization="Bearer x", Content_Length=GB),
        413,
        "request_entity_too_large",
    ),
    "a product in JSON": (
        head(
            "PUT /api/v1/products/X",
            Authorization="Bearer x",
            Content_Type="application/json; charset=utf-8",
            Content_Length=33 * 2**20,
        ),
        413,
        "request_entity_too_large",
    ),
    "photos in JSON of another name": (
        head(
            "POST /api/v1/products/X/photos",
            Authorization="Bearer x",
            Content_Type="application/x+json",
            Content_Length=33 * 2**20,
        ),
        413,
        "request_entity_too_large",
    ),
    "no key": (head("POST /api/v1/recognize", Content_Length=10_000), 401, "key_missing"),
    "no key, no length": (head("POST /api/v1/products", Transfer_Encoding="chunked"), 401, "key_missing"),
    "another scheme": (
        head("POST /api/v1/recognize", Authorization="Basic eDp5", Content_Length=10_000),
        401,
        "key_missing",
    ),
    "not signed in": (head("POST /add/", Content_Length=2**20), 401, "not_signed_in"),
    "a forged session": (
        head("POST /try/", Cookie="session=eyJfdXNlcl9pZCI6IjEifQ", Content_Length=2**20),
        401,
        "not_signed_in",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_body_is_refused_before_it_is_sent(port: int, case: str) -> None:
    """It can't have been stored: not a byte of it was sent, also where the client waits to be told to go on."""
    request, status, code = REFUSED[case]
    ask(port, request).problem(status, code)
    ask(port, request.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")).problem(status, code)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_sends_all_of_it_sees_the_answer(port: int, chunked: bool) -> None:
    """Were the connection closed at once, the client would see a reset."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    block = b"x" * 2**20
    length = {} if chunked else {"Content-Length": str(64 * len(block))}
    client.request("POST", "/health", (block for _ in range(64)), length, encode_chunked=chunked)
    reply = client.getresponse()
    assert reply.status == 413 and reply.getheader("Content-Type") == "application/problem+json"
    assert json.loads(reply.read())["code"] == "request_entity_too_large"


def test_chunks_count(port: int) -> None:
    with connect(port) as sender:
        sender.sendall(head("POST /login", Transfer_Encoding="chunked"))
        for _ in range(4):
            sender.sendall(b"13880\r\n" + b"x" * 80_000 + b"\r\n")
        read_reply(sender).problem(413, "request_entity_too_large")


def test_what_is_within_its_limits_is_answered(port: int, key: str) -> None:
    photo = pictures.jpeg(1) + b"\0" * 600_000  # on the server's disk, too
    fields = {"Authorization": f"Bearer {key}", "Content_Type": "image/jpeg"}
    with connect(port) as till:
        for _ in range(2):
            till.sendall(head("POST /api/v1/recognize", Content_Length=len(photo), **fields) + photo)
            assert read_reply(till).status == 200
        till.sendall(head("POST /api/v1/recognize", Content_Length=0))
        read_reply(till).problem(401, "key_missing")
        till.sendall(head("POST /api/v1/recognize", Content_Length=len(photo), Expect="100-continue", **fields))
        assert till.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        till.sendall(photo)
        assert read_reply(till).status == 200


BROKEN = {
    "no request": (b"hello\r\n\r\n", 400, "bad_request"),
    "no name": (b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400, "bad_request"),
    "a host that is none": (b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "a length that is none": (head("POST /", Content_Length="many"), 400, "bad_request"),
    "two lengths": (head("POST /", Content_Length="5, 6"), 400, "bad_request"),
    "a length of 5,000 digits": (head("POST /", Content_Length="9" * 5000), 400, "bad_request"),
    "a chunk that is none": (head("POST /login", Transfer_Encoding="chunked") + b"nothex\r\n", 400, "bad_request"),
    "a header of 300 KB": (head("GET /", X=" " + "x" * 300_000), 431, "request_header_fields_too_large"),
    "a coding": (head("POST /", Transfer_Encoding="gzip"), 501, "not_implemented"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_server_answers_with_a_problem_by_itself(port: int, case: str) -> None:
    request, status, code = BROKEN[case]
    ask(port, request).problem(status, code)
    assert ask(port, head("GET /health")).status == 200


@pytest.mark.parametrize("line", ["GET /api/v1/recognize", "POST /health", "BREW /health", "GET /api/v1/nothing"])
def test_so_does_the_app(port: int, line: str) -> None:
    status, code = (404, "not_found") if "nothing" in line else (405, "method_not_allowed")
    ask(port, head(line)).problem(status, code)
