"""Writing an answer: the application's, or the server's own refusal."""

from __future__ import annotations

from html import escape
from typing import Any

from flask import Response
from waitress.task import Task, WSGITask

from web import errors, problems, request_ids
from web.security import POLICY
from web.serving.verdicts import Refused


class Answer(WSGITask):  # type: ignore[misc]
    """The application's answer. The last one of its connection while the server stops."""

    def __init__(self, channel: Any, request: Any) -> None:
        super().__init__(channel, request)
        self._slot = channel.slot

    def build_response_header(self) -> bytes:
        """Status line and header. The client may read them at once, and ask again: its place must be free by then."""
        self._slot.release()
        if self.channel.server.site.draining:
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header


class Refusal(Task):  # type: ignore[misc]
    """The server's own answer: a problem (RFC 9457), or a page if a browser shows it."""

    complete = True

    def execute(self) -> None:
        """Write it."""
        identity = request_ids.begin(self.request.headers.get("X_REQUEST_ID"))
        refused = _refused(self.request.error)
        response = _response(self.request, refused)
        response.headers[request_ids.HEADER] = identity
        data = response.get_data()
        self.status = response.status
        self.response_headers.extend(response.headers.items())
        self.content_length = len(data)
        self.channel.server.site.on_refusal(self.request.command, response.status_code, refused.code)
        if not refused.keeps or self.channel.server.site.draining:
            self.set_close_on_finish()
        self.write(b"" if self.request.command == "HEAD" else data)


def _refused(error: Any) -> Refused:
    if isinstance(error, Refused):
        return error
    return Refused(problems.code_of(error.code, error.reason), error.body)


def _response(request: Any, refused: Refused) -> Response:
    headers = request.headers
    is_program = request.path.startswith(errors.FOR_PROGRAMS) or "X_REQUESTED_WITH" in headers
    response = errors.problem(refused.code, refused.detail, retry_after=refused.retry_after)
    if not is_program and "text/html" in headers.get("ACCEPT", ""):
        title, detail = escape(problems.KINDS[refused.code].title), escape(refused.detail)
        response.set_data(f"<!doctype html><title>{title}</title><h1>{title}</h1><p>{detail}</p>")
        response.content_type = "text/html; charset=utf-8"
        response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
