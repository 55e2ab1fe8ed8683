"""Reference photos for the staff's pages, addressed by content, so a browser may cache them for ever."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from flask import Blueprint, Response, abort

from catalog import recognition
from catalog.catalog import Catalog
from embedder.errors import ImageError
from embedder.matching import to_jpeg
from web.context import catalog
from web.thumbnails import LARGE, thumbnail

blueprint = Blueprint("pictures", __name__)


@lru_cache(maxsize=512)  # about 10 KB each
def _thumbnail(catalog: Catalog, sha256: str) -> bytes:
    return thumbnail(catalog.photos.get(sha256))


@blueprint.get("/photos/<sha256>/thumbnail")
def show(sha256: str) -> Response:
    """A small JPEG of a stored photo."""
    return _answer(lambda: _thumbnail(catalog(), sha256), sha256)


@blueprint.get("/photos/<sha256>/large")
def large(sha256: str) -> Response:
    """A large JPEG of a stored photo, to look at closely."""
    return _answer(lambda: thumbnail(catalog().photos.get(sha256), LARGE), sha256)


@blueprint.get("/photos/<sha256>/compare/<other>")
def compare(sha256: str, other: str) -> Response:
    """Two stored photos side by side, their matching local features joined."""
    return _answer(lambda: to_jpeg(recognition.stored_picture(catalog().photos, sha256, other)), sha256, other)


def _answer(make: Callable[[], bytes], *names: str) -> Response:
    if not all(re.fullmatch(r"[0-9a-f]{64}", name) for name in names):
        abort(404)
    try:
        data = make()
    except ImageError:
        abort(404)
    response = Response(data, content_type="image/jpeg")
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    return response
