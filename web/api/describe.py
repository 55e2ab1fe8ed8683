"""The API's OpenAPI description, by SpecTree.

Imported at the first request for it: a restart need not wait for SpecTree and pydantic, and no till needs them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Flask
from spectree import Response, SecurityScheme, SecuritySchemeData, SpecTree
from spectree.models import SecureType

from web.api import views
from web.api.schemas import Added, Problem, Recognition

_FILE = {"type": "string", "format": "binary"}
_TEXTS = {"type": "array", "items": {"type": "string"}}
#: Path -> view, its response on success, the statuses of problems, the request body (which SpecTree can't express).
_PATHS: dict[str, tuple[Any, dict[str, Any], tuple[int, ...], dict[str, Any]]] = {
    "/api/v1/recognize": (
        views.recognize,
        {"HTTP_200": Recognition},
        (401, 403, 413, 415, 422, 503),
        {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["photo"],
                    "properties": {"photo": _FILE, "label": _TEXTS, "sku": _TEXTS},
                }
            },
            "image/*": {"schema": _FILE},
        },
    ),
    "/api/v1/products": (
        views.create_product,
        {"HTTP_201": Added},
        (401, 403, 409, 413, 415, 422, 503),
        {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["sku", "photos"],
                    "properties": {
                        "sku": {"type": "string", "maxLength": 64},
                        "name": {"type": "string", "maxLength": 200},
                        "brand": {"type": "string", "maxLength": 100},
                        "category": {"type": "string", "maxLength": 100},
                        "strict": {"type": "boolean", "default": False},
                        "barcode": _TEXTS,
                        "photos": {"type": "array", "items": _FILE},
                    },
                }
            }
        },
    ),
    "/api/v1/recognitions/<uuid:answer>/feedback": (
        views.add_feedback,
        {"HTTP_204": None},
        (401, 403, 404, 422, 503),
        {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["correct"],
                    "properties": {
                        "correct": {"type": "boolean"},
                        "sku": {"type": "string", "maxLength": 64},
                        "note": {"type": "string", "maxLength": 500},
                    },
                }
            }
        },
    ),
}


@cache
def description() -> dict[str, Any]:
    """OpenAPI 3, for code generators. Generated from the views' docstrings and the schemas, on an app of its own."""
    app = Flask("description")
    spec = SpecTree(
        "flask",
        title="Product catalog",
        version="v1",
        path="openapi",
        page_templates={},
        annotations=False,
        security_schemes=[SecurityScheme(name="key", data=SecuritySchemeData(type=SecureType.HTTP, scheme="bearer"))],
        security={"key": []},
    )
    for path, (view, answer, problems, _) in _PATHS.items():
        answers = Response(**answer, **{f"HTTP_{status}": Problem for status in problems})
        app.add_url_rule(path, view_func=spec.validate(resp=answers, skip_validation=True)(view), methods=["POST"])
    spec.register(app)
    with app.app_context():
        described: dict[str, Any] = spec.spec
    for path, (_, _, _, body) in _PATHS.items():
        described["paths"][path.replace("<uuid:answer>", "{answer}")]["post"]["requestBody"] = {
            "required": True,
            "content": body,
        }
    return described
