"""JSON -> the dataclasses of models.py. Members that this version does not know are ignored: a server may be newer."""

from __future__ import annotations

import types
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def decode(kind: type[T], data: Any) -> T:
    """An object of this dataclass. Raises ValueError for what is none."""
    if not isinstance(data, dict):
        raise ValueError(f"{kind.__name__} is an object, not {data!r:.80}")
    hints: dict[str, Any] = _hints(kind)  # type: ignore[arg-type]  # a class can be hashed
    given = {name: _value(hint, data[name]) for name, hint in hints.items() if name in data}
    needed = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}  # type: ignore[arg-type]
    if missing := needed - given.keys():
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(missing))}")
    return kind(**given)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _value(hint: Any, data: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return None if data is None else _value(next(one for one in arguments if one is not type(None)), data)
    if origin is list and isinstance(data, list):
        return [_value(arguments[0], one) for one in data]
    if origin is tuple and isinstance(data, list):
        return tuple(_value(one, each) for one, each in zip(arguments, data, strict=True))
    if origin is dict and isinstance(data, dict):
        return {name: _value(arguments[1], one) for name, one in data.items()}
    if origin is Literal:  # another value is passed on: a newer server may have more
        return data
    if is_dataclass(hint):
        return decode(hint, data)  # type: ignore[arg-type]
    return data
