"""The overview: the catalog in figures, each with a link to the page where one acts on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import accounts, judging, maintenance
from catalog.maintenance import DECISIONS, Day
from catalog.runs import NIGHT, recording
from web.admin.base import attempt, blueprint
from web.context import actor, catalog

#: Units of the chart: one day is STEP wide, its bar BAR, and the highest bar HEIGHT high.
STEP, BAR, HEIGHT = 10, 8, 100
pages = blueprint("overview", "/overview")


@dataclass(frozen=True)
class Bar:
    """A part of a day's bar, in units of the chart, from the top left; `decision` gives its color."""

    decision: str
    x: float
    y: float
    height: float
    said: str


@pages.get("/")
def index() -> str:
    """All figures of one moment."""
    seen = maintenance.look_over(catalog())
    highest = max(day.total for day in seen.days)
    return render_template(
        "pages/overview.html",
        seen=seen,
        bars=bars_of(seen.days),
        highest=highest,
        size=(STEP * len(seen.days), HEIGHT),
        bar=BAR,
        answers=sum(day.total for day in seen.days),
        matches=sum(day.match for day in seen.days),
        run=recording.latest(catalog().database, "doctor"),
        checked=recording.latest(catalog().database, "doctor", over=True),
        nightly=catalog().settings.nightly,
        ending=accounts.list_ending(catalog().database),
        night=recording.latest(catalog().database, NIGHT, over=True),
        held=judging.held_generations(catalog().database),
    )


@pages.post("/check")
def check() -> Response:
    """Ask for the doctor."""
    return _ask({}, "The catalog is being checked: each photo, the gallery and the margins.")


@pages.post("/mend")
def mend() -> Response:
    """Ask for the doctor, who mends what can be mended; with `remake`, also a gallery that can't be read."""
    options = {"repair": True, "remove_orphans": True}
    if "remake" in request.form:
        return _ask(options | {"remake": True}, "The gallery is being filled again from the photos.")
    return _ask(options, "What can be mended is being mended. Tills are answered meanwhile.")


def _ask(options: dict[str, bool], said: str) -> Response:
    database = catalog().database
    attempt(lambda: recording.start(database, "doctor", actor=actor(), options=options), said)
    return redirect(url_for("overview.index"))


def bars_of(days: Sequence[Day]) -> list[Bar]:
    """Days -> the parts of their bars, the first decision at the bottom; parts of nothing are left out."""
    unit = HEIGHT / max(1, *(day.total for day in days))
    bars = []
    for place, day in enumerate(days):
        top = float(HEIGHT)
        for decision in DECISIONS:
            count: int = getattr(day, decision)
            top -= count * unit
            if count:
                said = f"{day.on:%Y-%m-%d}: {count} {decision}"
                bars.append(Bar(decision, place * STEP + (STEP - BAR) / 2, round(top, 2), round(count * unit, 2), said))
    return bars
