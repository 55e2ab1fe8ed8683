"""The staff's pages: parse, one call into catalog/, render."""

from __future__ import annotations

from flask import Flask
from flask_bootstrap import Bootstrap5

from catalog import maintenance
from web.admin import add, audit, duplicates, inbox, keys, merging, models, overview, products, tryout
from web.admin.menu import MENU


def init_app(app: Flask) -> None:
    """Register the pages, Bootstrap's files and the menu."""
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    Bootstrap5(app)
    app.jinja_env.globals["menu"] = MENU
    app.config["ROLLING_BACK"] = maintenance.RollingBack()
    for module in (products, add, inbox, tryout, overview, duplicates, merging, models, keys, audit):
        app.register_blueprint(module.pages)
