"""The staff's pages: parse, one call into catalog/, render."""

from __future__ import annotations

from flask import Flask
from flask_bootstrap import Bootstrap5

from catalog.products import MAX_PHOTOS
from embedder import images
from web import routes
from web.admin import (
    account,
    add,
    alike,
    audit,
    bin,
    bulk,
    duplicates,
    early_uploads,
    findings,
    history,
    imports,
    inbox,
    jobs,
    keys,
    map,
    merging,
    models,
    needs_work,
    overview,
    people,
    photos,
    products,
    tryout,
    webhooks,
)
from web.admin.menu import MENU

PAGES = (
    *(products, photos, history, alike, bulk, add, early_uploads, inbox, tryout, imports),
    *(overview, needs_work, duplicates, map, merging, bin, jobs, models, keys, webhooks, people, audit, account),
)


def init_app(app: Flask) -> None:
    """Register the pages, Bootstrap's files and the menu."""
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    Bootstrap5(app)
    app.jinja_env.globals.update(menu=MENU, run_of=jobs.of, run_title=jobs.title, what_to_do=findings.what_to_do)
    app.jinja_env.globals["photo_limits"] = {
        "photos": MAX_PHOTOS,
        "bytes": images.MAX_BYTES,
        "total": routes.MAX_REQUEST - routes.MAX_FORM_REQUEST,
    }
    for module in PAGES:
        app.register_blueprint(module.pages)
