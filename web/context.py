"""What views need from the request: the catalog, uploaded photos, the facts of a product, the user."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress

from flask import current_app, request
from flask_login import current_user

from catalog import accounts
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.errors import InvalidInputError
from catalog.normalization import plain
from catalog.products import Facts, Intake
from embedder.barcodes import gtin


def catalog() -> Catalog:
    """The app's open catalog."""
    found: Catalog = current_app.config["CATALOG"]
    return found


#: Pages of a list beyond this are empty.
LAST_PAGE = 1_000_000


def page_number() -> int:
    """Which page of a list is asked for, from 0 on; the first for what is none."""
    return min(max(request.values.get("page", 0, type=int), 0), LAST_PAGE)


def local_path(target: str) -> str:
    """The target if it is a path of this site, else "": no open redirect."""
    # One slash alone at the start names no host. Browsers drop tabs and line ends from an address, and a header can't
    # hold them.
    return target if re.match(r"/(?![/\\])", target) and plain(target) else ""


def ids(names: Sequence[str], most: int | None = None) -> list[uuid.UUID]:
    """Ids that a form or an address names, each once, of the first `most` names; what is no id names nothing."""
    found = []
    for name in dict.fromkeys(names[:most]):
        with suppress(ValueError):
            found.append(uuid.UUID(name))
    return found


def one_upload(field: str) -> NewPhoto:
    """The one photo of a multipart field. Raises InvalidInputError for none or several."""
    files = uploads(field)
    if len(files) != 1:
        raise InvalidInputError(field, f"Choose one photo; {len(files)} came.")
    return files[0]


def uploads(field: str) -> list[NewPhoto]:
    """The files of a multipart field; an empty file input (no name, no bytes) is skipped."""
    files = request.files.getlist(field)
    return [NewPhoto(file.filename or "photo", file.read()) for file in files if file.filename or file.content_length]


def facts(sku: str) -> Facts:
    """The facts of a product in a form; the field `barcode` may occur several times, and hold several."""
    form = request.form
    barcodes = tuple(number for text in form.getlist("barcode") for number in gtin.split_gtins(text))
    return Facts(sku, form.get("name", ""), form.get("brand", ""), form.get("category", ""), barcodes)


def flag(name: str, *, required: bool = False, given: Mapping[str, str] | None = None) -> bool:
    """A boolean field of a form (or of `given`), as any program writes it; false where it is not given.

    Raises InvalidInputError for any other value, and if it is `required` for none.
    """
    value = (request.form if given is None else given).get(name, "").strip().lower()
    if value not in ("0", "1", "false", "true") and (value or required):
        raise InvalidInputError(name, f"{name} is true or false, not {value[:20]!r}.")
    return value in ("1", "true")


def by_staff(*, strict: bool) -> Intake:
    """The intake of photos from the signed-in user; `strict`: refuse a photo with a warning, to ask the user first."""
    return Intake(actor(), "staff", check="refuse" if strict else "report")


def actor() -> str:
    """Name of the signed-in user, for the audit log."""
    name: str = current_user.name
    return name


def sent_form() -> accounts.Form:
    """The form that was sent, which makes a secret once. Raises InvalidInputError for a page that has no such form."""
    try:
        return accounts.Form(current_user.id, uuid.UUID(request.form.get("form", "")))
    except ValueError as error:
        raise InvalidInputError("form", "This page is no longer valid: load it again and repeat.") from error


def read_once() -> accounts.ReadOnce | None:
    """What the form named in the address has made, the first time that the page is shown."""
    try:
        form = accounts.Form(current_user.id, uuid.UUID(request.args.get("made", "")))
    except ValueError:
        return None
    return accounts.read_once(catalog().database, form)
