"""Needs work: the products that tills answer wrongly or may, what to do, and the photo that would help."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import maintenance, products
from catalog.errors import CatalogError, PhotoQuestionableError
from catalog.maintenance import coverage_results
from catalog.runs import recording
from catalog.storage.tables import CoverageDay
from web import errors, routes
from web.admin.base import attempt, blueprint, go_to
from web.admin.trends import trend_of
from web.context import actor, by_staff, catalog, one_upload, page_number

PAGE = 24
pages = blueprint("needs_work", "/needs-work")
Page = str | Response | tuple[str, int]


@pages.get("/")
def index() -> str:
    """The products, the most urgent first."""
    database, number = catalog().database, page_number()
    shown = maintenance.list_work(database, start=number * PAGE, limit=PAGE)
    days: Sequence[CoverageDay] = coverage_results.trend(database)
    return render_template(
        "pages/needs_work.html",
        list=shown,
        number=number,
        last=(shown.total - 1) // PAGE,
        run=recording.latest(database, "coverage"),
        days=days,
        trend=trend_of([day for day in days if day.asked]),
        nightly=_night(),
    )


def _night() -> str:
    """When it is examined every night, by the clock of the server; "" if never."""
    at = catalog().settings.nightly
    return f"{at:%H:%M} {datetime.now().astimezone():%Z}" if at else ""


@pages.post("/examine")
def examine() -> Response:
    """Ask for coverage."""
    database = catalog().database
    said = "All photos are being examined: each is looked up among all others. Tills are answered meanwhile."
    attempt(lambda: recording.start(database, "coverage", actor=actor()), said)
    return redirect(url_for("needs_work.index"))


@pages.get("/<sku:sku>/photo")
def take_photo(sku: str) -> Page:
    """A form with the camera, and which view is missing."""
    return _take(sku)


@pages.post("/<sku:sku>/photo")
@routes.takes_photos(routes.MAX_PHOTO_REQUEST, "adding")
def add_photo(sku: str) -> Page:
    """Keep the photo, and go back to the list with the proof; the page's script first gets the warnings, if any."""
    strict = errors.wants_problem() and "anyway" not in request.form
    try:
        added = products.add_photos(catalog(), sku, [one_upload("photos")], by_staff(strict=strict))
    except PhotoQuestionableError as error:
        return render_template("parts/questions.html", problem=error), errors.status_of(error)
    except CatalogError as error:
        if errors.wants_problem() or errors.status_of(error) in (404, 503):
            raise
        return _take(sku, error), errors.status_of(error)
    if added.photos[0].duplicate:
        flash(f"{added.name} has this photo already: it was kept once.", "warning")
    elif added.searchable:
        said = f"The photo of {added.name} is kept, and found: asked for it, the gallery names {added.sku} first"
        flash(f"{said} ({added.milliseconds:.0f} ms).", "success")
    else:
        flash(f"The photo of {added.name} is kept; it is not searchable yet: {added.photos[0].reason}", "warning")
    return go_to(url_for("needs_work.index", page=page_number() or None))


def _take(sku: str, problem: CatalogError | None = None) -> str:
    work = maintenance.get_work(catalog().database, sku)
    product = products.get(catalog().database, sku)
    return render_template("pages/take_photo.html", work=work, product=product, number=page_number(), problem=problem)
