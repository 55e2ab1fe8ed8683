"""The client for programs with threads."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self, TypeVar

import httpx

from catalog.client import calls, models
from catalog.client.answers import answer_of
from catalog.client.calls import Call, Photo
from catalog.client.retries import Retries

T = TypeVar("T")


class Client:
    """The API of the catalog at `url`, by a key. Threads may share it. `timeout`: seconds to wait for each answer.

    Methods raise ProblemError for what the server refuses, and httpx.TransportError when it can't be reached.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 30.0,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        self._retries = retries or Retries()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, call: Call[T]) -> T:
        arguments, repeat = call.arguments(), 0
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(**arguments)
            except httpx.TransportError as error:
                outcome = error
            wait = self._retries.wait(repeat, outcome)
            if wait is None:
                return answer_of(call, outcome)
            time.sleep(wait)
            repeat += 1

    def recognize(
        self, photo: Photo, *, labels: Iterable[str] = (), skus: Iterable[str] = (), k: int = 5
    ) -> models.Recognition:
        """Which product a photo shows, with `k` matches at most; `labels`, `skus`: only those are asked about."""
        return self._send(calls.recognize(photo, labels, skus, k))

    def add_product(
        self,
        sku: str,
        photos: Iterable[Photo],
        *,
        name: str = "",
        brand: str = "",
        category: str = "",
        barcodes: Iterable[str] = (),
        strict: bool = False,
    ) -> models.Added:
        """Add a product with its photos; `strict` refuses photos with warnings."""
        return self._send(calls.add_product(sku, photos, name, brand, category, barcodes, strict))

    def add_feedback(self, answer: str, *, correct: bool, sku: str = "", note: str = "") -> None:
        """Say of an answer (its `id`) that it was right, or which SKU it was."""
        self._send(calls.add_feedback(answer, correct, sku, note))

    def recognition(self, answer: str) -> models.LoggedRecognition:
        """An answer (its `id`) and what was said of it."""
        return self._send(calls.recognition(answer))

    def recognitions(self, sku: str, *, after: str = "", limit: int = 50) -> models.LoggedRecognitions:
        """A page of the answers whose match was this product, the newest first; `after`: `next` of the page before."""
        return self._send(calls.recognitions(sku, after, limit))

    def thumbnail(self, sha256: str) -> bytes:
        """A small JPEG of a reference photo, as a match names it (`match.photo.sha256`)."""
        return self._send(calls.thumbnail(sha256))

    def changes(self, after: str = "", *, limit: int = 500) -> models.Changes:
        """A page of what changed after a cursor (`next` of the page before), from the oldest on if there is none."""
        return self._send(calls.changes(after, limit))

    def start_import(
        self,
        files: Iterable[os.PathLike[str]],
        *,
        columns: Mapping[str, str] | None = None,
        update: bool = False,
        check: bool = False,
    ) -> models.Import:
        """Import a CSV, with the photos that it names, or a zip; `columns`: of the catalog -> the list's header.

        `update` changes the facts of products that are there, `check` imports nothing. It returns at once.
        """
        return self._send(calls.start_import(files, columns or {}, update, check))

    def get_import(self, job: str) -> models.Import:
        """How far an import is, and what it did."""
        return self._send(calls.get_import(job))

    def cancel_import(self, job: str) -> models.Import:
        """End an import; what was added stays."""
        return self._send(calls.cancel_import(job))

    def import_errors(self, job: str) -> models.ImportErrors:
        """What an import left out, by line."""
        return self._send(calls.import_errors(job))
