"""The share of photos that find their product, night by night, as the path of a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from catalog.storage.tables import CoverageDay

#: Units of the chart, from the top left.
WIDTH, HEIGHT = 600, 120
#: The lowest line is a multiple of this share below all of the days: a change of a percent is seen.
STEP = 0.1


@dataclass(frozen=True)
class Trend:
    """`line`: the path through all days, `dots`: each day, a stroke of no length; `floor`: the share at the bottom.

    `first` and `last`: its days at the ends (ISO).
    """

    line: str
    dots: str
    floor: float
    first: str
    last: str


def trend_of(days: Sequence[CoverageDay]) -> Trend | None:
    """Days with photos that were asked, the oldest first -> the line; None without any."""
    if not days:
        return None
    shares = [day.found / day.asked for day in days]
    floor = max(0.0, round(min(shares) // STEP * STEP, 1))
    floor = floor - STEP if floor >= 1 else floor
    first, last = (date.fromisoformat(day.day) for day in (days[0], days[-1]))
    length = max(1, (last - first).days)
    points = [
        ((date.fromisoformat(day.day) - first).days / length * WIDTH, (1 - share) / (1 - floor) * HEIGHT)
        for day, share in zip(days, shares, strict=True)
    ]
    line = " ".join(f"{'L' if place else 'M'}{x:.1f} {y:.1f}" for place, (x, y) in enumerate(points))
    return Trend(line, " ".join(f"M{x:.1f} {y:.1f}h0" for x, y in points), floor, days[0].day, days[-1].day)
