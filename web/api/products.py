"""Products: add one."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response, jsonify, request

from catalog import products
from catalog.products import AddResult as AddedProduct
from catalog.products import Intake
from web import routes
from web.api.blueprint import actor, blueprint
from web.api.operation import operation
from web.context import catalog, facts, flag, uploads


@blueprint.post("/products")
@operation(
    "catalog:write",
    {201: "Added"},
    bodies={"multipart/form-data": "CreateForm"},
    problems=("sku_exists", "sku_alike", "barcode_taken", "photo_refused", "photo_questionable", "overloaded"),
    takes=("sku", "photos", "name", "brand", "category", "barcode", "strict"),
)
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
        Intake(actor(), "api", check="refuse" if flag("strict") else "report"),
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
