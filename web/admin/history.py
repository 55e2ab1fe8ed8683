"""The history of one product, and changes of it that are reverted."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import products
from catalog.errors import CatalogError
from catalog.normalization import MOST
from web import errors, routes
from web.admin.base import blueprint
from web.admin.list_query import carry_place
from web.context import actor, catalog

PAGE = 30
pages = blueprint("history", "/products")
pages.url_defaults(carry_place)


@pages.get("/<sku:sku>/history")
def show(sku: str) -> str:
    """What was changed, by whom, the newest first."""
    before = request.args.get("before", type=int)
    log = products.list_changes(catalog().database, sku, before=before, limit=PAGE)
    return render_template("pages/history.html", log=log, before=before)


@pages.post("/<sku:sku>/history/<int:change>/revert")
@routes.in_lane("adding")
def revert(sku: str, change: int) -> Response:
    """Make it as it was before that change."""
    try:
        sku = products.revert(catalog(), sku, min(change, MOST), actor=actor())
        flash("It is as it was before that change.", "success")
    except CatalogError as error:
        if errors.status_of(error) in (404, 503):
            raise
        flash(str(error), "danger")
    return redirect(url_for("history.show", sku=sku))
