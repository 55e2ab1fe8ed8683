"""An id for each request: in its answer, in its problem, and in each line that is logged while it is answered."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEADER = "X-Request-Id"
#: What a client may send as an id of its own: nothing that a log, a header or a page could take for more than a word.
HARMLESS = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

_current: ContextVar[str] = ContextVar("request_id", default="")


def begin(sent: str | None) -> str:
    """Begin a request in this thread -> its id: the client's own if that is harmless, else a new one."""
    identity = sent if sent and HARMLESS.fullmatch(sent) else uuid.uuid4().hex
    _current.set(identity)
    return identity


def end() -> None:
    """What this thread logs from now on is of no request."""
    _current.set("")


def current() -> str:
    """The id of the request that this thread answers; "" outside of one."""
    return _current.get()


class RequestIds:
    """WSGI middleware: begins each request, and names its id in the answer.

    It doesn't end it, for the body may still be made; web/serving does, and the next request of the thread.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Begin, then call the application."""
        identity = begin(environ.get("HTTP_X_REQUEST_ID"))

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, (HEADER, identity)], *more)

        return self._application(environ, start)


class InEachLine(logging.Filter):
    """Gives each log record `request_id`, and `request`: the id in brackets. Both are "" outside of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add it; no record is dropped."""
        identity = current()
        record.request_id, record.request = identity, f" [{identity}]" if identity else ""
        return True


def in_each_line() -> None:
    """Have all handlers of the root logger show the id, where their format has `%(request)s`."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(InEachLine())
