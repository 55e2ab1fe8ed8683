"""What an operation answers, as OpenAPI describes it: the answers by its models, and exactly its problems."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from web import problems
from web.api import described_headers, examples
from web.api.components import Components
from web.api.operation import FILE, Operation, is_file

#: Headers of problems, beside Retry-After.
_OF_PROBLEMS = {401: ("WWW-Authenticate",), 415: ("Accept-Encoding",)}


def answers(said: Operation, components: Components, *, takes_path: bool) -> dict[str, Any]:
    """Status -> answer. `takes_path`: the path has variables, so that there may be no such thing."""
    headers = [*described_headers.ALWAYS, *said.deprecation]
    codes = codes_of(said, takes_path=takes_path)
    sent = [*headers, *said.sends, *(["Idempotency-Replayed"] if "idempotency_busy" in codes else [])]
    found = {str(status): _answer(status, name, components, sent) for status, name in said.answers.items()}
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(problems.KINDS[code].status, []).append(code)
    for status, of_status in by_status.items():
        found[str(status)] = _problem(status, of_status, components, headers)
    return dict(sorted(found.items()))


def codes_of(said: Operation, *, takes_path: bool) -> list[str]:
    """All problems that an operation may answer."""
    codes = {*problems.ALWAYS, *said.problems}
    if takes_path:
        codes.add("not_found")
    return problems.expanded(codes)


def _answer(status: int, name: str, components: Components, headers: Sequence[str]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "headers": described_headers.references(headers),
    }
    if not name:
        return answer
    content: dict[str, Any] = {"schema": components.reference(name, "serialization")}
    if example := components.example(name):
        content["example"] = example
    kind = "application/json" if not is_file(name) else "application/octet-stream" if name == FILE else name
    return {**answer, "content": {kind: content}}


def _problem(status: int, codes: Sequence[str], components: Components, headers: Sequence[str]) -> dict[str, Any]:
    later = ["Retry-After"] if any(problems.KINDS[code].retry for code in codes) else []
    sent = [*headers, *_OF_PROBLEMS.get(status, ()), *later]
    said = "\n".join(f"- `{code}`: {problems.KINDS[code].means}" for code in codes)
    return {
        "description": f"{HTTPStatus(status).phrase}. `code` is one of:\n\n{said}",
        "headers": described_headers.references(sent),
        "content": {
            "application/problem+json": {
                "schema": components.reference("Problem", "serialization"),
                "example": examples.problem(codes[0]),
            }
        },
    }
