"""What an operation answers, as OpenAPI describes it: the answers by its models, and exactly its problems."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from web import problems
from web.api import examples
from web.api.components import Components
from web.api.operation import FILE, Operation, is_file

_ALWAYS = {
    "X-Request-Id": {"$ref": "#/components/headers/RequestId"},
    "RateLimit-Limit": {"$ref": "#/components/headers/RateLimitLimit"},
    "RateLimit-Remaining": {"$ref": "#/components/headers/RateLimitRemaining"},
    "RateLimit-Reset": {"$ref": "#/components/headers/RateLimitReset"},
}
_MORE_HEADERS = {
    401: {"WWW-Authenticate": {"$ref": "#/components/headers/Authenticate"}},
    429: {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}},
    503: {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}},
}


def answers(said: Operation, components: Components, *, takes_path: bool) -> dict[str, Any]:
    """Status -> answer. `takes_path`: the path has variables, so that there may be no such thing."""
    headers = dict(_ALWAYS)
    if said.deprecated:
        headers["Deprecation"] = {"$ref": "#/components/headers/Deprecation"}
    if said.sunset:
        headers["Sunset"] = {"$ref": "#/components/headers/Sunset"}
    found = {str(status): _answer(status, name, components, headers) for status, name in said.answers.items()}
    by_status: dict[int, list[str]] = {}
    for code in codes_of(said, takes_path=takes_path):
        by_status.setdefault(problems.KINDS[code].status, []).append(code)
    for status, codes in by_status.items():
        found[str(status)] = _problem(status, codes, components, headers)
    return dict(sorted(found.items()))


def codes_of(said: Operation, *, takes_path: bool) -> list[str]:
    """All problems that an operation may answer."""
    codes = {*problems.ALWAYS, *said.problems}
    if takes_path:
        codes.add("not_found")
    return problems.expanded(codes)


def _answer(status: int, name: str, components: Components, headers: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase, "headers": headers}
    if not name:
        return answer
    content: dict[str, Any] = {"schema": components.reference(name, "serialization")}
    if example := components.example(name):
        content["example"] = example
    kind = "application/json" if not is_file(name) else "application/octet-stream" if name == FILE else name
    return {**answer, "content": {kind: content}}


def _problem(status: int, codes: Sequence[str], components: Components, headers: dict[str, Any]) -> dict[str, Any]:
    said = "\n".join(f"- `{code}`: {problems.KINDS[code].means}" for code in codes)
    return {
        "description": f"{HTTPStatus(status).phrase}. `code` is one of:\n\n{said}",
        "headers": {**headers, **_MORE_HEADERS.get(status, {})},
        "content": {
            "application/problem+json": {
                "schema": components.reference("Problem", "serialization"),
                "example": examples.problem(codes[0]),
            }
        },
    }
