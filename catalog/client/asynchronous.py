"""The client for asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Literal, Self, TypeVar, Unpack

import httpx

from catalog.client import calls, models
from catalog.client.answers import answer_of
from catalog.client.calls import Call, Facts, Photo
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
        self, photo: Photo, *, labels: Iterable[str] = (), skus: Iterable[str] = (), k: int = 5
    ) -> models.Recognition:
        """Which product a photo shows, with `k` matches at most; `labels`, `skus`: only those are asked about."""
        return await self._send(calls.recognize(photo, labels, skus, k))

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

    async def recognition(self, answer: str) -> models.LoggedRecognition:
        """An answer (its `id`) and what was said of it."""
        return await self._send(calls.recognition(answer))

    async def recognitions(self, sku: str, *, after: str = "", limit: int = 50) -> models.LoggedRecognitions:
        """A page of the answers whose match was this product, the newest first; `after`: `next` of the page before."""
        return await self._send(calls.recognitions(sku, after, limit))

    async def thumbnail(self, sha256: str) -> bytes:
        """A small JPEG of a reference photo, as a match names it (`match.photo.sha256`)."""
        return await self._send(calls.thumbnail(sha256))

    async def changes(self, after: str = "", *, limit: int = 500) -> models.Changes:
        """A page of what changed after a cursor (`next` of the page before), from the oldest on if there is none."""
        return await self._send(calls.changes(after, limit))

    async def start_import(
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
        return await self._send(calls.start_import(files, columns or {}, update, check))

    async def get_import(self, job: str) -> models.Import:
        """How far an import is, and what it did."""
        return await self._send(calls.get_import(job))

    async def cancel_import(self, job: str) -> models.Import:
        """End an import; what was added stays."""
        return await self._send(calls.cancel_import(job))

    async def import_errors(self, job: str) -> models.ImportErrors:
        """What an import left out, by line."""
        return await self._send(calls.import_errors(job))

    async def recognize_batch(
        self, photos: Iterable[Photo], *, labels: Iterable[str] = (), skus: Iterable[str] = (), k: int = 5
    ) -> models.BatchAnswers:
        """Which product each of up to 50 photos shows: an answer or a problem for each, in their order."""
        return await self._send(calls.recognize_batch(photos, labels, skus, k))

    async def products(
        self,
        *,
        cursor: str = "",
        limit: int = 50,
        search: str = "",
        category: str = "",
        brand: str = "",
        label: str = "",
        state: Literal["active", "retired", "all"] = "active",
        sort: Literal["sku", "name", "newest"] = "sku",
    ) -> models.ProductList:
        """A part of the list of products; `cursor`: `next` of the part before."""
        filters = {"search": search, "category": category, "brand": brand, "label": label, "state": state, "sort": sort}
        return await self._send(calls.products(cursor, limit, filters))

    async def get_product(self, sku: str) -> models.Product:
        """A product."""
        return await self._send(calls.get_product(sku))

    async def put_product(
        self, sku: str, *, photos: Iterable[Photo] = (), etag: str = "", strict: bool = False, **facts: Unpack[Facts]
    ) -> models.Product:
        """Say what a product is: it is added, or made so. `etag`: only if it is still as it was then."""
        return await self._send(calls.put_product(sku, facts, photos, etag, strict))

    async def change_product(self, sku: str, *, etag: str = "", **facts: Unpack[Facts]) -> models.Product:
        """Change some of what a product is; `active=False` retires it."""
        return await self._send(calls.change_product(sku, facts, etag))

    async def rename_product(self, sku: str, new: str, *, etag: str = "") -> models.Product:
        """Give a product another SKU; it keeps all that it has."""
        return await self._send(calls.rename_product(sku, new, etag))

    async def delete_product(self, sku: str, *, etag: str = "") -> models.Deleted:
        """Put a product into the bin, for 30 days: `restore` takes the `entry` of the answer."""
        return await self._send(calls.delete_product(sku, etag))

    async def restore(self, entry: str) -> models.Product:
        """Take a product, or photos of one, out of the bin."""
        return await self._send(calls.restore(entry))

    async def add_photos(self, sku: str, photos: Iterable[Photo], *, strict: bool = False) -> models.Added:
        """Add photos to a product."""
        return await self._send(calls.add_photos(sku, photos, strict))

    async def delete_photo(self, sku: str, photo: str, *, etag: str = "") -> models.Deleted:
        """Put a photo of a product into the bin; `photo`: its id."""
        return await self._send(calls.delete_photo(sku, photo, etag))

    async def photo_file(self, sku: str, photo: str) -> bytes:
        """The bytes of a photo of a product, as they were sent."""
        return await self._send(calls.photo_file(sku, photo))
