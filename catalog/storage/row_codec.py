"""Values of columns as JSON and back, the same for every database."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Enum, Float, Integer, String, Uuid
from sqlalchemy.types import TypeEngine

from catalog.storage.table_base import UtcDateTime

Codec = tuple[Callable[[Any], Any], Callable[[Any], Any]]


def codec(kind: TypeEngine[Any]) -> Codec:
    """How a column's values are converted to JSON and back.

    Raises TypeError for an unknown type, so that no value is ever changed silently.
    """
    if isinstance(kind, UtcDateTime):
        return _unless_null(datetime.isoformat), _unless_null(datetime.fromisoformat)
    if isinstance(kind, Uuid):
        return _unless_null(str), _unless_null(uuid.UUID)
    if isinstance(kind, String | Integer | Float | Boolean | JSON) and not isinstance(kind, Enum):
        return _same, _same
    raise TypeError(f"columns of the type {kind!r} can't be written")


def _same(value: Any) -> Any:
    return value


def _unless_null(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else function(value)
