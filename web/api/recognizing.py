"""Recognize a photo; the small pictures that a till shows of what it was answered."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, g, jsonify, request, url_for

from catalog import recognition
from catalog.errors import InvalidInputError
from catalog.recognition import MATCHES, Recognition, Scope
from web import pictures, routes
from web.api.blueprint import actor, blueprint
from web.api.operation import FILE, operation
from web.context import catalog, one_upload
from web.thumbnails import THUMBNAIL

#: Seconds for which a till may show a small picture without asking again whether the photo is still in the catalog.
KEPT = 86_400


@blueprint.post("/recognize")
@operation(
    "recognize",
    {200: "Recognition"},
    bodies={"multipart/form-data": "RecognizeForm", "image/*": FILE, "application/octet-stream": FILE},
    query="RecognizeQuery",
    problems=("photo_refused", "overloaded", "gallery_unavailable"),
    takes=("photo", "label", "sku", "k"),
)
@routes.takes_photos(routes.MAX_PHOTO_REQUEST, "tills")
def recognize() -> Response:
    """Which product a photo shows: multipart field `photo`, or the image as the body.

    Fields `label` and `sku`, any number of each, narrow it to those products; `k` is how many matches are answered, 5
    if it is not given. Beside a body they are in the address.
    """
    if request.mimetype == "multipart/form-data":
        photo = one_upload("photo")
        data, filename, wanted = photo.data, photo.filename, request.values.to_dict(flat=False)
    else:
        data, filename, wanted = request.get_data(), "", request.args.to_dict(flat=False)
    among = Scope(tuple(wanted.get("label", ())), tuple(wanted.get("sku", ())))
    limit = matches_wanted(wanted.get("k"))
    answer = recognition.recognize(
        catalog(), data, filename=filename, among=among, limit=limit, asked_by=actor(), keep=g.key_keeps_photos
    )
    return jsonify(answered(answer))


@blueprint.get("/photos/<sha256>/thumbnail")
@operation("recognize", {200: FILE}, problems=("not_found",))
def thumbnail(sha256: str) -> Response:
    """A small JPEG of a reference photo, as a match of an answer names it.

    Only of products that are in the catalog. It may be kept, and asked for again with its ETag (`If-None-Match`).
    """
    if not recognition.is_reference(catalog().database, sha256):
        abort(404)
    response = pictures.show(sha256)
    response.headers["Cache-Control"] = f"private, max-age={KEPT}"
    response.set_etag(f"{sha256}-{THUMBNAIL}")
    response.make_conditional(request)
    return response


def matches_wanted(given: list[str] | None) -> int:
    """How many matches a field `k` asks for. Raises InvalidInputError for what is no number."""
    if not given:
        return MATCHES
    k = given[-1]
    if not (k.isascii() and k.isdecimal() and len(k) < 10):
        raise InvalidInputError("k", f"k is a whole number from 1 to {recognition.MOST_MATCHES}, not {k[:100]!r}.")
    return int(k)


def answered(answer: Recognition) -> dict[str, Any]:
    """An answer as JSON, each photo with the path of its small picture."""
    found = answer.as_dict()
    for match in found["matches"]:
        if match["photo"]:
            match["photo"]["thumbnail"] = url_for("api.thumbnail", sha256=match["photo"]["sha256"])
    return found
