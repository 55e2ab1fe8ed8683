"""Recognize a photo."""

from __future__ import annotations

from flask import Response, g, jsonify, request

from catalog import recognition
from catalog.recognition import Scope
from web import routes
from web.api.blueprint import actor, blueprint
from web.api.operation import FILE, operation
from web.context import catalog, one_upload


@blueprint.post("/recognize")
@operation(
    "recognize",
    {200: "Recognition"},
    bodies={"multipart/form-data": "RecognizeForm", "image/*": FILE, "application/octet-stream": FILE},
    query="RecognizeQuery",
    problems=("photo_refused", "overloaded", "gallery_unavailable"),
    takes=("photo", "label", "sku"),
)
@routes.takes_photos(routes.MAX_PHOTO_REQUEST, "tills")
def recognize() -> Response:
    """Which product a photo shows: multipart field `photo`, or the image as the body.

    Fields `label` and `sku`, any number of each, narrow it to those products; beside a body they are in the address.
    """
    if request.mimetype == "multipart/form-data":
        photo = one_upload("photo")
        data, filename = photo.data, photo.filename
    else:
        data, filename = request.get_data(), ""
    wanted = request.values  # from the form, or from the URL if the body is the photo
    among = Scope(tuple(wanted.getlist("label")), tuple(wanted.getlist("sku")))
    answer = recognition.recognize(
        catalog(), data, filename=filename, among=among, asked_by=actor(), keep=g.key_keeps_photos
    )
    return jsonify(answer.as_dict())
