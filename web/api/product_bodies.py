"""What programs send about products: JSON or forms, as the catalog takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from catalog.enrollment import NewPhoto
from catalog.errors import FieldError, InvalidFieldsError
from catalog.products import Facts, Filter, Intake, Update
from web.api.blueprint import actor
from web.api.bodies import is_json, json_body
from web.context import facts, flag, one_upload, uploads

if TYPE_CHECKING:
    from web.api.schemas import ProductsQuery

#: Facts in a body -> what makes of one, or of null, what the catalog takes.
_FACTS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("name", "brand", "category", "variant_group"), lambda text: text or ""),
    **dict.fromkeys(("labels", "barcodes"), lambda texts: tuple(texts or ())),
    "attributes": lambda named: named or {},
    "active": bool,
}
#: States in the address of a list -> Filter.retired.
_RETIRED = {"active": False, "retired": True, "all": None}


def body(model: Any) -> Any:
    """The body as this model. Raises InvalidFieldsError with every field at fault, or an error of HTTP."""
    if not is_json():
        raise UnsupportedMediaType("The body is JSON: send it as application/json.")
    return json_body(model)


def new_product() -> tuple[Facts, Sequence[NewPhoto], Intake, bool]:
    """A new product: its facts, its photos, their intake, and whether it is active."""
    if not is_json():
        given = facts(request.form.get("sku", ""))
        labels, group = tuple(request.form.getlist("label")), request.form.get("variant_group", "")
        given = replace(given, labels=labels, variant_group=group)
        return given, uploads("photos"), intake(flag("strict")), True
    from web.api.schemas import CreateBody

    said = body(CreateBody)
    return update_of(said).facts(said.sku), _photos(said), intake(said.strict), said.active


def new_photos() -> tuple[Sequence[NewPhoto], Intake]:
    """Photos to add, and their intake."""
    if not is_json():
        return uploads("photos"), intake(flag("strict"))
    from web.api.schemas import AddPhotosBody

    said = body(AddPhotosBody)
    return _photos(said), intake(said.strict)


def new_photo() -> tuple[NewPhoto, Intake]:
    """One photo, of a form or as the body, and its intake."""
    if request.mimetype == "multipart/form-data":
        return one_upload("photo"), intake(flag("strict"))
    return NewPhoto("photo", request.get_data()), intake(flag("strict", given=request.args))


def put_product() -> tuple[Update, Sequence[NewPhoto], Intake]:
    """What a product is to be, and photos to add, and their intake."""
    from web.api.schemas import PutBody

    said = body(PutBody)
    return update_of(said), _photos(said), intake(said.strict)


def patch() -> Update:
    """What is to change of a product: a merge patch (RFC 7396), where null empties a value."""
    from web.api.schemas import PatchBody

    said = body(PatchBody)
    wanted = update_of(said)
    if isinstance(said.attributes, dict):
        return replace(wanted, attributes=None, change_attributes=said.attributes)
    return wanted


def update_of(said: Any) -> Update:
    """The facts that a body gives; those that it does not name are None."""
    given: dict[str, Any] = {name: getattr(said, name) for name in _FACTS if name in said.model_fields_set}
    return Update(**{name: _FACTS[name](value) for name, value in given.items()})


def listed() -> tuple[ProductsQuery, Filter]:
    """The list that the address names. Raises InvalidFieldsError with every parameter at fault."""
    from pydantic import ValidationError

    from web.api.schemas import ProductsQuery

    try:
        said = ProductsQuery.model_validate(request.args.to_dict())
    except ValidationError as error:
        parts = error.errors(include_input=False, include_url=False)
        raise InvalidFieldsError([FieldError(str(part["loc"][0]), part["msg"]) for part in parts]) from None
    names = ("search", "category", "brand", "label", "variant_group", "few_photos", "never_recognized")
    more = {name: getattr(said, name) for name in (*names, "with_warnings", "pending")}
    return said, Filter(**more, retired=_RETIRED[said.state])


def intake(strict: bool) -> Intake:
    """How the photos of a program are taken in."""
    return Intake(actor(), "api", check="refuse" if strict else "report")


def _photos(said: Any) -> list[NewPhoto]:
    return [NewPhoto(photo.filename, photo.data) for photo in said.photos]
