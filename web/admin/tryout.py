"""Try a photo: the answer that a till would get."""

from __future__ import annotations

from base64 import b64encode

from flask import render_template, request

from catalog import recognition
from catalog.errors import CatalogError, InvalidInputError
from catalog.recognition import Recognition, recognize
from embedder.matching import to_jpeg
from web import errors, routes
from web.admin.base import blueprint
from web.context import catalog, uploads

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
        photos = uploads("photo")
        if len(photos) != 1:
            raise InvalidInputError("photo", "Choose one photo.")
        answer = recognize(catalog(), photos[0].data, filename=photos[0].filename)
    except CatalogError as error:
        if errors.wants_problem():
            raise
        return render_template("pages/try.html", answer=None, problem=error), errors.status_of(error)
    shown = {"answer": answer, "thresholds": catalog().generations.ready().embedder.bundle.thresholds}
    shown["shown"] = recognition.first_shown(answer)
    shown["picture"] = _picture(photos[0].data, answer)
    if "X-Requested-With" in request.headers:
        return render_template("parts/answer.html", **shown)
    return render_template("pages/try.html", **shown, problem=None)


def _picture(data: bytes, answer: Recognition) -> str | None:
    """The explaining picture as a data: URL, since a tried photo is stored nowhere; None if there is none."""
    try:
        drawn = recognition.answer_picture(catalog().photos, data, answer)
    except CatalogError:  # the reference photo was lost: the answer stands
        return None
    return f"data:image/jpeg;base64,{b64encode(to_jpeg(drawn)).decode()}" if drawn else None
