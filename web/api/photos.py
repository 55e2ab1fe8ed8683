"""Photos that are sent to be recognized: in a form, as the body, or in JSON; and among which products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from werkzeug.datastructures import MultiDict

from catalog.errors import InvalidInputError
from catalog.recognition import MATCHES, MOST_MATCHES, Scope
from web.api.bodies import is_json, json_body
from web.context import one_upload


@dataclass(frozen=True)
class Asked:
    """Photos (file name and bytes), among which products each is recognized, and how many matches are answered."""

    photos: Sequence[tuple[str, bytes]]
    among: Scope
    limit: int


def one_photo() -> Asked:
    """The photo of the field `photo`, or the body. Raises InvalidInputError."""
    if is_json():
        from web.api.schemas import RecognizeBody

        body = json_body(RecognizeBody)
        return Asked([("", body.photo)], *_wanted(body))
    if request.mimetype == "multipart/form-data":
        photo = one_upload("photo")
        return Asked([(photo.filename, photo.data)], *_wanted(None, request.form))
    return Asked([("", request.get_data())], *_wanted(None))


def many_photos() -> Asked:
    """The photos of the field `photos`, in their order. Raises InvalidInputError."""
    if is_json():
        from web.api.schemas import BatchBody

        body = json_body(BatchBody)
        return Asked([(str(at), photo) for at, photo in enumerate(body.photos)], *_wanted(body))
    if "photos" in request.form:
        raise InvalidInputError("photos", "A photo is a part of the form that has a file name.")
    files = request.files.getlist("photos")
    if not files:
        raise InvalidInputError("photos", "No photo came in the field photos.")
    return Asked([(file.filename or "", file.read()) for file in files], *_wanted(None, request.form))


def _wanted(body: Any, form: MultiDict[str, str] | None = None) -> tuple[Scope, int]:
    """Labels and SKUs of body, form and address together; `k` of the first that has it."""
    given = [source.to_dict(flat=False) for source in (form, request.args) if source is not None]
    if body is not None:
        given.insert(0, {name: getattr(body, name) for name in body.model_fields_set})
    labels, skus = ([value for source in given for value in source.get(name, ())] for name in ("label", "sku"))
    k = next((source["k"] for source in given if "k" in source), MATCHES)
    return Scope(tuple(labels), tuple(skus)), k if isinstance(k, int) else _number(k[-1])


def _number(k: str) -> int:
    if not (k.isascii() and k.isdecimal() and len(k) < 10):
        raise InvalidInputError("k", f"k is a whole number from 1 to {MOST_MATCHES}, not {k[:100]!r}.")
    return int(k)
