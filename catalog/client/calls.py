"""Each operation as a request to send, and the type of its answer: what both clients share."""

from __future__ import annotations

import base64
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypedDict, TypeVar
from urllib.parse import quote

from catalog.client import models

T = TypeVar("T")
#: A photo: its bytes, a path to it, or an open file.
Photo = bytes | os.PathLike[str] | BinaryIO


class Facts(TypedDict, total=False):
    """What may be said of a product: what is left out stays as it is."""

    name: str
    brand: str
    category: str
    variant_group: str
    labels: list[str]
    attributes: dict[str, str]
    barcodes: list[str]
    active: bool


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request. `answer`: the dataclass of its answer, None for none. `headers`: beside the name of the request."""

    method: str
    path: str
    answer: type[T] | None  # bytes for a file
    query: Mapping[str, Any] = field(default_factory=dict)
    form: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[tuple[str, tuple[str, bytes]], ...] = ()
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """For httpx's `request`."""
        headers = dict(self.headers)
        if self.method in ("POST", "PATCH", "DELETE"):
            headers["Idempotency-Key"] = str(uuid.uuid4())
        arguments: dict[str, Any] = {"method": self.method, "url": f"/api/v1{self.path}", "headers": headers}
        if self.query:
            arguments["params"] = given(self.query)
        if self.form:
            arguments["data"] = given(self.form)
        if self.files:
            arguments["files"] = list(self.files)
        if self.json is not None:
            arguments["json"] = self.json
        return arguments


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that were given; booleans as forms write them."""
    written = {True: "true", False: "false"}
    return {
        name: written[value] if isinstance(value, bool) else value
        for name, value in values.items()
        if value is not None and value != "" and value != []
    }


def escaped(sku: str) -> str:
    """A SKU as a part of a path: `/`, `\\` and `%` twice, as servers and proxies decode a path before they split it."""
    return quote(re.sub(r"[/\\%]", lambda found: quote(found[0], safe=""), sku), safe="")


def photo_part(name: str, photo: Photo) -> tuple[str, tuple[str, bytes]]:
    """A photo as a part of a form."""
    if isinstance(photo, bytes):
        return name, ("photo.jpg", photo)
    if isinstance(photo, os.PathLike):
        return file_part(name, photo)
    return name, (Path(str(getattr(photo, "name", "photo.jpg"))).name, photo.read())


def file_part(name: str, path: os.PathLike[str]) -> tuple[str, tuple[str, bytes]]:
    """A file as a part of a form."""
    return name, (Path(path).name, Path(path).read_bytes())


def recognize(photo: Photo, labels: Iterable[str], skus: Iterable[str], k: int) -> Call[models.Recognition]:
    """Which product a photo shows."""
    form = {"label": list(labels), "sku": list(skus), "k": k}
    return Call("POST", "/recognize", models.Recognition, form=form, files=(photo_part("photo", photo),))


def add_product(
    sku: str,
    photos: Iterable[Photo],
    name: str,
    brand: str,
    category: str,
    barcodes: Iterable[str],
    strict: bool,
) -> Call[models.Added]:
    """Add a product with its photos."""
    form = {"sku": sku, "name": name, "brand": brand, "category": category, "barcode": list(barcodes), "strict": strict}
    files = tuple(photo_part("photos", photo) for photo in photos)
    return Call("POST", "/products", models.Added, form=form, files=files)


def add_feedback(answer: str, correct: bool, sku: str, note: str) -> Call[None]:
    """Say whether an answer was right."""
    form = {"correct": correct, "sku": sku, "note": note}
    return Call("POST", f"/recognitions/{quote(answer, safe='')}/feedback", None, form=form)


def recognition(answer: str) -> Call[models.LoggedRecognition]:
    """An answer and what was said of it."""
    return Call("GET", f"/recognitions/{quote(answer, safe='')}", models.LoggedRecognition)


def recognitions(sku: str, after: str, limit: int) -> Call[models.LoggedRecognitions]:
    """A page of the answers whose match was a product."""
    query = {"after": after, "limit": limit}
    return Call("GET", f"/products/{escaped(sku)}/recognitions", models.LoggedRecognitions, query=query)


def thumbnail(sha256: str) -> Call[bytes]:
    """A small JPEG of a reference photo."""
    return Call("GET", f"/photos/{quote(sha256, safe='')}/thumbnail", bytes)


def changes(after: str, limit: int) -> Call[models.Changes]:
    """A page of what changed."""
    return Call("GET", "/changes", models.Changes, query={"after": after, "limit": limit})


def start_import(
    files: Iterable[os.PathLike[str]], columns: Mapping[str, str], update: bool, check: bool
) -> Call[models.Import]:
    """Import a list with its photos, or a zip."""
    form = {"map": [f"{column}={header}" for column, header in columns.items()], "update": update, "check": check}
    parts = tuple(file_part("files", path) for path in files)
    return Call("POST", "/imports", models.Import, form=form, files=parts)


def get_import(job: str) -> Call[models.Import]:
    """How far an import is."""
    return Call("GET", f"/imports/{quote(job, safe='')}", models.Import)


def cancel_import(job: str) -> Call[models.Import]:
    """End an import."""
    return Call("POST", f"/imports/{quote(job, safe='')}/cancel", models.Import)


def import_errors(job: str) -> Call[models.ImportErrors]:
    """What an import left out."""
    return Call("GET", f"/imports/{quote(job, safe='')}/errors", models.ImportErrors)


def recognize_batch(
    photos: Iterable[Photo], labels: Iterable[str], skus: Iterable[str], k: int
) -> Call[models.BatchAnswers]:
    """Which product each of many photos shows."""
    form = {"label": list(labels), "sku": list(skus), "k": k}
    files = tuple(photo_part("photos", photo) for photo in photos)
    return Call("POST", "/recognize/batch", models.BatchAnswers, form=form, files=files)


def products(cursor: str, limit: int, filters: Mapping[str, Any]) -> Call[models.ProductList]:
    """A part of the list of products."""
    query = {"cursor": cursor, "limit": limit, **filters}
    return Call("GET", "/products", models.ProductList, query=query)


def get_product(sku: str) -> Call[models.Product]:
    """A product."""
    return Call("GET", f"/products/{escaped(sku)}", models.Product)


def put_product(
    sku: str, facts: Mapping[str, Any], photos: Iterable[Photo], etag: str, strict: bool
) -> Call[models.Product]:
    """Say what a product is."""
    body: dict[str, Any] = {**facts, "strict": strict}
    if parts := [photo_part("photos", photo)[1] for photo in photos]:
        body["photos"] = [{"data": base64.b64encode(data).decode(), "filename": name} for name, data in parts]
    return Call("PUT", f"/products/{escaped(sku)}", models.Product, json=body, headers=_if_match(etag))


def change_product(sku: str, facts: Mapping[str, Any], etag: str) -> Call[models.Product]:
    """Change some of what a product is."""
    return Call("PATCH", f"/products/{escaped(sku)}", models.Product, json=dict(facts), headers=_if_match(etag))


def rename_product(sku: str, new: str, etag: str) -> Call[models.Product]:
    """Give a product another SKU."""
    path = f"/products/{escaped(sku)}/rename"
    return Call("POST", path, models.Product, json={"sku": new}, headers=_if_match(etag))


def delete_product(sku: str, etag: str) -> Call[models.Deleted]:
    """Put a product into the bin."""
    return Call("DELETE", f"/products/{escaped(sku)}", models.Deleted, headers=_if_match(etag))


def restore(entry: str) -> Call[models.Product]:
    """Take something out of the bin."""
    return Call("POST", f"/bin/{quote(entry, safe='')}/restore", models.Product)


def add_photos(sku: str, photos: Iterable[Photo], strict: bool) -> Call[models.Added]:
    """Add photos to a product."""
    files = tuple(photo_part("photos", photo) for photo in photos)
    return Call("POST", f"/products/{escaped(sku)}/photos", models.Added, form={"strict": strict}, files=files)


def delete_photo(sku: str, photo: str, etag: str) -> Call[models.Deleted]:
    """Put a photo into the bin."""
    path = f"/products/{escaped(sku)}/photos/{quote(photo, safe='')}"
    return Call("DELETE", path, models.Deleted, headers=_if_match(etag))


def photo_file(sku: str, photo: str) -> Call[bytes]:
    """The bytes of a photo."""
    return Call("GET", f"/products/{escaped(sku)}/photos/{quote(photo, safe='')}/file", bytes)


def _if_match(etag: str) -> dict[str, str]:
    return {"If-Match": etag} if etag else {}
