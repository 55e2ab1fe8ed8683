"""Calls to a Qdrant server or the nodes of a cluster: by HTTP or gRPC, with retries, and errors as our own types."""

from __future__ import annotations

import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import httpx
from pydantic import ValidationError
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from catalog.config import ServerOptions
from catalog.errors import CatalogError, ConfigError, GalleryError, GalleryMismatchError, GalleryUnavailableError
from catalog.gallery.collection_schema import unknown_generation
from catalog.gallery.silence import Silence

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds before the second try; twice as long before each further one.
_PAUSE = 0.1

# No try begins later than this many timeouts after the first, so that a call ends within one and a half of them; a read
# within one more for each further node that is silent.
_WITHIN = 0.5

# Characters of a server's reason that a message quotes.
_REASON = 200

# gRPC status codes as HTTP statuses, so that both are mapped in one place. Any other is 400, a mistake of ours.
_HTTP_OF_GRPC = {
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.UNIMPLEMENTED: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.ABORTED: 503,
    grpc.StatusCode.CANCELLED: 503,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A response other than success: its HTTP status, its text, and how a message names it."""

    status: int
    text: str
    name: str


class _Failure(Exception):
    """A call that failed: `error` is what it means, `again`: after so many seconds it may succeed (None: it won't)."""

    def __init__(self, error: GalleryError, again: float | None = None, *, timed_out: bool = False) -> None:
        super().__init__(error)
        self.error, self.again, self.timed_out = error, again, timed_out


def connect(url: str, api_key: str | None, options: ServerOptions) -> QdrantClient:
    """A client of http(s)://HOST[:6333]; no call is made yet. Raises ConfigError for a CA file that can't be used."""
    more: dict[str, Any] = {}
    # By default gRPC waits up to two minutes before it reconnects, and fails until then.
    channel: dict[str, Any] = {"grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 1000}
    if options.ca is not None:
        if not url.lower().startswith("https:"):
            raise ConfigError(
                "CATALOG_GALLERY_CA is set, but CATALOG_GALLERY is not https://...: keys would go in plain."
            )
        try:
            more["verify"] = ssl.create_default_context(cafile=options.ca)
            channel["root_certificates"] = options.ca.read_bytes()
        except OSError as error:  # an SSLError is one
            raise ConfigError(
                f"CATALOG_GALLERY_CA={str(options.ca)!r} can't be used: it is a file of certificates in PEM form "
                f"({error.strerror or error})."
            ) from error
    calls = logging.getLogger("httpx")
    if calls.level == logging.NOTSET:  # it would tell of each call, several for each answer to a till
        calls.setLevel(logging.WARNING)
    if options.grpc_port is not None:
        more |= {"prefer_grpc": True, "grpc_port": options.grpc_port, "grpc_options": channel}
    return QdrantClient(
        url=url,
        # The key is passed as a header: as `api_key` it makes the client warn about plain http, which is usual for a
        # server on a private network.
        headers={"api-key": api_key} if api_key else None,
        timeout=options.timeout,
        event_hooks=_whole_response_within(options.timeout),
        # The version check is a call, and would be made in the constructor.
        check_compatibility=False,
        **more,
    )


class _Limited(httpx.SyncByteStream):
    """The body of a response, that must be there by `deadline` (of time.monotonic): httpx limits each part alone."""

    def __init__(self, body: httpx.SyncByteStream, deadline: float) -> None:
        self._body, self._deadline = body, deadline

    def __iter__(self) -> Iterator[bytes]:
        for part in self._body:
            yield part
            if time.monotonic() > self._deadline:
                raise httpx.ReadTimeout("the response took too long")

    def close(self) -> None:
        self._body.close()


def _whole_response_within(seconds: float) -> dict[str, list[Callable[[Any], None]]]:
    """Hooks of an httpx client, by which a response that comes drop by drop times out as a whole."""

    def begin(request: httpx.Request) -> None:
        request.extensions["deadline"] = time.monotonic() + seconds

    def limit(response: httpx.Response) -> None:
        if isinstance(response.stream, httpx.SyncByteStream):
            response.stream = _Limited(response.stream, response.request.extensions["deadline"])

    return {"request": [begin], "response": [limit]}


class Connection:
    """Wraps a QdrantClient for each node of one cluster, by its address: that is how messages name it.

    One node is asked until it fails; then the next one takes its place. A node that was silent for a whole time-out is
    not asked again for a moment (see Silence); while all are, calls fail at once.
    """

    def __init__(self, clients: Mapping[str, QdrantClient], options: ServerOptions) -> None:
        self.address = ", ".join(clients)
        self.local = any(client.init_options.get("location") == ":memory:" for client in clients.values())
        self._tries = options.tries
        self._patience = _WITHIN * options.timeout
        # The client is thread-safe over a network. In local mode it is not: searches fail while points are written.
        turn: AbstractContextManager[object] = threading.RLock() if self.local else nullcontext()
        self._nodes = [_Node(client, address, options.timeout, turn) for address, client in clients.items()]
        self._first = 0  # the node that is asked first: the last one that answered

    def call(self, generation: str, ask: Callable[[QdrantClient], T], *, writes: bool = False) -> T:
        """The result of `ask`, which must be idempotent: it is repeated after an error that may be transient, on the
        next node or, once all have failed, on the same one.

        A time-out is not repeated on its node: whoever waits has waited long enough; one of a call that `writes`
        (which a key must be allowed to) on no node. A node that lacks a generation is believed if all do: one may
        have been replaced by an empty one. Raises GalleryMismatchError for a generation that the server does not have,
        GalleryUnavailableError when no node answers or is available, GalleryError for all else that the client raises;
        each names the address.
        """
        started = time.monotonic()
        pause = _PAUSE
        tries = 1
        while True:
            failures = []
            for index in self._in_turn():
                try:
                    result = self._nodes[index].ask(generation, ask, writes=writes)
                except _Failure as failure:
                    lacks = isinstance(failure.error, GalleryMismatchError) and len(self._nodes) > 1
                    if not lacks and not isinstance(failure.error, GalleryUnavailableError):
                        raise failure.error from failure.__cause__
                    failures.append(failure)
                    if writes and failure.timed_out:  # it may be done yet: done twice, it could undo what came between
                        raise failure.error from failure.__cause__
                else:
                    self._first = index
                    return result
            error = _together([failure.error for failure in failures])
            waits = [failure.again for failure in failures if failure.again is not None]
            pause = max(pause, min(waits, default=0))
            late = time.monotonic() + pause - started > self._patience
            if not waits or late or tries >= self._tries:
                raise error from failures[-1].__cause__
            log.info("%s Try %d of %d follows.", error, tries + 1, self._tries)
            time.sleep(pause)
            pause *= 2
            tries += 1

    def _in_turn(self) -> list[int]:
        first, count = self._first, len(self._nodes)
        return [(first + step) % count for step in range(count)]

    def close(self) -> None:
        """Close the connections."""
        for node in self._nodes:
            node.client.close()


class _Node:
    """One server, or one node of a cluster."""

    def __init__(self, client: QdrantClient, address: str, timeout: int, turn: AbstractContextManager[object]) -> None:
        self.client = client
        self._address = address
        self._place = f"The Qdrant server at {address}"
        self._timeout = timeout
        self._silence = Silence(timeout)
        self._turn = turn

    def ask(self, generation: str, ask: Callable[[QdrantClient], T], *, writes: bool) -> T:
        """The result of `ask`. Raises _Failure, caused by what the client raised."""
        if not self._silence.may_ask():
            raise _Failure(
                GalleryUnavailableError(
                    f"{self._place} did not answer within {self._timeout} s a moment ago. It is asked again in some "
                    "seconds."
                )
            )
        try:
            with self._turn:
                result = ask(self.client)
        except CatalogError:
            self._silence.ended()
            raise
        except Exception as error:
            if _is_timeout(error):
                self._silence.timed_out()
                raise _Failure(self._meaning(generation, error, writes=writes).error, timed_out=True) from error
            self._silence.ended()
            raise self._meaning(generation, error, writes=writes) from error
        self._silence.ended()
        return result

    def _meaning(self, generation: str, error: Exception, *, writes: bool) -> _Failure:
        """What an exception of the client means."""
        if refusal := refusal_of(error):
            again = error.retry_after_s if isinstance(error, ResourceExhaustedResponse) else 0.0
            return self._meaning_of(generation, refusal, again, writes=writes)
        if isinstance(error, ResponseHandlingException) and not isinstance(error.source, ValidationError):
            return _Failure(GalleryUnavailableError(f"{self._place} does not answer: {_hinted(str(error))}"), 0.0)
        return _Failure(GalleryError(f"{self._place}, {generation}: {error}"))

    def _meaning_of(self, generation: str, refusal: Refusal, again: float, *, writes: bool) -> _Failure:
        place, status = self._place, refusal.status
        if status == 404 and generation in refusal.text:
            return _Failure(unknown_generation(generation, self._address))
        if status == 403 and writes and "access" in refusal.text.lower():  # in another 403 the key is out of date, say
            return _Failure(
                GalleryError(
                    f"The API key may not write to the Qdrant server at {self._address} ({refusal.name}): "
                    "CATALOG_GALLERY_API_KEY has to be a key that may read and write."
                )
            )
        if status in (401, 403):
            return _Failure(GalleryError(f"{place} refuses the API key ({refusal.name})."))
        if status in (404, 429) or status >= 500:
            # A 404 that doesn't name the collection comes from a proxy, or from something other than Qdrant.
            unavailable = GalleryUnavailableError(f"{place} can't be used now ({_hinted(refusal.name)}).")
            return _Failure(unavailable, None if status == 404 else again)
        return _Failure(GalleryError(f"{place} did not accept a request for {generation}: {refusal.text[:_REASON]}"))


def _together(errors: list[GalleryError]) -> GalleryError:
    """What the nodes said, as one error."""
    if len(errors) == 1 or all(isinstance(error, GalleryMismatchError) for error in errors):
        return errors[0]
    return GalleryUnavailableError(f"No node of the cluster can be used. {' '.join(map(str, errors))}")


def refusal_of(error: Exception) -> Refusal | None:
    """The server's error response, by HTTP or gRPC; None for an exception that is no response."""
    if isinstance(error, UnexpectedResponse):
        status, text = error.status_code or 0, error.content.decode(errors="replace")
        return Refusal(status, text, f"status {status}{_reason_in(text)}")
    if isinstance(error, QdrantException):  # the client raises it for "too many requests" alone
        return Refusal(429, str(error), "status 429")
    if isinstance(error, grpc.RpcError) and isinstance(error, grpc.Call):
        code, details = error.code(), error.details() or ""
        return Refusal(_HTTP_OF_GRPC.get(code, 400), details, f"{code.name}: {details}")
    return None


def _is_timeout(error: Exception) -> bool:
    """Whether nothing came in time: neither from the server nor, for a 504, from what is behind a proxy."""
    if isinstance(error, ResponseHandlingException):
        return isinstance(error.source, httpx.TimeoutException)
    refusal = refusal_of(error)
    return refusal is not None and refusal.status == 504


def _reason_in(text: str) -> str:
    """The reason in a response of Qdrant's by HTTP, as it is put after its status; "" for what others send (HTML)."""
    try:
        reason = json.loads(text)["status"]["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f": {reason[:_REASON]}" if isinstance(reason, str) and reason else ""


def _hinted(text: str) -> str:
    """The text, with a hint where one helps."""
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"{text} (the file of a private CA is named by CATALOG_GALLERY_CA)"
    return text
