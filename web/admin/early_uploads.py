"""Photos of a form that are sent one by one before it; without JavaScript the form brings them itself."""

from __future__ import annotations

from flask import request

from catalog import enrollment
from catalog.enrollment import NewPhoto
from catalog.errors import InvalidInputError
from web import routes
from web.admin.base import blueprint
from web.context import actor, catalog, ids, one_upload, uploads

#: The field of a form with their ids.
FIELD = "sent"
pages = blueprint("early_uploads", "/uploads")


@pages.post("/")
@routes.takes_photos(routes.MAX_PHOTO_REQUEST, "adding")
def send() -> tuple[dict[str, str], int]:
    """Keep the photo of the field `photo` for its form, and give the id by which that names it."""
    return {"id": str(enrollment.early_uploads.put(catalog().database, actor(), one_upload("photo")))}, 201


def form_photos(field: str) -> list[NewPhoto]:
    """The photos of a form: those that were sent before, then the files of a multipart field.

    Raises InvalidInputError (of FIELD) for one that is not here any more, and for more bytes than a request may have.
    """
    names = request.form.getlist(FIELD)
    sent = ids(names)
    if len(sent) < len(names):
        raise InvalidInputError(FIELD, "A photo that was sent before can't be found: send it again.")
    photos = [*enrollment.early_uploads.get(catalog().database, actor(), sent), *uploads(field)]
    if sum(len(photo.data) for photo in photos) > routes.MAX_REQUEST:
        raise InvalidInputError(field, f"The photos have more than {routes.MAX_REQUEST >> 20} MB together.")
    return photos
