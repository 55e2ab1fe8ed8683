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
    found = maintenance.list_models(catalog())
    live = found.live.bundle_id if found.live else ""
    return render_template(
        "pages/models.html",
        found=found,
        run=recording.latest(catalog().database, "reembed"),
        bundles=[bundle for bundle in maintenance.known_bundles(catalog().settings) if bundle.id != live],
    )


@pages.post("/embed")
def embed() -> Response:
    """Embed all photos by another model, and switch to it if it is fit: the page shows how far it is."""

    def ask() -> None:
        bundle = maintenance.known_bundle(catalog(), request.form.get("bundle", ""))
        recording.start(catalog().database, "reembed", actor=actor(), options={"bundle_id": bundle.id})

    attempt(ask, "All photos are embedded by the other model, then it is judged and switched to. Tills go on.")
    return redirect(url_for("models.index"))


@pages.post("/rollback")
def roll_back() -> Response:
    """Go back to the model before the live one: the page shows how far it is."""
    database = catalog().database

    def ask() -> None:
        live = request.form.get("live", "")
        maintenance.check_way_back(database, live)
        recording.start(database, "reembed", actor=actor(), options={"rollback": True, "live": live})

    attempt(ask, "The model before is brought up to date, then it is switched to. Tills are answered meanwhile.")
    return redirect(url_for("models.index"))
