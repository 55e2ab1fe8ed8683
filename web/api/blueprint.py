"""The blueprint of the API's views, and who asks."""

from __future__ import annotations

from flask import Blueprint, g

from web.api import encodings

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
blueprint.before_request(encodings.unzip)
blueprint.after_request(encodings.zip_answer)


def actor() -> str:
    """Who asks, as logs name it."""
    return f"key {g.key_name}"
