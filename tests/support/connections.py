"""HTTP on a bare socket: what no client library would send, and when."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """The body as a problem of RFC 9457, checked."""
        assert self.status == status, self
        assert self.headers["content-type"] == "application/problem+json", self
        found: dict[str, Any] = json.loads(self.body)
        assert (found["status"], found["code"]) == (status, code) and found["title"] and found["detail"]
        return found


def connect(port: int, timeout: float = 20) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout)


def head(line: str, **fields: object) -> bytes:
    """A request's header: `head("GET /health", Accept="text/html")`."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in {"Host": "localhost", **fields}.items()]
    return "\r\n".join([f"{line} HTTP/1.1", *lines, "", ""]).encode()


def read_reply(connection: socket.socket) -> Reply:
    """The next reply on a connection. Raises AssertionError when it is closed instead."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        assert more, f"closed after {data!r}"
        data += more
    top, _, body = data.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        more = connection.recv(65536)
        assert more, f"closed after {body!r}"
        body += more
    return Reply(int(first.split()[1]), headers, body)


def ask(port: int, request: bytes, timeout: float = 20) -> Reply:
    """One request on a connection of its own."""
    with connect(port, timeout) as connection:
        connection.sendall(request)
        return read_reply(connection)
