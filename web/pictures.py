"""Reference photos for the staff's pages. By content, so a browser may keep them for ever."""

from __future__ import annotations

import re
from functools import lru_cache

from flask import Blueprint, Response, abort
from flask_login import login_required

from catalog.photos import thumbnail
from catalog.service import Catalog
from embedder.errors import ImageError
from web.context import catalog

blueprint = Blueprint("pictures", __name__)


@lru_cache(maxsize=512)  # about 10 KB each
def _thumbnail(catalog: Catalog, sha256: str) -> bytes:
    return thumbnail(catalog.photos.get(sha256))


@blueprint.get("/photos/<sha256>/thumbnail")
@login_required  # type: ignore[untyped-decorator]
def show(sha256: str) -> Response:
    """A small JPEG of a stored photo."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        abort(404)
    try:
        data = _thumbnail(catalog(), sha256)
    except ImageError:
        abort(404)
    response = Response(data, content_type="image/jpeg")
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    return response
