"""The POS API, version 1. Its OpenAPI description is generated from this code: GET /openapi/v1.json."""

from __future__ import annotations

from flask import Flask, Response, jsonify

from web.api.views import blueprint
from web.security import csrf


def init_app(app: Flask) -> None:
    """Register the API; it has API keys instead of CSRF tokens."""
    csrf.exempt(blueprint)
    app.register_blueprint(blueprint)

    @app.get("/openapi/v1.json")
    def description() -> Response:
        """The OpenAPI description, for code generators."""
        from web.api import describe

        return jsonify(describe.description())
