"""What the server refuses, as an exception."""

from __future__ import annotations

import httpx

from catalog.client.decoding import decode
from catalog.client.models import Problem


class ProblemError(Exception):
    """A problem that the server answered: decide by `code`, show the message to people."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.detail} ({problem.code}, request {problem.request_id})")
        self.problem = problem

    @property
    def code(self) -> str:
        """Stable: all codes are in docs/api-reference.md, and at /problems/ of the server."""
        return self.problem.code

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.problem.status


def problem_of(response: httpx.Response) -> ProblemError:
    """The problem in an answer; for a page of a proxy in between, one of the code `bad_gateway`."""
    try:
        return ProblemError(decode(Problem, response.json()))
    except ValueError:
        identity = response.headers.get("X-Request-Id", "")
        detail = f"The answer is no problem of the API: status {response.status_code}, {response.text[:200]!r}"
        return ProblemError(
            Problem(
                type="about:blank",
                title="No answer of the API",
                status=response.status_code,
                code="bad_gateway",
                detail=detail,
                request_id=identity,
            )
        )
