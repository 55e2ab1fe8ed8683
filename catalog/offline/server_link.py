"""A till's line to its server: fetch archives, send answers and feedback. By HTTP, with the till's key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import BundleBuildingError, CatalogError, ConfigError
from catalog.normalization import plain
from catalog.offline.errors import ServerUnreachableError
from catalog.offline.till_answers import BATCH, TillAnswers
from catalog.offline.till_folder import writable

if TYPE_CHECKING:
    import httpx  # where it is used: no server's start waits for it

#: Seconds to connect, and between two parts of an answer; the server may wait for a build before it answers.
CONNECT, READ = 5.0, 60.0
#: Bytes of a request at most; the server takes 256 KB.
MOST = 200_000


class ServerLink:
    """The server at a URL, asked with a key. Thread-safe. Raises ConfigError for what is no URL of a server."""

    def __init__(self, url: str, key: str) -> None:
        import httpx

        try:
            address = httpx.URL(url.rstrip("/"))
        except (httpx.InvalidURL, ValueError):
            address = httpx.URL("")
        if address.scheme not in ("http", "https") or not address.host or address.userinfo or not plain(key):
            raise ConfigError(f"--update-from {url[:200]!a} is no address of a server: it is https://HOST[:PORT].")
        self._client = httpx.Client(
            base_url=address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(READ, connect=CONNECT),
        )

    def fetch(self, since: str, target: Path, *, thumbnails: bool = False) -> bool:
        """Fetch what leads from the version `since` ("": the whole) to the newest into a file; False if that is it.

        Raises BundleBuildingError while the server builds it, ServerUnreachableError, or StorageError for a full disk.
        """
        import httpx

        query = {"since": since} if since else {}
        if thumbnails:
            query["thumbnails"] = "true"
        headers = {"If-None-Match": f'"{since}"'} if since else {}
        try:
            with self._client.stream("GET", "/api/v1/offline-bundle", params=query, headers=headers) as reply:
                if reply.status_code == httpx.codes.NOT_MODIFIED:
                    return False
                if reply.status_code != httpx.codes.OK:
                    reply.read()
                    raise _refusal(reply)
                with writable(target.parent):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as file:
                        for block in reply.iter_bytes(1 << 18):
                            file.write(block)
        except httpx.HTTPError as error:
            raise ServerUnreachableError(f"{self._client.base_url} does not answer: {error!r}.") from error
        return True

    def send(self, answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send answers, with feedback; returns those that the server will never take. Raises ServerUnreachableError."""
        import httpx

        try:
            reply = self._client.post("/api/v1/offline-answers", json={"answers": answers})
        except httpx.HTTPError as error:
            raise ServerUnreachableError(f"{self._client.base_url} does not answer: {error!r}.") from error
        if reply.status_code != httpx.codes.OK:
            raise _refusal(reply)
        try:
            return list(reply.json()["refused"])
        except (ValueError, KeyError, TypeError) as error:
            raise ServerUnreachableError(f"{self._client.base_url} gives no answer of a catalog.") from error

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def send_waiting(answers: TillAnswers, link: ServerLink) -> list[dict[str, Any]]:
    """Send all that waits; returns what the server refused. Raises ServerUnreachableError; what is left waits on.

    What was sent is marked only when the server has said that it is stored; it stores nothing twice.
    """
    refused: list[dict[str, Any]] = []
    while some := _within(answers.waiting()):
        refused += link.send(some)
        answers.mark_sent(some)
    return refused


def _within(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many of the first as fit into one request, at least one."""
    size = 0
    for place, answer in enumerate(answers[:BATCH]):
        size += len(json.dumps(answer))
        if size > MOST and place:
            return answers[:place]
    return answers


def _refusal(reply: httpx.Response) -> CatalogError:
    try:
        problem = reply.json()
        if problem["code"] == BundleBuildingError.code:
            return BundleBuildingError(str(problem["detail"]))
        said = f"{problem['code']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        said = reply.reason_phrase
    return ServerUnreachableError(f"The server answers {reply.status_code}: {said}")
