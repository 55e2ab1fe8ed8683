"""Reading a request: refused after its header where that is enough, and within its limits of size and time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from waitress.parser import HTTPRequestParser
from waitress.utilities import BadRequest

from web.serving import verdicts
from web.serving.verdicts import Head, Judge, Verdict

#: Seconds that a header may take, and those that a body may take beside its time at the slowest rate (bytes a second).
HEADER_SECONDS, BODY_SECONDS, SLOWEST = 10.0, 15.0, 4096
#: Bytes that a chunked body may have on the wire beyond its limit, for chunk sizes and trailers.
FRAMING = 64 * 1024


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """waitress' parser, which asks `judge` once the header is there, and calls `on_refusal` when it ends a request."""

    command = path = ""
    verdict: Verdict | None = None

    def __init__(self, adj: Any, judge: Judge, on_refusal: Callable[[], None]) -> None:
        super().__init__(adj)
        self._ask_judge, self._on_refusal = judge, on_refusal
        self._began = time.monotonic()

    @property
    def deadline(self) -> float:
        """When the whole request must have come (time.monotonic): moved on by what comes."""
        if not self.headers_finished:
            return self._began + HEADER_SECONDS
        return self._began + HEADER_SECONDS + BODY_SECONDS + float(self.body_bytes_received) / SLOWEST

    def received(self, data: bytes) -> int:
        """Take bytes; returns how many were used. After an error: all, for what follows is no request."""
        try:
            used = int(super().received(data))
        except ValueError:  # what waitress lets through: `GET http://[ HTTP/1.1`, a length of 5,000 digits
            self.refuse(BadRequest("The header can't be understood."))
        if self.headers_finished and self.verdict is None and not self.error and not self.empty:
            self._judge()
        if not self.error and self.body_rcv is not None and self.verdict is not None and self._is_over():
            self.refuse(verdicts.too_large(self.verdict.max_body))
        if self.error:
            self.refuse(self.error)
            return len(data)
        return used

    def refuse(self, error: Any) -> None:
        """End the request here: `error` (of waitress, or Refused) is answered, and what still comes is not read."""
        self.error = error
        self.completed = True
        self.expect_continue = False
        self._on_refusal()

    def _judge(self) -> None:
        length = None if self.chunked else self.content_length
        path = self.path.encode("latin-1").decode(errors="replace")
        self.verdict = self._ask_judge(Head(self.command, path, self.headers, length))
        if self.verdict.refused is not None:
            self.refuse(self.verdict.refused)
        elif self.content_length > self.verdict.max_body:
            self.refuse(verdicts.too_large(self.verdict.max_body))

    def _is_over(self) -> bool:
        most = self.verdict.max_body if self.verdict else 0
        return bool(self.body_rcv.__len__() > most or self.body_bytes_received > 2 * most + FRAMING)
