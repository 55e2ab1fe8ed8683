"""The product list, and the page of one product."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from flask import abort, flash, redirect, request, url_for
from flask_admin import AdminIndexView, expose
from werkzeug.wrappers import Response

from catalog import products
from catalog.errors import CatalogError
from catalog.products import Facts
from web import errors
from web.admin.base import SignedInOnly
from web.context import actor, catalog, uploads

PAGE = 48


class ProductsView(SignedInOnly, AdminIndexView):  # type: ignore[misc]
    """The first page."""

    @expose("/")
    def index(self) -> str:
        """Products with thumbnails, by SKU, searched and paged by key."""
        search, after = request.args.get("search", ""), request.args.get("after", "")
        retired = request.args.get("retired") == "1"
        page = products.list_page(catalog(), search=search, after=after, limit=PAGE, retired=retired)
        return str(
            self.render(
                "pages/products.html",
                page=page,
                counts=products.counts(catalog()),
                search=search,
                after=after,
                retired=retired,
            )
        )

    @expose("/<sku>")
    def show(self, sku: str) -> str:
        """One product, its photos and what is pending."""
        product = products.get(catalog(), sku)
        return str(
            self.render("pages/product.html", product=product, pending=products.pending_photos(catalog(), product))
        )

    @expose("/<sku>/facts", methods=["POST"])
    def change(self, sku: str) -> Response:
        """New name, brand, category."""
        form = request.form
        facts = Facts(sku, form.get("name", ""), form.get("brand", ""), form.get("category", ""))
        version = form.get("version", type=int)
        return _done(sku, "Saved.", lambda: products.change(catalog(), facts, version=version, actor=actor()))

    @expose("/<sku>/photos", methods=["POST"])
    def add_photos(self, sku: str) -> Response:
        """More photos."""

        def add() -> str:
            added = products.add_photos(catalog(), sku, uploads("photos"), actor=actor())
            fresh = sum(not photo.duplicate for photo in added.photos)
            if not added.searchable:
                return f"{fresh} photos added; pending: {added.photos[0].reason}"
            return f"{fresh} photos added and searchable in {added.milliseconds:.0f} ms."

        return _done(sku, "", add)

    @expose("/<sku>/photos/<photo>/delete", methods=["POST"])
    def delete_photo(self, sku: str, photo: str) -> Response:
        """Take a photo away."""
        try:
            identity = uuid.UUID(photo)
        except ValueError:
            abort(404)
        return _done(
            sku,
            "The photo is deleted and no longer recognized.",
            lambda: products.delete_photo(catalog(), sku, identity, actor=actor()),
        )

    @expose("/<sku>/active", methods=["POST"])
    def set_active(self, sku: str) -> Response:
        """Retire or restore."""
        active = request.form.get("active") == "1"
        done = "Back in the catalog." if active else "Retired: it is no longer recognized."
        return _done(sku, done, lambda: products.set_active(catalog(), sku, active, actor=actor()))


def _done(sku: str, message: str, change: Callable[[], str | None]) -> Response:
    """Make a change and go back to the product's page with a message, good or bad."""
    try:
        flash(change() or message, "success")
    except CatalogError as error:
        if errors.status_of(error) == 404:
            raise
        flash(str(error), "danger")
    return redirect(url_for("products.show", sku=sku))
