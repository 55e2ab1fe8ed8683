"""Rate limits as people write them: "600/minute"."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Seconds of each period.
PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
#: Requests in a period, at most.
MOST = 1_000_000
#: No limit.
OFF = "off"
#: The form, for messages.
FORM = "a number and a period, as 600/minute (second, minute, hour or day), or off"


@dataclass(frozen=True, slots=True)
class Rate:
    """`amount` requests in each period of so many `seconds`."""

    amount: int
    seconds: int

    def __str__(self) -> str:
        period = next(name for name, seconds in PERIODS.items() if seconds == self.seconds)
        return f"{self.amount}/{period}"


def parse(text: str) -> Rate | None:
    """The rate, or None for "off". Raises ValueError, whose message is for a person."""
    given = text.strip().lower()
    if given == OFF:
        return None
    found = re.fullmatch(rf"([0-9]{{1,7}})\s*(?:/|per)\s*({'|'.join(PERIODS)})", given)
    if not found or not 1 <= int(found[1]) <= MOST:
        raise ValueError(f"{text!r} is no limit: it is {FORM}, with at most {MOST:,} requests.")
    return Rate(int(found[1]), PERIODS[found[2]])
