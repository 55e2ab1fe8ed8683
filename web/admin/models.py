"""The models: which is live, what each can do, how far a re-embedding is, and the way back to the one before."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import maintenance
from catalog.runs import recording
from web.admin.base import attempt, blueprint
from web.context import actor, catalog

pages = blueprint("models", "/models")


@pages.get("/")
def index() -> str:
    """All models, the newest first."""
    database = catalog().database
    return render_template(
        "pages/models.html", found=maintenance.list_models(catalog()), run=recording.latest(database, "reembed")
    )


@pages.post("/rollback")
def roll_back() -> Response:
    """Go back to the model before the live one: the page shows how far it is."""
    database = catalog().database

    def ask() -> None:
        maintenance.check_way_back(database, request.form.get("live", ""))
        recording.start(database, "reembed", actor=actor(), options={"rollback": True})

    attempt(ask, "The model before is brought up to date, then it is switched to. Tills are answered meanwhile.")
    return redirect(url_for("models.index"))
