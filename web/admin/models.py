"""The models: which is live, what each can do, how far a re-embedding is, and the way back to the one before."""

from __future__ import annotations

from flask import current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import maintenance
from catalog.errors import ConflictError
from catalog.maintenance import RollingBack
from web.admin.base import blueprint
from web.context import actor, catalog

pages = blueprint("models", "/models")


@pages.get("/")
def index() -> str:
    """All models, the newest first."""
    return render_template("pages/models.html", found=maintenance.list_models(catalog()), rolling_back=_rolling_back())


@pages.post("/rollback")
def roll_back() -> Response:
    """Go back to the model before the live one: the page shows how far it is."""
    try:
        _rolling_back().start(catalog(), request.form.get("live", ""), actor=actor())
        flash(
            "The model before is brought up to date, then it is switched to. Tills are answered meanwhile.", "success"
        )
    except ConflictError as error:
        flash(str(error), "danger")
    return redirect(url_for("models.index"))


def _rolling_back() -> RollingBack:
    found: RollingBack = current_app.config["ROLLING_BACK"]
    return found
