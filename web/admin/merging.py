"""Is it the same product? Two products side by side, what stays of each, and the product that they become."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import products
from catalog.errors import CatalogError, ConflictError, InvalidInputError
from web import errors, routes
from web.admin.base import blueprint
from web.context import actor, catalog

#: Products that a search for the other one shows.
FOUND = 24
Page = str | Response | tuple[str, int]
pages = blueprint("merging", "/merge")


@pages.get("/")
def index() -> Page:
    """Two products side by side; of one alone, a search for the other. The page's script asks for the preview alone."""
    sku, other = request.args.get("sku", ""), request.args.get("other", "")
    if not other:
        return _search(sku)
    try:
        seen = products.side_by_side.compare(catalog().database, sku, other, request.args.to_dict())
    except InvalidInputError as error:
        flash(str(error), "danger")
        return redirect(url_for("merging.index", sku=sku))
    if errors.wants_problem():
        return render_template("parts/merged.html", seen=seen)
    return render_template("pages/merge.html", seen=seen, problem=None)


@pages.post("/")
@routes.in_lane("adding")
def merge() -> Page:
    """Merge as the preview showed it; when one was changed since, show both again."""
    form = request.form
    sku, other = form.get("sku", ""), form.get("other", "")
    versions = (form.get("version_one", -1, type=int), form.get("version_other", -1, type=int))
    chosen = form.to_dict()
    try:
        kept = products.side_by_side.merge_chosen(catalog(), sku, other, chosen, versions, actor=actor())
    except ConflictError as error:
        seen = products.side_by_side.compare(catalog().database, sku, other, chosen)
        return render_template("pages/merge.html", seen=seen, problem=error), errors.status_of(error)
    except CatalogError as error:
        flash(str(error), "danger")
        return redirect(url_for("duplicates.index"))
    flash("Both are one product now.", "success")
    return redirect(url_for("products.show", sku=kept))


def _search(sku: str) -> str:
    product = products.get(catalog().database, sku)
    search = request.args.get("search", "")
    found = products.list_page(catalog().database, products.Filter(search), limit=FOUND + 1).products if search else []
    others = [each for each in found if each.id != product.id][:FOUND]
    return render_template("pages/merge_with.html", product=product, search=search, others=others)
