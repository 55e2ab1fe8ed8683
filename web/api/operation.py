"""What an operation of the API needs, takes and answers. Said at its view, by one decorator; described by describe.py.

Models are named, not imported: no start waits for pydantic.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import wraps
from typing import Any, ParamSpec

from flask import Flask, Response, request
from werkzeug.http import http_date

from catalog.errors import FieldError, InvalidFieldsError
from web import security

P = ParamSpec("P")

#: In place of a model: the body is a file, whatever media type it has.
FILE = "file"
_OPERATION = "operation"


@dataclass(frozen=True)
class Operation:
    """One operation, as it is described.

    `scope`: what a key must be allowed. `answers`: HTTP status -> the model of its body (a name in web/api/schemas), a
    media type ("image/jpeg") or FILE for a file, or "" for none. `bodies`: media type -> the model of a request's body,
    or FILE. `query`: the model whose fields are the parameters in the address, or "". `headers`: the model whose fields
    are headers of the request, or "". `sends`: headers of its answers, besides those of all (see described_headers.py).
    `problems`: codes of problems besides those that every operation may answer (see web/problems.py, whose GROUPS name
    several at once). `takes`: names of all fields of forms and parameters. `deprecated`, `sunset`: since when programs
    should use another operation, and when this one ends; each answer then says so in its header.
    """

    scope: str
    answers: Mapping[int, str]
    bodies: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    headers: str = ""
    sends: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    deprecated: date | None = None
    sunset: date | None = None

    @property
    def deprecation(self) -> dict[str, str]:
        """The headers of each answer: Deprecation (RFC 9745) and Sunset (RFC 8594)."""
        found = {"Deprecation": f"@{_midnight(self.deprecated):.0f}"} if self.deprecated else {}
        return {**found, "Sunset": http_date(_midnight(self.sunset))} if self.sunset else found


def _midnight(day: date) -> float:
    """Seconds since 1970 at which a day begins, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def is_file(name: str) -> bool:
    """Whether an answer or body is a file, and no model."""
    return name == FILE or "/" in name


def operation(
    scope: str,
    answers: Mapping[int, str],
    *,
    bodies: Mapping[str, str] | None = None,
    query: str = "",
    headers: str = "",
    sends: Collection[str] = (),
    problems: Collection[str] = (),
    takes: Collection[str] = (),
    deprecated: date | None = None,
    sunset: date | None = None,
) -> Callable[[Callable[P, Response]], Callable[P, Response]]:
    """Make a view an operation of the API: see Operation.

    It then needs a key with the scope, and raises InvalidFieldsError for fields and parameters that it does not take:
    a misspelt `label` would silently ask the whole catalog.
    """
    said = Operation(
        scope,
        answers,
        bodies or {},
        query,
        headers,
        tuple(sends),
        tuple(problems),
        tuple(takes),
        deprecated,
        sunset,
    )

    def make(view: Callable[P, Response]) -> Callable[P, Response]:
        @security.needs_key(scope)
        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> Response:
            refuse_unknown([*request.args, *_fields(said)], said.takes)
            return view(*args, **kwargs)

        setattr(checked, _OPERATION, said)
        return checked

    return make


def _fields(said: Operation) -> list[str]:
    """Names of the fields of a form. A file is not read as one, though a program may call it a form (as curl does)."""
    if FILE in said.bodies.values() and request.mimetype not in said.bodies:
        return []
    return [*request.form, *request.files]


def operation_of(view: Callable[..., Any] | None) -> Operation | None:
    """What a view of the API says of itself; None for one that is no operation."""
    return getattr(view, _OPERATION, None)


def init_app(app: Flask) -> None:
    """Say in each answer of a deprecated operation that it is: also in its problems."""

    @app.after_request
    def deprecation(response: Response) -> Response:
        if said := operation_of(app.view_functions.get(request.endpoint or "")):
            response.headers.update(said.deprecation)
        return response


def refuse_unknown(names: Collection[str | None], known: Collection[str]) -> None:
    """Raises InvalidFieldsError if a name is not among the known, with the nearest of those."""
    # A part of a form may have no name.
    errors = [unknown_field(name, known) for name in dict.fromkeys(name or "" for name in names) if name not in known]
    if errors:
        raise InvalidFieldsError(errors)


def unknown_field(name: str, known: Collection[str]) -> FieldError:
    """There is no such field; the nearest of the known, if one is near."""
    near = difflib.get_close_matches(name, known, 1)
    hint = f"Did you mean {near[0]}?" if near else f"It is one of: {', '.join(known)}." if known else ""
    return FieldError(name[:100], f"There is no field {name[:100]!r} here. {hint}".rstrip())
