"""Photos of products: list, show, get, add, replace, delete."""

from __future__ import annotations

import uuid

from flask import Response, request, url_for

from catalog import products
from embedder.images import HEAD, decoded_format
from web import routes
from web.api import product_bodies
from web.api.blueprint import actor, blueprint
from web.api.etags import seen
from web.api.idempotency import repeatable
from web.api.operation import FILE, operation
from web.api.representing import added_answer, answer, deleted_answer, found, photo_dict, result_dict
from web.context import catalog

_CHANGED = ("not_found", "precondition_failed", "idempotency_busy", "idempotency_mismatch")
_REFUSED = ("photo_refused", "photo_questionable", "overloaded")
#: A photo's address is derived from its content: what is there never changes.
_FOR_EVER = "private, max-age=31536000, immutable"


@blueprint.get("/products/<sku:sku>/photos")
@operation("catalog:read", {200: "PhotoList", 304: ""}, headers="ReadHeaders", sends=("ETag",), problems=("not_found",))
def list_photos(sku: str) -> Response:
    """List the photos of a product, the cover first."""
    product, pending = found(sku)
    shown = [photo_dict(product, photo, pending) for photo in product.photos]
    return answer({"photos": shown}, product, pending)


@blueprint.get("/products/<sku:sku>/photos/<uuid:photo>")
@operation(
    "catalog:read", {200: "StoredPhoto", 304: ""}, headers="ReadHeaders", sends=("ETag",), problems=("not_found",)
)
def get_photo(sku: str, photo: uuid.UUID) -> Response:
    """Show what is known of a photo. Its ETag is that of its product."""
    product, pending = found(sku)
    return answer(photo_dict(product, products.photo_of(product, photo), pending), product, pending)


@blueprint.get("/products/<sku:sku>/photos/<uuid:photo>/file")
@operation(
    "catalog:read",
    {200: "image/*", 304: ""},
    headers="ReadHeaders",
    sends=("ETag",),
    problems=("not_found", "storage_error"),
)
def get_photo_file(sku: str, photo: uuid.UUID) -> Response:
    """Get the bytes of a photo, as they were sent. They never change: another file is another photo."""
    sha256 = products.photo_of(products.get(catalog().database, sku), photo).sha256
    known = request.if_none_match.contains_weak(sha256)
    data = b"" if known else catalog().photos.get(sha256)
    kind = decoded_format(data[:HEAD])
    media = f"image/{kind.lower()}" if kind else "application/octet-stream"
    response = Response(data, 304 if known else 200, content_type=media)
    response.set_etag(sha256)
    response.headers["Cache-Control"] = _FOR_EVER
    return response


@blueprint.post("/products/<sku:sku>/photos")
@operation(
    "catalog:write",
    {201: "Added"},
    bodies={"multipart/form-data": "AddPhotosForm", "application/json": "AddPhotosBody"},
    headers="ChangeHeaders",
    sends=("ETag", "Location"),
    problems=(*_CHANGED, *_REFUSED),
    takes=("photos", "strict"),
)
@routes.takes_photos(routes.MAX_REQUEST, "adding", most_json=routes.MAX_JSON_REQUEST)
@repeatable(lambda told, sku: added_answer(products.told_again(catalog(), told)))
def add_photos(sku: str) -> Response:
    """Add photos to a product: multipart field `photos`, one or more, or JSON with the photos in base64.

    A photo that the product has already is said to be a `duplicate`. `strict` (true) refuses photos with warnings.
    """
    photos, intake = product_bodies.new_photos()
    return added_answer(products.add_photos(catalog(), sku, photos, intake, seen=seen()))


@blueprint.put("/products/<sku:sku>/photos/<uuid:photo>")
@operation(
    "catalog:write",
    {200: "Photo"},
    bodies={"multipart/form-data": "ReplacePhotoForm", "image/*": FILE, "application/octet-stream": FILE},
    query="ReplacePhotoQuery",
    headers="ChangeHeaders",
    sends=("ETag", "Location"),
    problems=(*_CHANGED, *_REFUSED),
    takes=("photo", "strict"),
)
@routes.takes_photos(routes.MAX_PHOTO_REQUEST, "adding")
@repeatable(lambda told, sku, photo: _replaced(sku, products.replaced_again(catalog(), told)))
def replace_photo(sku: str, photo: uuid.UUID) -> Response:
    """Replace a photo by another: multipart field `photo`, or the image as the body. The old one is in the bin then.

    The new one has another id and address (header Location). `strict` (true) refuses a photo with warnings.
    """
    new, intake = product_bodies.new_photo()
    done = products.replace_photo(catalog(), sku, photo, new, check=intake.check, seen=seen(), actor=actor())
    return _replaced(sku, done)


@blueprint.delete("/products/<sku:sku>/photos/<uuid:photo>")
@operation("catalog:write", {200: "Deleted"}, headers="ChangeHeaders", problems=_CHANGED)
@repeatable(lambda told, sku, photo: deleted_answer(sku, told["entry"]))
def delete_photo(sku: str, photo: uuid.UUID) -> Response:
    """Put a photo into the bin. It is missing from the next answer."""
    entry = products.delete_photos(catalog(), sku, [photo], seen=seen(), actor=actor())
    return deleted_answer(sku, str(entry))


def _replaced(sku: str, done: products.PhotoResult) -> Response:
    product, pending = found(sku)
    response = answer(result_dict(done), product, pending)
    response.headers["Location"] = url_for("api.get_photo", sku=product.sku, photo=done.id)
    return response
