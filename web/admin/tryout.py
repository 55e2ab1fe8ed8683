"""Try a photo: what a till would be answered."""

from __future__ import annotations

from flask import render_template, request
from flask_admin import expose

from catalog.errors import CatalogError, InvalidInputError
from catalog.recognize import recognize
from web import errors
from web.admin.base import StaffView
from web.context import catalog, uploads

Page = str | tuple[str, int]


class TryView(StaffView):
    """A photo in, the answer with pictures out."""

    @expose("/", methods=["GET"])
    def index(self) -> Page:
        """The form."""
        return str(self.render("pages/try.html", answer=None, problem=None))

    @expose("/", methods=["POST"])
    def ask(self) -> Page:
        """The answer, in place for the page's script, as a page without it."""
        try:
            photos = uploads("photo")
            if len(photos) != 1:
                raise InvalidInputError("photo", "Choose one photo.")
            answer = recognize(catalog(), photos[0].data, filename=photos[0].filename)
        except CatalogError as error:
            if errors.wants_problem():
                raise
            return str(self.render("pages/try.html", answer=None, problem=error)), errors.status_of(error)
        thresholds = catalog().live().embedder.bundle.thresholds
        if "X-Requested-With" in request.headers:
            return render_template("parts/answer.html", answer=answer, thresholds=thresholds)
        return str(self.render("pages/try.html", answer=answer, thresholds=thresholds, problem=None))
