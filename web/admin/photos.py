"""The photos of a product: one at a time, large, to edit; or several, to delete or move."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import products
from catalog.errors import CatalogError, InvalidInputError, NotFoundError
from web import errors, routes
from web.admin.base import blueprint, flash_deleted, go_to
from web.admin.list_query import carry_place
from web.context import actor, catalog, ids, one_upload
from web.words import counted

#: Products that a search for the right one shows.
HITS = 24
#: The fields of a part of a photo, in percent of its width and height.
EDGES = ("left", "top", "right", "bottom")
Page = str | Response | tuple[str, int]
pages = blueprint("photos", "/products")
pages.url_defaults(carry_place)


@pages.get("/<sku:sku>/photos/<uuid:photo>")
def show(sku: str, photo: uuid.UUID) -> Page:
    """One photo, large, with all that can be done with it."""
    try:
        return _page(sku, photo)
    except NotFoundError:
        return _gone(sku)


@pages.post("/<sku:sku>/photos/<uuid:photo>/crop")
@routes.in_lane("adding")
def crop(sku: str, photo: uuid.UUID) -> Page:
    """Only a part of it counts."""
    return _edited(
        sku,
        photo,
        "Only that part counts now.",
        lambda: products.crop_photo(catalog(), sku, photo, _box(), actor=actor()),
    )


@pages.post("/<sku:sku>/photos/<uuid:photo>/uncrop")
@routes.in_lane("adding")
def uncrop(sku: str, photo: uuid.UUID) -> Page:
    """The whole photo again."""
    return _edited(
        sku, photo, "The whole photo is back.", lambda: products.uncrop_photo(catalog(), sku, photo, actor=actor())
    )


@pages.post("/<sku:sku>/photos/<uuid:photo>/rotate")
@routes.in_lane("adding")
def rotate(sku: str, photo: uuid.UUID) -> Page:
    """Rotate it by quarters."""
    turns = request.form.get("turns", 0, type=int)
    return _edited(sku, photo, "Rotated.", lambda: products.rotate_photo(catalog(), sku, photo, turns, actor=actor()))


@pages.post("/<sku:sku>/photos/<uuid:photo>/replace")
@routes.takes_photos(routes.MAX_PHOTO_REQUEST, "adding")
def replace(sku: str, photo: uuid.UUID) -> Page:
    """Another file in its place."""

    def exchange() -> products.PhotoResult:
        return products.replace_photo(catalog(), sku, photo, one_upload("photo"), actor=actor())

    return _edited(sku, photo, "Replaced. The old photo is in the bin.", exchange)


@pages.post("/<sku:sku>/photos/<uuid:photo>/cover")
def set_cover(sku: str, photo: uuid.UUID) -> Response:
    """The first of the product, in every list."""
    try:
        products.set_cover(catalog().database, sku, photo, actor=actor())
    except NotFoundError:
        return _gone(sku)
    flash("This photo is shown first everywhere now.", "success")
    return redirect(url_for("photos.show", sku=sku, photo=photo))


@pages.post("/<sku:sku>/photos/delete")
def delete(sku: str) -> Response:
    """Put photos into the bin."""
    chosen = ids(request.form.getlist("photo"))
    try:
        entry = products.delete_photos(catalog(), sku, chosen, actor=actor())
    except NotFoundError:
        return _gone(sku)
    except InvalidInputError as error:
        flash(str(error), "danger")
        return redirect(url_for("products.show", sku=sku))
    said = "The photo is" if len(chosen) == 1 else counted(len(chosen), "photo is", "photos are")
    flash_deleted(f"{said} deleted and no longer recognized.", entry)
    return redirect(url_for("products.show", sku=sku))


@pages.get("/<sku:sku>/photos/move")
def choose_product(sku: str) -> Page:
    """Search for the product that photos belong to, by pictures."""
    chosen, search = ids(request.args.getlist("photo")), request.args.get("search", "")
    product = products.get(catalog().database, sku)
    page = products.list_page(catalog().database, products.Filter(search), limit=HITS) if search.strip() else None
    moving = [photo for photo in product.photos if photo.id in chosen]
    if chosen and not moving:
        return _gone(sku)
    return render_template("pages/move.html", product=product, moving=moving, search=search, page=page)


@pages.post("/<sku:sku>/photos/move")
@routes.in_lane("adding")
def move(sku: str) -> Response:
    """Move photos to the product `to`; without one, ask for it."""
    chosen, to = ids(request.form.getlist("photo")), request.form.get("to", "")
    try:
        if not chosen:
            raise InvalidInputError("photo", "Choose a photo first.")
        if not to:
            return redirect(url_for("photos.choose_product", sku=sku, photo=chosen))
        products.move_photos(catalog(), sku, chosen, to, actor=actor())
    except NotFoundError as error:
        return _gone(sku, error)
    except InvalidInputError as error:
        flash(str(error), "danger")
        return redirect(url_for("products.show", sku=sku))
    said = "The photo is" if len(chosen) == 1 else counted(len(chosen), "photo is", "photos are")
    flash(f"{said} with {to} now.", "success")
    return redirect(url_for("products.show", sku=sku))


def _gone(sku: str, why: NotFoundError | None = None) -> Response:
    """To the product, saying that a photo of a page left open is gone, or `why` else.

    Raises NotFoundError for a product that is gone, too.
    """
    products.get(catalog().database, sku)
    flash(str(why or "This photo is not there any more: somebody has deleted, replaced or moved it."), "danger")
    return go_to(url_for("products.show", sku=sku))


def _page(sku: str, identity: uuid.UUID, problem: CatalogError | None = None) -> str:
    product = products.get(catalog().database, sku)
    photo = products.photo_of(product, identity)
    typed = {edge: request.form.get(edge, "") for edge in EDGES} if problem else {}
    return render_template(
        "pages/photo.html",
        product=product,
        photo=photo,
        place=product.photos.index(photo),
        reason=products.pending_photos(catalog().database, product).get(photo.id),
        problem=problem,
        box=[typed.get(edge) or whole for edge, whole in zip(EDGES, ("0", "0", "100", "100"), strict=True)],
    )


def _edited(sku: str, photo: uuid.UUID, done: str, edit: Callable[[], products.PhotoResult]) -> Page:
    """Make an edit, and go to the photo that is there now; or show the page again with what speaks against it."""
    try:
        result = edit()
    except NotFoundError:
        return _gone(sku)
    except CatalogError as error:
        if errors.status_of(error) in (404, 503) or errors.wants_problem():
            raise
        return _page(sku, photo, error), errors.status_of(error)
    flash(done if result.state == "searchable" else f"{done} Pending: {result.reason}", "success")
    return go_to(url_for("photos.show", sku=sku, photo=result.id))


def _box() -> tuple[float, float, float, float]:
    """The part that was chosen, in fractions. Raises InvalidInputError for what is no number."""
    left, top, right, bottom = (request.form.get(edge, type=float) for edge in EDGES)
    if left is None or top is None or right is None or bottom is None:
        raise InvalidInputError("crop", "Left, top, right and bottom are numbers from 0 to 100.")
    return left / 100, top / 100, right / 100, bottom / 100
