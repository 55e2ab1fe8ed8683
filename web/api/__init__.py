"""The POS API, version 1. Its OpenAPI description is generated from this code: GET /openapi/v1.json."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, jsonify, render_template

from web.api import (
    answers,
    changes,
    imports,
    offline,
    operation,
    product_photos,
    products,
    recognizing,
)
from web.api.blueprint import blueprint
from web.security import csrf

#: Modules whose views are the API's operations, in the order in which they are described: what is not named here is not
#: served.
OPERATIONS = (recognizing, answers, products, product_photos, changes, imports, offline)


def init_app(app: Flask) -> None:
    """Register the API; it has API keys instead of CSRF tokens."""
    operation.init_app(app)
    csrf.exempt(blueprint)
    app.register_blueprint(blueprint)
    offline.init_app(app, app.config["CATALOG"])

    app.register_blueprint(_swagger_ui())

    @app.get("/openapi/v1.json")
    def description() -> Response:
        """The OpenAPI description, for code generators."""
        from web.api import describe

        return jsonify(describe.description(current_app))

    @app.get("/docs")
    def docs() -> str:
        """The description as a page, to read and to try."""
        return render_template("pages/docs.html")


def _swagger_ui() -> Blueprint:
    """The files of Swagger UI, out of the package that carries them; it is not imported."""
    found = find_spec("flask_swagger_ui")
    folder = Path(found.origin).parent / "dist" if found and found.origin else None
    return Blueprint("swagger_ui", __name__, static_folder=folder, static_url_path="/swagger-ui")
