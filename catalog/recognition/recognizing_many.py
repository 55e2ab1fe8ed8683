"""Many photos in one request: an answer to each, while tills that ask for one photo go first."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.catalog import Catalog
from catalog.errors import ConfigError, InvalidInputError, PhotoRejectedError
from catalog.recognition.answer import Recognition
from catalog.recognition.candidates import MATCHES
from catalog.recognition.recognizing import recognize
from catalog.recognition.scope import WHOLE_CATALOG, Scope
from catalog.right_of_way import background

#: Photos of one request, at most.
MOST_PHOTOS = 50


def recognize_many(
    catalog: Catalog,
    photos: Iterable[tuple[str, bytes]],
    *,
    among: Scope = WHOLE_CATALOG,
    limit: int = MATCHES,
    asked_by: str = "",
    keep: bool = False,
) -> list[Recognition | PhotoRejectedError | ConfigError]:
    """Photos (file name and bytes) -> what `recognize` answers to each, in their order, or why it can't be used.

    This is work of the background (right_of_way.py). Raises what concerns all photos: GalleryError, and
    InvalidInputError for the scope, the limit, or more than MOST_PHOTOS photos.
    """
    listed = list(photos)
    if len(listed) > MOST_PHOTOS:
        raise InvalidInputError("photos", f"{len(listed)} photos at once; at most {MOST_PHOTOS} are possible.")
    among.products(catalog.database)  # what is wrong with the scope is no photo's fault
    answers: list[Recognition | PhotoRejectedError | ConfigError] = []
    with background():
        for name, data in listed:
            try:
                answers.append(
                    recognize(catalog, data, filename=name, among=among, limit=limit, asked_by=asked_by, keep=keep)
                )
            except (PhotoRejectedError, ConfigError) as error:
                answers.append(error)
    return answers
