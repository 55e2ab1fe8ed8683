"""Add a product with several photos, and see the proof that it is found."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from flask import render_template, request

from catalog import inbox, products
from catalog.errors import CatalogError, NotFoundError, PhotoQuestionableError
from embedder.barcodes import gtin
from web import errors, routes
from web.admin.base import blueprint
from web.admin.early_uploads import form_photos
from web.context import by_staff, catalog, facts, ids

Page = str | tuple[str, int]
pages = blueprint("add", "/add")


@pages.get("/")
def index() -> Page:
    """The form: empty, or with photos of the inbox and the barcode that is on them."""
    waiting = ids(request.args.getlist("inbox"), products.MAX_PHOTOS)
    return _form(products.Facts("", barcodes=_read(waiting)), waiting)


@pages.post("/")
@routes.takes_photos(routes.MAX_REQUEST, "adding")
def add() -> Page:
    """Show warnings about the photos, if any, and save only when told "anyway"; else add, and show the result."""
    given = facts(request.form.get("sku", ""))
    waiting = ids(request.form.getlist("inbox"), products.MAX_PHOTOS)
    try:
        strict = "anyway" not in request.form
        added = inbox.create_product(catalog(), given, waiting, form_photos("photos"), by_staff(strict=strict))
    except PhotoQuestionableError as error:
        if errors.wants_problem():
            return render_template("parts/questions.html", problem=error), errors.status_of(error)
        return _form(given, waiting, error), errors.status_of(error)
    except CatalogError as error:
        if errors.wants_problem():
            raise
        return _form(given, waiting, error), errors.status_of(error)
    if errors.wants_problem():
        return render_template("parts/added.html", added=added), 201
    return render_template("pages/added.html", added=added), 201


def _form(given: products.Facts, waiting: Sequence[uuid.UUID], problem: CatalogError | None = None) -> str:
    return render_template("pages/add.html", facts=given, problem=problem, waiting=waiting)


def _read(photos: Sequence[uuid.UUID]) -> tuple[str, ...]:
    """Barcodes on photos of the inbox, as they are printed."""
    try:
        return tuple(map(gtin.printed_gtin, inbox.barcodes_on(catalog().database, photos)))
    except NotFoundError:  # decided on meanwhile: sending the form says so
        return ()
