"""Views of the API: recognize a photo, give feedback, add a product. Their docstrings are in the API's description."""

from __future__ import annotations

import uuid
from dataclasses import asdict

from flask import Blueprint, Response, g, jsonify, request

from catalog import products
from catalog.errors import InvalidInputError
from catalog.products import AddResult as AddedProduct
from catalog.products import Intake
from catalog.recognition import Scope
from catalog.recognition import recognize as recognize_photo
from web import routes
from web.context import catalog, facts, flag, one_upload, uploads
from web.security import needs_key

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


@blueprint.post("/recognize")
@needs_key("recognize")
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
    asked_by = f"key {g.key_name}"
    answer = recognize_photo(
        catalog(), data, filename=filename, among=among, asked_by=asked_by, keep=g.key_keeps_photos
    )
    return jsonify(answer.as_dict())


@blueprint.post("/recognitions/<uuid:answer>/feedback")
@needs_key("feedback")
def add_feedback(answer: uuid.UUID) -> Response:
    """Say of an answer that it was right, or which SKU it was: form fields `correct` (true or false), `sku`, `note`.

    With `correct` false and no `sku` the photo shows none of our products.
    """
    given = request.form
    if given.get("correct") not in ("true", "false"):
        raise InvalidInputError("correct", "Say `true` or `false` in the field `correct`.")
    correct = given["correct"] == "true"
    catalog().answers.add_feedback(
        answer,
        correct=correct,
        sku=given.get("sku", ""),
        note=given.get("note", ""),
        actor=f"key {g.key_name}",
    )
    if correct:
        catalog().unanswered.judged_right(answer)
    else:
        catalog().unanswered.judged_wrong(answer)
    return Response(status=204)


@blueprint.post("/products")
@needs_key("catalog:write")
@routes.takes_photos(routes.MAX_REQUEST, "adding")
def create_product() -> Response:
    """Add a product: multipart fields `sku`, `photos` (one or more), and if wanted `name`, `brand`, `category`.

    And `barcode`, one or more; `strict` (true) refuses photos with warnings. Barcodes that were read from the photos
    are in the reply, and not added.
    """
    given = facts(request.form.get("sku", ""))
    added = products.create(
        catalog(),
        given,
        uploads("photos"),
        Intake(f"key {g.key_name}", "api", check="refuse" if flag("strict") else "report"),
    )
    response = jsonify(added_dict(added))
    response.status_code = 201
    return response


def added_dict(added: AddedProduct) -> dict[str, object]:
    """The result as a dict, as in web.api.schemas.Added."""
    return {
        "sku": added.sku,
        "name": added.name,
        "searchable": added.searchable,
        "milliseconds": round(added.milliseconds, 1),
        "photos": [
            {
                "id": str(photo.id),
                "filename": photo.filename,
                "sha256": photo.sha256,
                "state": photo.state,
                "details": photo.details,
                "duplicate": photo.duplicate,
                "reason": photo.reason,
                "like": asdict(photo.like) if photo.like else None,
                "warnings": [warning.as_dict() for warning in photo.warnings],
            }
            for photo in added.photos
        ],
        "barcodes": list(added.barcodes),
        "barcodes_found": [{"gtin": found.gtin, "sku": found.sku or None} for found in added.barcodes_found],
    }
