"""A server that speaks of S3 what is used of it, over a real socket, with its objects in memory.

It is no S3: it shows that settings and credentials reach the client, and what the client asks. `users` are the access
keys that signed the requests; a signature is not verified.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

MODIFIED = "2026-01-01T12:00:00.000Z"


class Handler(BaseHTTPRequestHandler):
    """One request, with the bucket in the path."""

    server: Buckets
    protocol_version = "HTTP/1.1"

    def answer_request(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        signed = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
        self.server.users.add(signed[1] if signed else None)
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).strip("/").partition("/")
        objects = self.server.buckets.get(bucket)
        match self.command, key:
            case "PUT", "":
                self.server.buckets.setdefault(bucket, {})
                self.say(200)
            case _ if objects is None:
                self.say(404, self.error("NoSuchBucket"))
            case ("HEAD", ""):
                self.say(200)
            case "GET", "":
                self.say(200, self.listing(bucket, parse_qs(parts.query).get("prefix", [""])[0]))
            case "PUT", _:
                objects[key] = data
                self.say(200)
            case (("GET" | "HEAD"), _) if key in objects:
                self.say(200, objects[key], **{"Last-Modified": "Thu, 01 Jan 2026 12:00:00 GMT", "ETag": '"0"'})
            case _:
                self.say(404, self.error("NoSuchKey"))

    do_GET = do_HEAD = do_PUT = answer_request

    def listing(self, bucket: str, prefix: str) -> bytes:
        found = {key: data for key, data in self.server.buckets[bucket].items() if key.startswith(prefix)}
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{MODIFIED}</LastModified><Size>{len(data)}</Size></Contents>"
            for key, data in found.items()
        )
        return f"<ListBucketResult><KeyCount>{len(found)}</KeyCount>{contents}</ListBucketResult>".encode()

    def error(self, code: str) -> bytes:
        return f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()

    def say(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


class Buckets(ThreadingHTTPServer):
    """Listens on 127.0.0.1, at `url`, which names no address: clients put a bucket before a host's name if they may."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.buckets: dict[str, dict[str, bytes]] = {}
        self.users: set[str | None] = set()
        self.url = f"http://localhost:{self.server_port}"


@contextmanager
def s3_server() -> Iterator[Buckets]:
    with Buckets() as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        try:
            yield server
        finally:
            server.shutdown()
