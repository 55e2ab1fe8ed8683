"""Try a photo: the answer that a till would get."""

from __future__ import annotations

from base64 import b64encode

from flask import render_template

from catalog import recognition
from catalog.errors import CatalogError
from embedder.matching import to_jpeg
from web import errors, routes
from web.admin.base import blueprint
from web.context import catalog, one_upload

Page = str | tuple[str, int]
pages = blueprint("try", "/try")


@pages.get("/")
def index() -> Page:
    """The form."""
    return render_template("pages/try.html", answer=None, problem=None)


@pages.post("/")
@routes.takes_photos(routes.MAX_PHOTO_REQUEST, "tills")
def ask() -> Page:
    """The answer: a fragment for the page's script, else a whole page."""
    try:
        photo = one_upload("photo")
        answer = recognition.recognize(catalog(), photo.data, filename=photo.filename)
    except CatalogError as error:
        if errors.wants_problem():
            raise
        return render_template("pages/try.html", answer=None, problem=error), errors.status_of(error)
    shown = {"answer": answer, "thresholds": catalog().generations.ready().embedder.bundle.thresholds}
    shown["shown"] = recognition.first_shown(answer)
    shown["picture"] = _picture(photo.data, answer)
    if errors.wants_problem():
        return render_template("parts/answer.html", **shown)
    return render_template("pages/try.html", **shown, problem=None)


def _picture(data: bytes, answer: recognition.Recognition) -> str | None:
    """The explaining picture as a data: URL, since a tried photo is stored nowhere; None if there is none."""
    try:
        drawn = recognition.answer_picture(catalog().photos, data, answer)
    except CatalogError:  # the reference photo was lost: the answer stands
        return None
    return f"data:image/jpeg;base64,{b64encode(to_jpeg(drawn)).decode()}" if drawn else None
