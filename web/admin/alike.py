"""The product list ordered by likeness to a photo."""

from __future__ import annotations

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response

from catalog import recognition
from catalog.errors import CatalogError
from web import errors, routes
from web.admin.base import blueprint
from web.context import catalog, one_upload

Page = str | tuple[str, int]
pages = blueprint("alike", "/alike")


@pages.get("/")
def index() -> Response:
    """The list, where a photo is chosen: an answer can't be loaded again, since the photo is stored nowhere."""
    return redirect(url_for("products.index"))


@pages.post("/")
@routes.takes_photos(routes.MAX_PHOTO_REQUEST, "tills")
def find() -> Page:
    """The products: a fragment for the page's script, else a whole page."""
    try:
        photo = one_upload("photo")
        matches = recognition.find_alike(catalog(), photo.data, filename=photo.filename)
    except CatalogError as error:
        if errors.wants_problem():
            raise
        return render_template("pages/alike.html", matches=None, problem=error), errors.status_of(error)
    if errors.wants_problem():
        return render_template("parts/alike.html", matches=matches)
    return render_template("pages/alike.html", matches=matches, problem=None)
