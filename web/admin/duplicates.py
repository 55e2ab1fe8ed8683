"""Duplicates: products that are likely in the catalog twice, and what a person says about each pair."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import products
from web.admin.base import attempt, blueprint
from web.context import actor, catalog, page_number

PAGE = 20
pages = blueprint("duplicates", "/duplicates")


@pages.get("/")
def index() -> str:
    """Pairs of products, the surest first, each with the reasons."""
    number = page_number()
    found = products.duplicates.list_duplicates(catalog().database, start=number * PAGE, limit=PAGE)
    return render_template("pages/duplicates.html", found=found, number=number, last=(found.total - 1) // PAGE)


@pages.post("/different")
def set_different() -> Response:
    """They differ: the pair is not shown again."""
    sku, other = request.form.get("sku", ""), request.form.get("other", "")
    number = page_number()
    attempt(
        lambda: products.set_different(catalog().database, sku, other, actor=actor()),
        f"{sku} and {other} differ: they are not shown together again.",
        raising=(503,),
    )
    return redirect(url_for("duplicates.index", page=number or None))
