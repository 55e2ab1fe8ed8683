"""Products: list, show, add, put, change, rename, delete, restore."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify

from catalog import products
from web import routes
from web.api import product_bodies
from web.api.blueprint import actor, blueprint
from web.api.etags import seen, wants_new
from web.api.idempotency import repeatable
from web.api.operation import operation
from web.api.representing import added_answer, deleted_answer, product_answer, product_dict
from web.context import catalog

Told = Mapping[str, Any]
_TAKEN = ("sku_exists", "sku_alike", "barcode_taken")
_REPEATED = ("idempotency_busy", "idempotency_mismatch")
_CHANGED = ("not_found", "precondition_failed", *_REPEATED)
_REFUSED = ("photo_refused", "photo_questionable", "overloaded")


@blueprint.get("/products")
@operation(
    "catalog:read",
    {200: "ProductList"},
    query="ProductsQuery",
    takes=(
        *("limit", "cursor", "search", "category", "brand", "label", "variant_group", "state", "few_photos"),
        *("never_recognized", "with_warnings", "pending", "sort"),
    ),
)
def list_products() -> Response:
    """List products, whole, in parts: go on with `cursor` set to `next`, and all other parameters as they were.

    None is left out or comes twice because others are added or deleted meanwhile.
    """
    said, only = product_bodies.listed()
    database = catalog().database
    part = products.list_part(database, only, order=said.sort, cursor=said.cursor, limit=said.limit)
    pending = products.pending_photos(database, *part.products)
    shown = [product_dict(product, pending) for product in part.products]
    return jsonify({"products": shown, "next": part.cursor, "total": part.total})


@blueprint.get("/products/<sku:sku>")
@operation("catalog:read", {200: "Product", 304: ""}, headers="ReadHeaders", sends=("ETag",), problems=("not_found",))
def get_product(sku: str) -> Response:
    """Show a product."""
    return product_answer(sku)


@blueprint.post("/products")
@operation(
    "catalog:write",
    {201: "Added"},
    bodies={"multipart/form-data": "CreateForm", "application/json": "CreateBody"},
    headers="CreateHeaders",
    sends=("ETag", "Location"),
    problems=(*_TAKEN, *_REFUSED, *_REPEATED),
    takes=("sku", "photos", "name", "brand", "category", "variant_group", "label", "barcode", "strict"),
)
@routes.takes_photos(routes.MAX_REQUEST, "adding", most_json=routes.MAX_JSON_REQUEST)
@repeatable(lambda told: added_answer(products.told_again(catalog(), told)))
def create_product() -> Response:
    """Add a product: multipart fields `sku`, `photos` (one or more), and if wanted `name`, `brand`, `category`.

    And `variant_group`, and any number of `barcode` and `label`; or JSON, with the photos in base64. `strict` (true)
    refuses photos with warnings. Barcodes that were read from the photos are in the reply, and not added.
    """
    facts, photos, intake, active = product_bodies.new_product()
    return added_answer(products.create(catalog(), facts, photos, intake, active=active))


@blueprint.put("/products/<sku:sku>")
@operation(
    "catalog:write",
    {200: "Product", 201: "Product"},
    bodies={"application/json": "PutBody"},
    headers="PutHeaders",
    sends=("ETag", "Location"),
    problems=("precondition_failed", *_TAKEN, *_REFUSED),
)
@routes.takes_photos(routes.MAX_REQUEST, "adding", most_json=routes.MAX_JSON_REQUEST)
def put_product(sku: str) -> Response:
    """Say what a product is: it is added, or made so. To say the same again changes nothing, and is not recorded.

    What the body leaves out stays as it is. Photos are added, unless the product has them; a new product needs one.
    """
    wanted, photos, intake = product_bodies.put_product()
    new = products.put(catalog(), sku, wanted, photos, intake, seen=seen(), new=wants_new())
    return product_answer(sku, 201 if new else 200)


@blueprint.patch("/products/<sku:sku>")
@operation(
    "catalog:write",
    {200: "Product"},
    bodies={"application/json": "PatchBody"},
    headers="ChangeHeaders",
    sends=("ETag",),
    problems=("barcode_taken", *_CHANGED),
)
@routes.in_lane("adding")
@repeatable(lambda told, sku: product_answer(sku))
def change_product(sku: str) -> Response:
    """Change some of what a product is: facts, labels, attributes, barcodes; retire it (`active` false) or restore it.

    A merge patch (RFC 7396; `application/merge-patch+json` is taken, too): what is left out stays, null empties. A
    retired product is missing from the next answer.
    """
    products.update(catalog(), sku, product_bodies.patch(), seen=seen(), actor=actor())
    return product_answer(sku)


@blueprint.post("/products/<sku:sku>/rename")
@operation(
    "catalog:write",
    {200: "Product"},
    bodies={"application/json": "RenameBody"},
    headers="ChangeHeaders",
    sends=("ETag",),
    problems=("sku_exists", "sku_alike", *_CHANGED),
)
@routes.in_lane("adding")
@repeatable(lambda told, sku: product_answer(_new_sku()))
def rename_product(sku: str) -> Response:
    """Give a product another SKU; it keeps all that it has."""
    new = _new_sku()
    products.rename(catalog(), sku, new, seen=seen(), actor=actor())
    return product_answer(new)


@blueprint.delete("/products/<sku:sku>")
@operation("catalog:write", {200: "Deleted"}, headers="ChangeHeaders", problems=_CHANGED)
@repeatable(lambda told, sku: deleted_answer(sku, told["entry"]))
def delete_product(sku: str) -> Response:
    """Put a product into the bin with all that it has. Its SKU and barcodes are free then."""
    entry = products.delete_product(catalog(), sku, seen=seen(), actor=actor())
    return deleted_answer(sku, str(entry))


@blueprint.post("/bin/<uuid:entry>/restore")
@operation(
    "catalog:write",
    {200: "Product"},
    headers="CreateHeaders",
    sends=("ETag",),
    problems=("not_found", "conflict", *_TAKEN, *_REPEATED),
)
@routes.in_lane("adding")
@repeatable(lambda told, entry: product_answer(told["sku"]))
def restore_deleted(entry: uuid.UUID) -> Response:
    """Restore from the bin what was deleted, within 30 days: a product, or photos of one."""
    return product_answer(products.undelete(catalog(), entry, actor=actor()).sku)


def _new_sku() -> str:
    from web.api.schemas import RenameBody

    return str(product_bodies.body(RenameBody).sku)
