"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Self, TypeVar

import httpx

from catalog.client import calls, models
from catalog.client.answers import answer_of
from catalog.client.calls import Call, Photo
from catalog.client.retries import Retries

T = TypeVar("T")


class AsyncClient:
    """The API of the catalog at `url`, by a key. Tasks may share it. `timeout`: seconds to wait for each answer.

    Methods raise ProblemError for what the server refuses, and httpx.TransportError when it can't be reached.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 30.0,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, transport=transport)
        self._retries = retries or Retries()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(self, call: Call[T]) -> T:
        arguments, repeat = call.arguments(), 0
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.request(**arguments)
            except httpx.TransportError as error:
                outcome = error
            wait = self._retries.wait(repeat, outcome)
            if wait is None:
                return answer_of(call, outcome)
            await asyncio.sleep(wait)
            repeat += 1

    async def recognize(
        self, photo: Photo, *, labels: Iterable[str] = (), skus: Iterable[str] = ()
    ) -> models.Recognition:
        """Which product a photo shows; `labels`, `skus`: only those products are asked about."""
        return await self._send(calls.recognize(photo, labels, skus))

    async def add_product(
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
        return await self._send(calls.add_product(sku, photos, name, brand, category, barcodes, strict))

    async def add_feedback(self, answer: str, *, correct: bool, sku: str = "", note: str = "") -> None:
        """Say of an answer (its `id`) that it was right, or which SKU it was."""
        await self._send(calls.add_feedback(answer, correct, sku, note))
