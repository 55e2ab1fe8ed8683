"""The inbox: photos that tills were not answered, or wrongly, and a click for each thing that they may be."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from flask import Response as FlaskResponse
from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import inbox
from catalog.errors import CatalogError, PhotoQuestionableError
from web import errors, routes
from web.admin.base import attempt, blueprint, flash_undo
from web.context import actor, by_staff, catalog, page_number
from web.thumbnails import LARGE, THUMBNAIL, thumbnail

PAGE = 12
#: Groups of a page of those that are not ours.
DISMISSED = 48
pages = blueprint("inbox", "/inbox")


@pages.get("/")
def index() -> str:
    """Groups of photos that look alike, the newest or the most frequent first."""
    return _page()


@pages.get("/photos/<uuid:photo>")
def picture(photo: uuid.UUID) -> FlaskResponse:
    """A small JPEG of a photo of the inbox, or a large one."""
    side = LARGE if "large" in request.args else THUMBNAIL
    small = thumbnail(inbox.picture(catalog().database, photo), side)
    response = FlaskResponse(small, content_type="image/jpeg")
    response.headers["Cache-Control"] = "private, max-age=86400"
    return response


@pages.post("/photos/<uuid:photo>/product")
@routes.in_lane("adding")
def add_to_product(photo: uuid.UUID) -> str | Response | tuple[str, int]:
    """The photo is of this product: add it, or ask about the warnings first."""
    product = request.form.get("sku", "")
    try:
        intake = by_staff(strict="anyway" not in request.form)
        added = inbox.add_to_product(catalog(), photo, product, intake)
    except PhotoQuestionableError as error:
        return _page(asked=(photo, product, error)), errors.status_of(error)
    except CatalogError as error:
        flash(str(error), "danger")
        return _back()
    state = "searchable" if added.searchable else f"pending: {added.photos[0].reason}"
    flash(f"Added to {added.name} ({added.sku}), {state}. What is near it is asked again.", "success")
    return _back()


@pages.post("/photos/<uuid:photo>/discard")
def discard(photo: uuid.UUID) -> Response:
    """A bad photo: it leaves the inbox."""
    return _done("The photo is gone.", lambda: inbox.discard(catalog().database, [photo], actor=actor()))


@pages.post("/<uuid:group>/not-ours")
def not_ours(group: uuid.UUID) -> Response:
    """None of our products: the group leaves, and its like does not come again unless that is taken back."""
    return _done("", lambda: _dismiss(group))


def _dismiss(group: uuid.UUID) -> None:
    inbox.not_ours(catalog().database, group, actor=actor())
    flash_undo("Not ours: photos like these are not shown again.", url_for("inbox.ours_again", group=group))


@pages.get("/not-ours")
def list_not_ours() -> str:
    """What was called none of our products, each with a button that takes it back."""
    number = page_number()
    first = number * DISMISSED
    shown, total = inbox.dismissed(catalog().database, start=first, limit=DISMISSED)
    last = (total - 1) // DISMISSED
    return render_template("pages/not_ours.html", groups=shown, total=total, first=first, number=number, last=last)


@pages.post("/<uuid:group>/ours")
def ours_again(group: uuid.UUID) -> Response:
    """One of ours after all: the group is in the inbox again, and its like may come."""
    done = "These photos are asked again, and photos like them are shown again."
    attempt(lambda: inbox.ours_again(catalog().database, group, actor=actor()), done, raising=(503,))
    page = "inbox.list_not_ours" if "list" in request.form else "inbox.index"
    return redirect(url_for(page, page=page_number() or None))


def _page(asked: tuple[uuid.UUID, str, PhotoQuestionableError] | None = None) -> str:
    by: inbox.Order = "frequent" if request.values.get("by") == "frequent" else "newest"
    number = page_number()
    shown = inbox.groups(catalog().database, order=by, start=number * PAGE, limit=PAGE)
    return render_template(
        "pages/inbox.html",
        inbox=shown,
        kept=catalog().unanswered.is_kept,
        by=by,
        number=number,
        last=(shown.total - 1) // PAGE,
        asked=asked,
        dismissed=inbox.dismissed(catalog().database, limit=0)[1],
    )


def _done(message: str, change: Callable[[], object]) -> Response:
    attempt(change, message, raising=(503,))  # what somebody else has decided on meanwhile is no error
    return _back()


def _back() -> Response:
    """To the page of the inbox that the form was on."""
    order = "frequent" if request.form.get("by") == "frequent" else None
    return redirect(url_for("inbox.index", by=order, page=page_number() or None))
