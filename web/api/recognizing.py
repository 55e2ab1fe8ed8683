"""Recognize a photo, or many; the small pictures that a till shows of what it was answered."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, current_app, g, jsonify, request, url_for

from catalog import recognition
from catalog.errors import CatalogError
from catalog.recognition import Recognition
from web import errors, metrics, pictures, routes, security
from web.api.blueprint import actor, blueprint
from web.api.operation import FILE, operation
from web.api.photos import many_photos, one_photo
from web.context import catalog
from web.thumbnails import THUMBNAIL

#: Seconds for which a till may show a small picture without asking again whether the photo is still in the catalog.
KEPT = 86_400


@blueprint.post("/recognize")
@operation(
    "recognize",
    {200: "Recognition"},
    bodies={
        "multipart/form-data": "RecognizeForm",
        "application/json": "RecognizeBody",
        "image/*": FILE,
        "application/octet-stream": FILE,
    },
    query="RecognizeQuery",
    problems=("photo_refused", "overloaded", "gallery_unavailable"),
    takes=("photo", "label", "sku", "k"),
)
@routes.takes_photos(routes.MAX_PHOTO_REQUEST, "tills")
def recognize() -> Response:
    """Which product a photo shows: multipart field `photo`, the image as the body, or JSON with the image in base64.

    `label` and `sku`, any number of each, narrow it to those products; `k` is how many matches are answered, 5 if it is
    not given. If the body is the image, they are in the address.
    """
    asked = one_photo()
    [(filename, data)] = asked.photos
    answer = recognition.recognize(
        catalog(),
        data,
        filename=filename,
        among=asked.among,
        limit=asked.limit,
        asked_by=actor(),
        keep=g.key_keeps_photos,
    )
    metrics.of(current_app).recognized(answer, "photo")
    return jsonify(answered(answer))


@blueprint.post("/recognize/batch")
@operation(
    "recognize",
    {200: "BatchAnswers"},
    bodies={"multipart/form-data": "BatchForm", "application/json": "BatchBody"},
    problems=("overloaded", "gallery_unavailable"),
    takes=("photos", "label", "sku", "k"),
)
@routes.takes_photos(routes.MAX_BATCH_REQUEST, "batches")
def recognize_batch() -> Response:
    """Which product each of up to 50 photos shows: multipart field `photos`, once for each, or JSON.

    One answer for each photo, in their order: a recognition, or the problem with this photo, which spoils no other.
    `label`, `sku` and `k` hold for all of them. Photos of tills that ask for one go first.
    """
    asked = many_photos()
    security.count_further(len(asked.photos) - 1)
    answers = recognition.recognize_many(
        catalog(), asked.photos, among=asked.among, limit=asked.limit, asked_by=actor(), keep=g.key_keeps_photos
    )
    for answer in answers:
        if isinstance(answer, Recognition):
            metrics.of(current_app).recognized(answer, "batch")
    named = zip(asked.photos, answers, strict=True)
    return jsonify({"answers": [_one_of_many(filename, answer) for (filename, _), answer in named]})


def _one_of_many(filename: str, answer: Recognition | CatalogError) -> dict[str, Any]:
    if isinstance(answer, CatalogError):
        return {"filename": filename, "recognition": None, "problem": errors.as_problem(answer).get_json(force=True)}
    return {"filename": filename, "recognition": answered(answer), "problem": None}


@blueprint.get("/photos/<sha256>/thumbnail")
@operation("recognize", {200: "image/jpeg", 304: ""}, headers="ReadHeaders", sends=("ETag",), problems=("not_found",))
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


def answered(answer: Recognition) -> dict[str, Any]:
    """An answer as JSON, each photo with the path of its small picture."""
    found = answer.as_dict()
    for match in found["matches"]:
        if match["photo"]:
            match["photo"]["thumbnail"] = url_for("api.thumbnail", sha256=match["photo"]["sha256"])
    return found
