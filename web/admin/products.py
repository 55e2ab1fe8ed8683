"""The product list, and the page of one product: its facts, SKU and barcodes. Its photos: web/admin/photos.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import margins, products
from catalog.errors import CatalogError, ConflictError, InvalidInputError, PhotoQuestionableError, SkuExistsError
from catalog.normalization import check_sku
from catalog.storage import answer_counts
from web import errors, routes
from web.admin import facts_form
from web.admin.base import attempt, blueprint, flash_deleted, go_to
from web.admin.early_uploads import form_photos
from web.admin.facts_form import FactsForm
from web.admin.list_query import ListQuery, Place, carry_place, offered
from web.context import actor, by_staff, catalog
from web.words import counted

Page = str | Response | tuple[str, int]

PAGE = 48
pages = blueprint("products", "/products")
pages.url_defaults(carry_place)


@pages.get("/")
def index() -> str:
    """Products with thumbnails: search, filters, orders and keyset pagination, all in the address."""
    args, database = request.args, catalog().database
    query = ListQuery.of(args)
    after, before = args.get("after", ""), args.get("before", "")
    done = args.get("done", type=int)
    return render_template(
        "pages/products.html",
        page=products.list_page(database, query.only, order=query.order, after=after, before=before, limit=PAGE),
        counts=products.counts(database),
        query=query,
        changed=products.bulk_entry(database, done) if done is not None else None,
        **offered(),
    )


@dataclass(frozen=True)
class Refused:
    """A field whose value was refused, as it was typed, and why."""

    field: str
    value: str
    error: CatalogError


@pages.get("/<sku:sku>")
def show(sku: str) -> str:
    """A product with all that staff do with it; offers barcodes just read from its photos."""
    return _page(sku)


def _page(sku: str, form: FactsForm | None = None, refused: Refused | None = None) -> str:
    database = catalog().database
    product = products.get(database, sku)
    if form is not None and form.error is not None:
        form = facts_form.refused(form, product, form.error)
    return render_template(
        "pages/product.html",
        product=product,
        form=form or facts_form.of_product(product),
        refused=refused,
        more_rows=facts_form.MORE,
        pending=products.pending_photos(database, product),
        found=products.barcode_owners.look_up(database, request.args.getlist("read")),
        needed=margins.needed_margin(database, product.id),
        rivals=margins.rivals(database, product.id),
        recognized=answer_counts.recognized(database, product.id),
        known=products.suggestions(database),
        place=Place.of(request.args.get("list", ""), product.sku),
    )


@pages.post("/<sku:sku>/facts")
def change(sku: str) -> Page:
    """New facts, or the page again: an error beside its field, or what somebody else has changed since."""
    form = facts_form.typed(sku)
    try:
        products.change(catalog().database, form.facts(), version=form.version, actor=actor())
    except (InvalidInputError, ConflictError) as error:
        return _page(sku, form=replace(form, error=error)), errors.status_of(error)
    flash("Saved.", "success")
    return redirect(url_for("products.show", sku=sku))


@pages.post("/<sku:sku>/rename")
def rename(sku: str) -> Page:
    """Another SKU."""
    new = request.form.get("sku", "")
    try:
        version = request.form.get("version", type=int)
        products.rename(catalog(), sku, new, version=version, actor=actor())
    except (InvalidInputError, SkuExistsError, ConflictError) as error:
        return _page(sku, refused=Refused("sku", new, error)), errors.status_of(error)
    new = check_sku(new)
    flash(f"The SKU is {new} now.", "success")
    return redirect(url_for("products.show", sku=new, list=request.args.get("list")))


@pages.post("/<sku:sku>/photos")
@routes.takes_photos(routes.MAX_REQUEST, "adding")
def add_photos(sku: str) -> Response | tuple[str, int]:
    """Add photos; the page's script first gets the warnings about them, if any."""
    strict = errors.wants_problem() and "anyway" not in request.form

    read: list[str] = []

    def add() -> str:
        added = products.add_photos(catalog(), sku, form_photos("photos"), by_staff(strict=strict))
        read.extend(found.gtin for found in added.barcodes_found)
        fresh = sum(not photo.duplicate for photo in added.photos)
        said = f"{counted(fresh, 'photo')} added"
        if not added.searchable:
            return f"{said}; pending: {added.photos[0].reason}"
        return f"{said} and searchable in {added.milliseconds:.0f} ms."

    try:
        return _done(sku, "", add, read)
    except PhotoQuestionableError as error:
        return render_template("parts/questions.html", problem=error), errors.status_of(error)


@pages.post("/<sku:sku>/barcodes")
def add_barcode(sku: str) -> Page:
    """Add a barcode, typed or read from a photo; the others that were read are still offered."""
    typed = request.form.get("barcode", "")
    try:
        products.barcode_owners.add(catalog().database, sku, typed, actor=actor())
    except (InvalidInputError, ConflictError) as error:
        return _page(sku, refused=Refused("barcode", typed, error)), errors.status_of(error)
    flash("The barcode is kept.", "success")
    return redirect(url_for("products.show", sku=sku, read=request.form.getlist("read")))


@pages.post("/<sku:sku>/barcodes/<number>/remove")
def remove_barcode(sku: str, number: str) -> Response:
    """Remove a barcode."""
    done = "The barcode is removed."
    return _done(sku, done, lambda: products.barcode_owners.remove(catalog().database, sku, number, actor=actor()))


@pages.post("/<sku:sku>/active")
def set_active(sku: str) -> Response:
    """Retire or restore."""
    active = request.form.get("active") == "1"
    done = "Back in the catalog." if active else "Retired: it is no longer recognized."
    return _done(sku, done, lambda: products.set_active(catalog(), sku, active, actor=actor()))


@pages.post("/<sku:sku>/delete")
def delete(sku: str) -> Response:
    """Put the product into the bin, with all that it has."""
    entry = products.delete_product(catalog(), sku, actor=actor())
    flash_deleted(f"The product {sku} is deleted and no longer recognized.", entry)
    return redirect(url_for("products.index"))


def _done(sku: str, message: str, change: Callable[[], str | None], read: Sequence[str] = ()) -> Response:
    """Make a change and redirect to the product's page with a message of success or failure.

    `read`: barcodes that the page then offers to keep; the change may fill it.
    """
    attempt(change, message)
    return go_to(url_for("products.show", sku=sku, read=read))
