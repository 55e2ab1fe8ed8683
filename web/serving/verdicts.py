"""What is decided about a request when its header was read, before its body is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Head:
    """A request's header. `headers` are keyed as in WSGI without HTTP_; `length`: bytes of the body, None if untold."""

    method: str
    path: str
    headers: Mapping[str, str]
    length: int | None


@dataclass(frozen=True)
class Refused:
    """A request that the server answers by itself, with a problem of this `code` (see web/problems.py).

    `keeps`: its body was read, so the connection can be used again. `retry_after`: seconds.
    """

    code: str
    detail: str
    keeps: bool = False
    retry_after: int | None = None


@dataclass(frozen=True)
class Verdict:
    """The lane of a request and the bytes that its body may have, or why it is refused."""

    lane: str
    max_body: int
    refused: Refused | None = None


#: Called in the thread that reads all connections: it must be quick, and ask neither disk nor database.
Judge = Callable[[Head], Verdict]

BUSY = Refused(
    "overloaded",
    "More requests came than can be answered in time; this one was not begun. Repeat it after Retry-After seconds.",
    keeps=True,
    retry_after=1,
)
TOO_SLOW = Refused("request_timeout", "The request did not arrive in time.")


def too_large(limit: int) -> Refused:
    """The body is over `limit` bytes."""
    most = f"{limit // 2**20} MB" if limit >= 2**20 else f"{limit // 2**10} KB"
    return Refused("request_entity_too_large", f"A request to this address has at most {most}.")
