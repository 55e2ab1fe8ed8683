"""Health checks for load balancers and operators: liveness, and readiness of all parts."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, current_app, jsonify

from catalog.catalog import Catalog
from catalog.errors import CatalogError
from catalog.maintenance import Readiness
from web import errors, routes

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@routes.in_lane("express")
def alive() -> Response:
    """Liveness: the process answers."""
    return jsonify(status="ok")


@blueprint.get("/health/ready")
@routes.in_lane("ready")
def ready() -> Response:
    """Readiness: database, model and gallery answer; else 503, naming the one that does not. Quick in any case."""
    readiness: Readiness = current_app.extensions["readiness"]
    try:
        found = readiness.check()
    except CatalogError as error:
        return errors.problem(error.code, str(error), status=503)
    return jsonify(
        status="refilling" if found.refilling else "ok",
        bundle=found.bundle,
        products=found.counts.products,
        photos=found.counts.photos,
        pending=found.counts.pending,
        gallery=found.points,
    )


def init_app(app: Flask, catalog: Catalog) -> None:
    """Register the routes."""
    app.extensions["readiness"] = Readiness(catalog)
    app.register_blueprint(blueprint)
