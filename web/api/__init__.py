"""The POS API, version 1. Its description is made from this code: GET /openapi/v1.json."""

from __future__ import annotations

from typing import Any

from flask import Flask

from web.api.views import blueprint, spec
from web.security import csrf

_FILE = {"type": "string", "format": "binary"}
#: What SpecTree can't say: a file as the body, and several files in one field.
_BODIES: dict[str, Any] = {
    "/api/v1/recognize": {
        "multipart/form-data": {"schema": {"type": "object", "required": ["photo"], "properties": {"photo": _FILE}}},
        "image/*": {"schema": _FILE},
    },
    "/api/v1/products": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["sku", "photos"],
                "properties": {
                    "sku": {"type": "string", "maxLength": 64},
                    "name": {"type": "string", "maxLength": 200},
                    "brand": {"type": "string", "maxLength": 100},
                    "category": {"type": "string", "maxLength": 100},
                    "photos": {"type": "array", "items": _FILE},
                },
            }
        }
    },
}


def init_app(app: Flask) -> None:
    """Register the API; a key takes the place of the CSRF token."""
    csrf.exempt(blueprint)
    app.register_blueprint(blueprint)
    spec.register(app)
    with app.app_context():
        for path, content in _BODIES.items():
            spec.spec["paths"][path]["post"]["requestBody"] = {"required": True, "content": content}
