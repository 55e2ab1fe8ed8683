"""Calls to a Qdrant server: by HTTP or gRPC, with retries, and errors mapped to the catalog's types."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
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
from catalog.errors import CatalogError, ConfigError, GalleryError, GalleryUnavailableError
from catalog.gallery.collection_schema import unknown_generation
from catalog.gallery.silence import Silence

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds before the second try; twice as long before each further one.
_PAUSE = 0.1

# No try begins later than this many timeouts after the first, so that a call ends within one and a half of them.
_WITHIN = 0.5

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
    """Wraps a QdrantClient; `address` is how messages name the server.

    A server that was silent for a whole time-out is not asked again for a moment (see Silence): calls fail at once.
    """

    def __init__(self, client: QdrantClient, address: str, options: ServerOptions) -> None:
        self.address = address
        self.local = client.init_options.get("location") == ":memory:"
        self._client = client
        self._options = options
        self._silence = Silence(options.timeout)
        # The client is thread-safe over a network. In local mode it is not: searches fail while points are written.
        self._turn: AbstractContextManager[object] = threading.RLock() if self.local else nullcontext()

    def call(self, generation: str, ask: Callable[[QdrantClient], T]) -> T:
        """The result of `ask`, which must be idempotent: it is retried after an error that may be transient.

        A time-out is not retried: whoever waits has waited long enough. Raises GalleryMismatchError for a generation
        that the server does not have, GalleryUnavailableError when it does not answer or is unavailable, GalleryError
        for all else that the client raises; each names the address.
        """
        started = time.monotonic()
        pause = _PAUSE
        tries = 1
        while True:
            if not self._silence.may_ask():
                raise GalleryUnavailableError(
                    f"The Qdrant server at {self.address} did not answer within {self._options.timeout} s a moment "
                    "ago. It is asked again in some seconds."
                )
            try:
                with self._turn:
                    result = ask(self._client)
                self._silence.ended()
                return result
            except CatalogError:
                self._silence.ended()
                raise
            except Exception as error:
                failure, passing = self._meaning(generation, error)
                if _is_timeout(error):
                    self._silence.timed_out()
                    raise failure from error
                self._silence.ended()
                if isinstance(error, ResourceExhaustedResponse):
                    pause = max(pause, error.retry_after_s)
                late = time.monotonic() + pause - started > _WITHIN * self._options.timeout
                if not passing or late or tries >= self._options.tries:
                    raise failure from error
                log.info("%s Try %d of %d follows.", failure, tries + 1, self._options.tries)
            time.sleep(pause)
            pause *= 2
            tries += 1

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _meaning(self, generation: str, error: Exception) -> tuple[GalleryError, bool]:
        """The GalleryError for an exception of the client, and whether that is transient."""
        place = f"The Qdrant server at {self.address}"
        if refusal := refusal_of(error):
            return self._meaning_of(generation, refusal)
        if isinstance(error, ResponseHandlingException) and not isinstance(error.source, ValidationError):
            return GalleryUnavailableError(f"{place} does not answer: {_reason(str(error))}"), True
        return GalleryError(f"{place}, {generation}: {error}"), False

    def _meaning_of(self, generation: str, refusal: Refusal) -> tuple[GalleryError, bool]:
        place, status = f"The Qdrant server at {self.address}", refusal.status
        if status == 404 and generation in refusal.text:
            return unknown_generation(generation, self.address), False
        if status in (401, 403):
            return GalleryError(f"{place} refuses the API key ({refusal.name})."), False
        if status in (404, 429) or status >= 500:
            # A 404 that doesn't name the collection comes from a proxy, or from something other than Qdrant.
            return GalleryUnavailableError(f"{place} can't be used now ({_reason(refusal.name)})."), status != 404
        return GalleryError(f"{place} did not accept a request for {generation}: {refusal.text[:200]}"), False


def refusal_of(error: Exception) -> Refusal | None:
    """The server's error response, by HTTP or gRPC; None for an exception that is no response."""
    if isinstance(error, UnexpectedResponse):
        status = error.status_code or 0
        return Refusal(status, error.content.decode(errors="replace"), f"status {status}")
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


def _reason(text: str) -> str:
    """The text, with a hint where one helps."""
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"{text} (the file of a private CA is named by CATALOG_GALLERY_CA)"
    return text
