"""The product list, and the page of one product."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from flask import abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import margins, products
from catalog.errors import CatalogError, PhotoQuestionableError
from catalog.products import barcode_owners
from web import errors, routes
from web.admin.base import blueprint
from web.context import actor, by_staff, catalog, facts, uploads

PAGE = 48
pages = blueprint("products", "/products")


@pages.get("/")
def index() -> str:
    """Products with thumbnails, sorted by SKU, with search and keyset pagination."""
    search, after = request.args.get("search", ""), request.args.get("after", "")
    retired = request.args.get("retired") == "1"
    only = products.Filter(search, retired=retired)
    page = products.list_page(catalog().database, only, after=after, limit=PAGE)
    return render_template(
        "pages/products.html",
        page=page,
        counts=products.counts(catalog().database),
        search=search,
        after=after,
        retired=retired,
    )


@pages.get("/<sku:sku>")
def show(sku: str) -> str:
    """A product, its photos, which are pending, the margin it needs; offers barcodes just read from its photos."""
    product = products.get(catalog().database, sku)
    pending = products.pending_photos(catalog().database, product)
    found = barcode_owners.look_up(catalog().database, request.args.getlist("read"))
    needed = margins.needed_margin(catalog().database, product.id)
    return render_template("pages/product.html", product=product, pending=pending, found=found, needed=needed)


@pages.post("/<sku:sku>/facts")
def change(sku: str) -> Response:
    """New name, brand, category."""
    version = request.form.get("version", type=int)
    return _done(sku, "Saved.", lambda: products.change(catalog().database, facts(sku), version=version, actor=actor()))


@pages.post("/<sku:sku>/photos")
@routes.takes_photos(routes.MAX_REQUEST, "adding")
def add_photos(sku: str) -> Response | tuple[str, int]:
    """Add photos; the page's script first gets the warnings about them, if any."""
    strict = errors.wants_problem() and "anyway" not in request.form

    read: list[str] = []

    def add() -> str:
        added = products.add_photos(catalog(), sku, uploads("photos"), by_staff(strict=strict))
        read.extend(found.gtin for found in added.barcodes_found)
        fresh = sum(not photo.duplicate for photo in added.photos)
        if not added.searchable:
            return f"{fresh} photos added; pending: {added.photos[0].reason}"
        return f"{fresh} photos added and searchable in {added.milliseconds:.0f} ms."

    try:
        return _done(sku, "", add, read)
    except PhotoQuestionableError as error:
        return render_template("parts/questions.html", problem=error), errors.status_of(error)


@pages.post("/<sku:sku>/photos/<photo>/delete")
def delete_photo(sku: str, photo: str) -> Response:
    """Delete a photo."""
    try:
        identity = uuid.UUID(photo)
    except ValueError:
        abort(404)
    return _done(
        sku,
        "The photo is deleted and no longer recognized.",
        lambda: products.delete_photo(catalog(), sku, identity, actor=actor()) and None,
    )


@pages.post("/<sku:sku>/barcodes")
def add_barcode(sku: str) -> Response:
    """Add a barcode, typed or read from a photo; the others that were read are still offered."""
    form = request.form
    return _done(
        sku,
        "The barcode is kept.",
        lambda: barcode_owners.add(catalog().database, sku, form.get("barcode", ""), actor=actor()),
        form.getlist("read"),
    )


@pages.post("/<sku:sku>/barcodes/<number>/remove")
def remove_barcode(sku: str, number: str) -> Response:
    """Remove a barcode."""
    done = "The barcode is removed."
    return _done(sku, done, lambda: barcode_owners.remove(catalog().database, sku, number, actor=actor()))


@pages.post("/<sku:sku>/active")
def set_active(sku: str) -> Response:
    """Retire or restore."""
    active = request.form.get("active") == "1"
    done = "Back in the catalog." if active else "Retired: it is no longer recognized."
    return _done(sku, done, lambda: products.set_active(catalog(), sku, active, actor=actor()))


def _done(sku: str, message: str, change: Callable[[], str | None], read: Sequence[str] = ()) -> Response:
    """Make a change and redirect to the product's page with a message of success or failure.

    `read`: barcodes that the page then offers to keep; the change may fill it.
    """
    try:
        flash(change() or message, "success")
    except PhotoQuestionableError:
        raise
    except CatalogError as error:
        if errors.status_of(error) == 404:
            raise
        flash(str(error), "danger")
    return redirect(url_for("products.show", sku=sku, read=read))
