"""API keys of tills: create, list, revoke."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import accounts
from catalog.errors import InvalidInputError
from web.admin.base import blueprint
from web.context import actor, catalog

pages = blueprint("keys", "/keys")


@pages.get("/")
def index() -> str:
    """All keys, without their secret part."""
    return _page(None)


@pages.post("/")
def add() -> str | Response:
    """Make a key and show it."""
    try:
        made = accounts.add_key(catalog().database, request.form.get("name", ""), actor=actor())
    except InvalidInputError as error:
        flash(str(error), "danger")
        return redirect(url_for("keys.index"))
    return _page(made)


@pages.post("/<int:key_id>/revoke")
def revoke(key_id: int) -> Response:
    """Revoke a key, effective at once."""
    accounts.revoke_key(catalog().database, key_id, actor=actor())
    flash("The key is revoked.", "success")
    return redirect(url_for("keys.index"))


@pages.post("/<int:key_id>/inbox")
def keep_photos(key_id: int) -> Response:
    """Whether photos that are not recognized are kept."""
    kept = request.form.get("kept") == "1"
    accounts.set_inbox(catalog().database, key_id, kept, actor=actor())
    flash("Its photos that are not recognized are kept." if kept else "None of its photos is kept.", "success")
    return redirect(url_for("keys.index"))


def _page(made: accounts.NewKey | None) -> str:
    return render_template("pages/keys.html", keys=accounts.list_keys(catalog().database), made=made)
