"""An outcome of a call -> its answer."""

from __future__ import annotations

from typing import TypeVar

import httpx

from catalog.client.calls import Call
from catalog.client.decoding import decode
from catalog.client.problems import problem_of

T = TypeVar("T")


def answer_of(call: Call[T], outcome: httpx.Response | httpx.TransportError) -> T:
    """The answer. Raises ProblemError, or the error of the transport."""
    if isinstance(outcome, httpx.TransportError):
        raise outcome
    if not outcome.is_success:
        raise problem_of(outcome)
    if call.answer is None:
        return None  # type: ignore[return-value]
    if call.answer is bytes:
        return outcome.content  # type: ignore[return-value]
    return decode(call.answer, outcome.json())
