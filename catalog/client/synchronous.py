"""The client for programs with threads."""

from __future__ import annotations

import time
from collections.abc import Iterable
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

    def recognize(self, photo: Photo, *, labels: Iterable[str] = (), skus: Iterable[str] = ()) -> models.Recognition:
        """Which product a photo shows; `labels`, `skus`: only those products are asked about."""
        return self._send(calls.recognize(photo, labels, skus))

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
