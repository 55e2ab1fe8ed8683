"""ETags of products: what was changed since it was seen is not overwritten, and what is known is not sent again.

RFC 9110: ETag, If-Match, If-None-Match. A photo is a part of its product, and has the product's ETag.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Mapping

from flask import Response, request

from catalog import products
from catalog.storage.tables import Product


def etag_of(product: Product, pending: Mapping[uuid.UUID, str]) -> str:
    """The tag, without quotes, of a product whose photos `pending` are not searchable yet, and why.

    After a dot it says what of them, which nobody has changed: If-Match ignores that (see `seen`).
    """
    tag = products.tag(product)
    waiting = sorted(f"{photo.id} {pending[photo.id]}" for photo in product.photos if photo.id in pending)
    return tag if not waiting else f"{tag}.{hashlib.sha256(repr(waiting).encode()).hexdigest()[:8]}"


def seen() -> Collection[str] | None:
    """One of which the product's tag must be: those of If-Match; None without it, and for any (*).

    A weak tag matches nothing.
    """
    if not request.headers.get("If-Match", "").strip() or request.if_match.star_tag:
        return None
    return {(tag or "").partition(".")[0] for tag in request.if_match.as_set()}  # an empty tag is read as None


def wants_new() -> bool:
    """Whether what is put must not be there yet: If-None-Match: *."""
    return request.if_none_match.star_tag


def tagged(response: Response, etag: str) -> Response:
    """The answer with its ETag; 304 without a body for who has it already."""
    if request.method in ("GET", "HEAD") and request.if_none_match.contains_weak(etag):
        response = Response(status=304)
    response.set_etag(etag)
    response.headers.setdefault("Cache-Control", "private, no-cache")  # kept, but asked for each time
    return response
