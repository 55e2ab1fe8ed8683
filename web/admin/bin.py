"""The bin: photos and products that were deleted, for 30 days."""

from __future__ import annotations

import uuid

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from catalog import products
from catalog.errors import CatalogError
from web import errors, routes
from web.admin.base import attempt, blueprint
from web.context import actor, catalog, page_number
from web.words import counted

PAGE = 24
pages = blueprint("bin", "/bin")


@pages.get("/")
def index() -> str:
    """What was deleted, the newest first."""
    number = page_number()
    shown = products.list_deleted(catalog().database, start=number * PAGE, limit=PAGE)
    return render_template("pages/bin.html", bin=shown, number=number, last=(shown.total - 1) // PAGE)


@pages.post("/<uuid:entry>/delete")
def delete_for_good(entry: uuid.UUID) -> Response:
    """Nothing brings it back any more."""
    gone = "It is deleted for good."
    attempt(lambda: products.delete_for_good(catalog().database, entry, actor=actor()), gone, raising=(503,))
    return redirect(url_for("bin.index", page=page_number() or None))


@pages.post("/<uuid:entry>/restore")
@routes.in_lane("adding")
def restore(entry: uuid.UUID) -> Response:
    """Restore it, searchable again, and go to the product."""
    try:
        done = products.undelete(catalog(), entry, actor=actor())
    except CatalogError as error:
        if errors.status_of(error) == 503:
            raise
        flash(str(error), "danger")
        return redirect(url_for("bin.index"))
    photos = counted(done.photos, "photo")
    flash(f"{done.name} is back, with {photos}." if done.whole else f"{photos} restored.", "success")
    return redirect(url_for("products.show", sku=done.sku))
