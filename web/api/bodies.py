"""JSON bodies of requests, checked by a model of web/api/schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from flask import request

from catalog.errors import FieldError, InvalidFieldsError, InvalidInputError

if TYPE_CHECKING:
    from pydantic import BaseModel

    Model = TypeVar("Model", bound=BaseModel)


def is_json() -> bool:
    """Whether the request's body is JSON by its media type."""
    return request.mimetype == "application/json" or request.mimetype.endswith("+json")


def json_body(model: type[Model]) -> Model:
    """The body as this model, which forbids other fields. Raises InvalidFieldsError with every field at fault."""
    from pydantic import ValidationError

    try:
        return model.model_validate_json(request.get_data())
    except ValidationError as error:
        raise InvalidFieldsError([_field_error(part["loc"], part["msg"]) for part in error.errors()]) from None
    except ValueError as error:  # no UTF-8
        raise InvalidInputError("body", f"The body can't be read as JSON: {error}") from error


def _field_error(path: tuple[int | str, ...], message: str) -> FieldError:
    """`photos.2.filename`: the third photo's."""
    return FieldError(".".join(str(step) for step in path) or "body", message)
