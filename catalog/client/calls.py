"""Each operation as a request to send, and the type of its answer: what both clients share."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar
from urllib.parse import quote

from catalog.client import models

T = TypeVar("T")
#: A photo: its bytes, a path to it, or an open file.
Photo = bytes | os.PathLike[str] | BinaryIO


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request. `answer`: the dataclass of its answer, None for none. `key`: of a POST, so that it is done once."""

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
        if self.method == "POST":
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
    return Call("DELETE", f"/imports/{quote(job, safe='')}", models.Import)


def import_errors(job: str) -> Call[models.ImportErrors]:
    """What an import left out."""
    return Call("GET", f"/imports/{quote(job, safe='')}/errors", models.ImportErrors)
