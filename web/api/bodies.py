"""JSON bodies of requests, checked by a model of web/api/schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from flask import request

from catalog.errors import FieldError, InvalidFieldsError, InvalidInputError
from web import routes
from web.api.operation import unknown_field

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    Model = TypeVar("Model", bound=BaseModel)


def is_json() -> bool:
    """Whether the request's body is JSON by its media type."""
    return routes.is_json(request.mimetype)


def json_body(model: type[Model]) -> Model:
    """The body as this model, which forbids other fields. Raises InvalidFieldsError with every field at fault."""
    from pydantic import ValidationError

    try:
        return model.model_validate_json(request.get_data())
    except ValidationError as error:
        known = tuple(model.model_fields)
        raise InvalidFieldsError([_field_error(part, known) for part in error.errors(include_input=False)]) from None
    except ValueError as error:  # no UTF-8
        raise InvalidInputError("body", f"The body can't be read as JSON: {error}") from error


def _field_error(part: ErrorDetails, known: tuple[str, ...]) -> FieldError:
    """`photos.2.filename`: the third photo's. `known`: the fields of the body."""
    path = part["loc"]
    if part["type"] == "extra_forbidden" and len(path) == 1:
        return unknown_field(str(path[0]), known)
    return FieldError(".".join(str(step) for step in path) or "body", part["msg"])
