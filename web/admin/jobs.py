"""Jobs: imports and runs, what is at work and how the others ended, each with a way to stop it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog.runs import KINDS, NIGHT, recording
from catalog.storage.tables import Run
from catalog.transfer import import_jobs
from web import access
from web.admin.base import attempt, blueprint
from web.context import actor, catalog, local_path, page_number

pages = blueprint("jobs", "/jobs")
#: Runs of a page, and imports before them.
RUNS, IMPORTS = 30, 10


@dataclass(frozen=True)
class Of:
    """Where a kind of run belongs: its page and what that is called, the form that asks for one (who may send it may
    stop one), and what its progress counts.
    """

    page: str
    label: str
    form: str
    unit: str


#: By kind of run (catalog/runs/kinds.py).
PAGES = {
    "coverage": Of("needs_work.index", "Needs work", "needs_work.examine", "products"),
    "map": Of("map.index", "Map", "map.make", "photos"),
    "doctor": Of("overview.index", "Overview", "overview.check", "photos"),
    "reembed": Of("models.index", "Models", "models.embed", "photos"),
    NIGHT: Of("overview.index", "Overview", "overview.mend", "photos"),
}
#: A kind that this version does not know.
OTHER = Of("jobs.index", "Back", "models.embed", "steps")


@pages.get("/")
def index() -> str:
    """What is at work, then what is over, the newest first."""
    return render_template("pages/jobs.html", **_found())


@pages.get("/progress")
def progress() -> str:
    """The part of the page that its script loads again."""
    return render_template("parts/jobs.html", **_found())


@pages.get("/<uuid:run>")
def show(run: uuid.UUID) -> str:
    """One run: how far it is, or what came of it."""
    return render_template("pages/run.html", run=recording.get(catalog().database, run))


@pages.get("/<uuid:run>/progress")
def run_progress(run: uuid.UUID) -> str:
    """The part of a page with this run that its script loads again."""
    return render_template("parts/run.html", run=recording.get(catalog().database, run))


@pages.post("/<uuid:run>/stop")
def stop(run: uuid.UUID) -> Response:
    """End a run, and go back to the page that asked."""
    database = catalog().database
    access.check(of(recording.get(database, run)).form)
    attempt(lambda: recording.stop(database, run, actor=actor()), "It is being stopped.")
    return redirect(local_path(request.form.get("back", "")) or url_for("jobs.index"))


def of(run: Run) -> Of:
    """Where a run belongs. Who may not ask the doctor to mend may not stop that either."""
    of_kind = PAGES.get(run.kind, OTHER)
    return replace(of_kind, form="overview.mend") if run.options.get("repair") else of_kind


def title(run: Run) -> str:
    """What a run is called."""
    if run.kind == "reembed" and run.options.get("rollback"):
        return "Switch back to the model before"
    if run.kind == "reembed" and run.options.get("switch_anyway"):
        return "Switch to the model that was held"
    if run.kind == NIGHT:
        return "The night"
    kind = KINDS.get(run.kind)
    return kind.title if kind else run.kind


def _found() -> dict[str, object]:
    database, number = catalog().database, page_number()
    runs = recording.list_runs(database, start=number * RUNS, limit=RUNS + 1)
    imports = import_jobs.latest(database, IMPORTS) if number == 0 and access.may("imports.show") else []
    is_open = any(run.ended_at is None for run in runs) or any(job.state in import_jobs.WORKING for job in imports)
    return {
        "runs": runs[:RUNS],
        "imports": sorted(imports, key=lambda job: job.state in import_jobs.OVER),
        "is_open": is_open,
        "number": number,
        "last": number + (len(runs) > RUNS),
    }
