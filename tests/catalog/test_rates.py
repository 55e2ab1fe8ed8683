from __future__ import annotations

import pytest

from catalog import rates
from catalog.rates import Rate


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [
        *(
            ("600/minute", 600, 60),
            (" 1 / Second ", 1, 1),
            ("10 per hour", 10, 3600),
            ("1000000/day", 1_000_000, 86_400),
        ),
        ("007/day", 7, 86_400),
    ],
)
def test_a_limit(text: str, amount: int, seconds: int) -> None:
    found = rates.parse(text)
    assert found == Rate(amount, seconds)
    assert rates.parse(str(found)) == found, "it is written as it is read"


def test_no_limit() -> None:
    assert rates.parse(" OFF ") is None


@pytest.mark.parametrize(
    "text",
    ["", "x", "600", "600/", "/minute", "0/minute", "-1/minute", "1.5/minute", "1/week", "1000001/day", "1/minutes",
     "9" * 10_000 + "/day", "1/minute;2/hour", "٣/minute", "1/minute\x00"],
)  # fmt: skip
def test_no_limit_that_can_be_understood(text: str) -> None:
    with pytest.raises(ValueError, match="600/minute"):
        rates.parse(text)
