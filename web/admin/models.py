"""The models: which is live, what each can do, how far a re-embedding is, how it was judged, and the way back."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import judging, maintenance
from catalog.errors import NotFoundError
from catalog.runs import recording
from web.admin.base import attempt, blueprint
from web.context import actor, catalog, page_number

#: Queries of a page that got worse.
PAGE = 20
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
        judged=judging.list_judgements(catalog().database),
        held={found.bundle_id for found in judging.held_generations(catalog().database)},
    )


@pages.get("/<bundle>/judgement")
def judgement(bundle: str) -> str:
    """What a model and the live one answered to the same photos: the figures, and each answer that got worse."""
    database, number = catalog().database, page_number()
    found = judging.find_judgement(database, bundle)
    if found is None:
        raise NotFoundError("This model was not judged, or is being judged now.")
    worse = judging.list_worse(database, found.generation_id, start=number * PAGE, limit=PAGE)
    return render_template(
        "pages/judgement.html",
        found=found,
        kinds=judging.KINDS,
        rows=judging.side_by_side(found.report),
        worse=worse,
        number=number,
        start=number * PAGE,
        drawn=judging.PHOTOS,
        last=(worse.total - 1) // PAGE,
        held=bundle in {each.bundle_id for each in judging.held_generations(database)},
        settings=catalog().settings,
        run=recording.latest(database, "reembed"),
    )


@pages.post("/<bundle>/switch")
def switch_anyway(bundle: str) -> Response:
    """Switch to a model that is held: a person has looked at it."""

    def ask() -> None:
        maintenance.check_held(catalog().database, bundle)
        maintenance.known_bundle(catalog(), bundle)
        options = {"bundle_id": bundle, "switch_anyway": True}
        recording.start(catalog().database, "reembed", actor=actor(), options=options)

    attempt(ask, "The model is brought up to date, then it is switched to. Tills are answered meanwhile.")
    return redirect(url_for("models.index"))


@pages.post("/<bundle>/remove")
def remove(bundle: str) -> Response:
    """Remove a model that is held, for good."""

    def ask() -> None:
        maintenance.check_held(catalog().database, bundle)
        maintenance.remove_model(catalog(), bundle, actor=actor())

    attempt(ask, "The model and its gallery are removed.")
    return redirect(url_for("models.index"))


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
