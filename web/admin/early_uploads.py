"""Photos of a form that are sent one by one before it, while the rest is typed; the form names them by signed ids.

Each is in the photo store from then on, and no row names it: one whose form never comes is an orphan, which
`catalog doctor --remove-orphans` removes. The id holds the photo's hash and file name, is good for its user alone, and
expires long before that.
"""

from __future__ import annotations

from flask import current_app, request
from flask_login import current_user
from itsdangerous import BadData, URLSafeTimedSerializer

from catalog.enrollment import NewPhoto
from catalog.errors import InvalidInputError, NotFoundError, PhotoRejectedError
from embedder import images
from embedder.errors import ImageError
from web import context, routes
from web.admin.base import blueprint

#: Seconds for which an id is good; a file that no photo accounts for is left alone for twice as long.
MAX_AGE = 12 * 3600
#: The field of a form with the ids.
FIELD = "sent"
pages = blueprint("early_uploads", "/uploads")


@pages.post("/")
@routes.takes_photos(routes.MAX_PHOTO_REQUEST, "adding")
def send() -> tuple[dict[str, str], int]:
    """Store the photo of the field `photo`, and give the id by which a form names it."""
    upload = context.one_upload("photo")
    try:
        images.dimensions(upload.data)
    except ImageError as error:
        raise PhotoRejectedError(error.code, upload.filename, str(error)) from error
    return {"id": _signer().dumps([context.catalog().photos.put(upload.data), upload.filename])}, 201


def uploads(field: str) -> list[NewPhoto]:
    """The photos of a form: those that were sent before, then the files of a multipart field.

    Raises InvalidInputError (of FIELD) for an id that is not good any more, and for photos of more bytes than a request
    may have.
    """
    found, size = [], 0
    for name in request.form.getlist(FIELD):
        try:
            sha256, filename = _signer().loads(name, max_age=MAX_AGE)
            found.append(NewPhoto(filename, context.catalog().photos.get(sha256)))
        except (BadData, NotFoundError) as error:
            raise InvalidInputError(FIELD, "A photo that was sent before is no longer here: send it again.") from error
        size += len(found[-1].data)
        if size > routes.MAX_REQUEST:
            raise InvalidInputError("photos", f"The photos have more than {routes.MAX_REQUEST >> 20} MB together.")
    return [*found, *context.uploads(field)]


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt=f"early upload of {current_user.id}")
