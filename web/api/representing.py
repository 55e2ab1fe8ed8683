"""Products and photos as the API shows them: see the models of web/api/schemas/products.py."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Response, jsonify, url_for

from catalog import products
from catalog.errors import NotFoundError
from catalog.products import RETIRED, AddResult, PhotoResult
from catalog.storage.tables import Photo, Product
from web.api.etags import etag_of, tagged
from web.context import catalog

Pending = Mapping[uuid.UUID, str]


def found(sku: str) -> tuple[Product, Pending]:
    """A product, and its photos that are not searchable yet, and why. Raises NotFoundError."""
    product = products.get(catalog().database, sku)
    return product, products.pending_photos(catalog().database, product)


def product_answer(sku: str, status: int = 200) -> Response:
    """A product as it is now, with its ETag. Raises NotFoundError."""
    product, pending = found(sku)
    return answer(product_dict(product, pending), product, pending, status)


def answer(body: Mapping[str, Any], product: Product, pending: Pending, status: int = 200) -> Response:
    """An answer about a product, with its ETag, and with its address if it was added."""
    response = jsonify(body)
    response.status_code = status
    if status == 201:
        response.headers["Location"] = url_for("api.get_product", sku=product.sku)
    return tagged(response, etag_of(product, pending))


def added_answer(added: AddResult) -> Response:
    """What became of photos that were added."""
    try:
        product, pending = found(added.sku)
    except NotFoundError:  # renamed or deleted in the meantime; the photos were added all the same
        response = jsonify(added_dict(added))
        response.status_code = 201
        return response
    return answer(added_dict(added), product, pending, 201)


def product_dict(product: Product, pending: Pending) -> dict[str, Any]:
    """As in web.api.schemas.Product."""
    return {
        "sku": product.sku,
        "name": product.name,
        "brand": product.brand,
        "category": product.category,
        "variant_group": product.variant_group,
        "labels": [label.name for label in product.labels],
        "attributes": {key: str(value) for key, value in product.attributes.items()},
        "barcodes": [barcode.gtin for barcode in product.barcodes],
        "active": product.active,
        "searchable": product.active and bool(product.photos) and not any(p.id in pending for p in product.photos),
        "photos": [photo_dict(product, photo, pending) for photo in product.photos],
        "created_at": product.created_at.isoformat(),
        "updated_at": product.updated_at.isoformat(),
        "etag": f'"{etag_of(product, pending)}"',
        "url": url_for("api.get_product", sku=product.sku),
    }


def photo_dict(product: Product, photo: Photo, pending: Pending) -> dict[str, Any]:
    """As in web.api.schemas.StoredPhoto."""
    waits = photo.id in pending or not product.active
    place: dict[str, Any] = {"sku": product.sku, "photo": photo.id}
    return {
        "id": str(photo.id),
        "sha256": photo.sha256,
        "filename": photo.filename,
        "width": photo.width,
        "height": photo.height,
        "bytes": photo.bytes,
        "source": photo.source,
        "cover": photo is product.photos[0],
        "warnings": list(photo.warnings),
        "state": "pending" if waits else "searchable",
        "reason": (pending.get(photo.id) or "not tried yet" if product.active else RETIRED) if waits else "",
        "created_at": photo.created_at.isoformat(),
        "url": url_for("api.get_photo", **place),
        "file_url": url_for("api.get_photo_file", **place),
    }


def added_dict(added: AddResult) -> dict[str, Any]:
    """As in web.api.schemas.Added."""
    return {
        "sku": added.sku,
        "name": added.name,
        "searchable": added.searchable,
        "milliseconds": round(added.milliseconds, 1),
        "photos": [result_dict(photo) for photo in added.photos],
        "barcodes": list(added.barcodes),
        "barcodes_found": [{"gtin": found.gtin, "sku": found.sku or None} for found in added.barcodes_found],
    }


def result_dict(photo: PhotoResult) -> dict[str, Any]:
    """As in web.api.schemas.Photo."""
    return {
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


def deleted_answer(sku: str, entry: str) -> Response:
    """What was deleted, as in web.api.schemas.Deleted."""
    return jsonify({"sku": sku, "entry": entry, "restore_url": url_for("api.restore_deleted", entry=entry)})
