"""The POS API, version 1. Its OpenAPI description is generated from this code: GET /openapi/v1.json."""

from __future__ import annotations

from flask import Flask, Response, current_app, jsonify

from web.api import answers, operation, products, recognizing
from web.api.blueprint import blueprint
from web.security import csrf

#: Modules whose views are the API's operations: what is not named here is not served.
OPERATIONS = (recognizing, answers, products)


def init_app(app: Flask) -> None:
    """Register the API; it has API keys instead of CSRF tokens."""
    operation.init_app(app)
    csrf.exempt(blueprint)
    app.register_blueprint(blueprint)

    @app.get("/openapi/v1.json")
    def description() -> Response:
        """The OpenAPI description, for code generators."""
        from web.api import describe

        return jsonify(describe.description(current_app))
