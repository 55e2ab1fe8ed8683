"""Which requests are repeated, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass

import httpx

#: Statuses of requests that were not begun, or left nothing behind. A 409 with Retry-After is repeated, too: the
#: server is still at work at the same request, which was given up here (`idempotency_busy`).
AGAIN = (429, 503)


@dataclass(frozen=True)
class Retries:
    """A request is sent up to `tries` times. Before the n-th repeat it waits `first` x 2^n seconds, at most `longest`,
    and less by up to half, so that tills that were refused at one moment do not come back at one; or as long as the
    server says (Retry-After), and what that is over `longest` is not waited for.
    """

    tries: int = 5
    first: float = 0.25
    longest: float = 30.0

    def wait(self, repeat: int, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds to wait before this repeat, from 0 on; None: the outcome stands."""
        if repeat + 1 >= self.tries or not _is_worth_it(outcome):
            return None
        backoff: float = min(self.first * 2**repeat, self.longest) * random.uniform(0.5, 1.0)  # noqa: S311
        asked = _asked_for(outcome)
        if asked > self.longest:
            return None
        return max(backoff, asked)


def _is_worth_it(outcome: httpx.Response | httpx.TransportError) -> bool:
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in AGAIN or (outcome.status_code == 409 and "Retry-After" in outcome.headers)
    return not isinstance(outcome, httpx.UnsupportedProtocol)


def _asked_for(outcome: httpx.Response | httpx.TransportError) -> float:
    said = outcome.headers.get("Retry-After", "") if isinstance(outcome, httpx.Response) else ""
    return float(said) if said.isdecimal() else 0.0
