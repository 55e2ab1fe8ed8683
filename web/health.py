"""Health checks for load balancers and operators: liveness, and readiness of all parts."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from catalog import products
from catalog.errors import CatalogError
from web import errors, routes
from web.context import catalog

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@routes.in_lane("express")
def alive() -> Response:
    """Liveness: the process answers."""
    return jsonify(status="ok")


@blueprint.get("/health/ready")
@routes.in_lane("ready")
def ready() -> Response:
    """Readiness: database, model and gallery answer; else 503, naming the one that does not."""
    try:
        live = catalog().generations.ready()
        points = catalog().gallery.count(live.collection)
        counted = products.counts(catalog().database)
    except CatalogError as error:
        return errors.problem(503, error.code, "Not ready", str(error))
    return jsonify(
        status="ok",
        bundle=live.embedder.bundle.id,
        products=counted.products,
        photos=counted.photos,
        pending=counted.pending,
        gallery=points,
    )
