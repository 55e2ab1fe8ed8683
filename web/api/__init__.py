"""The POS API, version 1. Its description is made from this code: GET /openapi/v1.json."""

from __future__ import annotations

from flask import Flask, Response, jsonify

from web.api.views import blueprint
from web.security import csrf


def init_app(app: Flask) -> None:
    """Register the API; a key takes the place of the CSRF token."""
    csrf.exempt(blueprint)
    app.register_blueprint(blueprint)

    @app.get("/openapi/v1.json")
    def description() -> Response:
        """For code generators."""
        from web.api import describe

        return jsonify(describe.description())
