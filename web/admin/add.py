"""Add a product with several photos, and see the proof that it is found."""

from __future__ import annotations

from flask import render_template, request
from flask_admin import expose

from catalog import products
from catalog.errors import CatalogError, PhotoQuestionableError
from catalog.products import Facts
from web import errors, routes
from web.admin.base import StaffView
from web.context import by_staff, catalog, facts, uploads

Page = str | tuple[str, int]


class AddView(StaffView):
    """A form; its script sends the same request and shows the same reply in place."""

    @expose("/", methods=["GET"])
    def index(self) -> Page:
        """The empty form."""
        return str(self.render("pages/add.html", facts=Facts(""), problem=None))

    @expose("/", methods=["POST"])
    @routes.takes_photos(routes.MAX_REQUEST, "adding")
    def add(self) -> Page:
        """Show warnings about the photos, if any, and save only when told "anyway"; else add, and show the result."""
        given = facts(request.form.get("sku", ""))
        try:
            strict = "anyway" not in request.form
            added = products.create(catalog(), given, uploads("photos"), by_staff(strict=strict))
        except PhotoQuestionableError as error:
            if errors.wants_problem():
                return render_template("parts/questions.html", problem=error), errors.status_of(error)
            return str(self.render("pages/add.html", facts=given, problem=error)), errors.status_of(error)
        except CatalogError as error:
            if errors.wants_problem():
                raise
            return str(self.render("pages/add.html", facts=given, problem=error)), errors.status_of(error)
        if errors.wants_problem():
            return render_template("parts/added.html", added=added), 201
        return str(self.render("pages/added.html", added=added)), 201
