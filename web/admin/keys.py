"""API keys of tills: create, list, rename, revoke."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from contextlib import suppress

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import accounts
from catalog.errors import FormSentError, InvalidInputError
from web.admin.base import blueprint
from web.context import actor, catalog, read_once, sent_form

pages = blueprint("keys", "/keys")


@pages.get("/")
def index() -> str:
    """All keys, without their secret part, and one that was just made, once."""
    return _page(made=read_once())


@pages.post("/")
def add() -> Response | tuple[str, int]:
    """Make a key; the list then shows it."""
    form, name, scopes = sent_form(), request.form.get("name", ""), request.form.getlist("scope")
    try:
        with suppress(FormSentError):
            accounts.add_key(catalog().database, name, scopes, actor=actor(), form=form)
    except InvalidInputError as error:
        return _page(error=error, name=name, scopes=scopes), 422
    return redirect(url_for("keys.index", made=form.id))


@pages.get("/<int:key_id>")
def show(key_id: int) -> str:
    """One key: its name, its photos, and revoking it."""
    return _key(key_id)


@pages.post("/<int:key_id>/name")
def rename(key_id: int) -> Response | tuple[str, int]:
    """Another name."""
    name = request.form.get("name", "")
    try:
        accounts.rename_key(catalog().database, key_id, name, actor=actor())
    except InvalidInputError as error:
        return _key(key_id, error, name), 422
    flash("Saved.", "success")
    return redirect(url_for("keys.show", key_id=key_id))


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
    return redirect(url_for("keys.show", key_id=key_id))


def _page(
    made: accounts.ReadOnce | None = None,
    error: InvalidInputError | None = None,
    name: str = "",
    scopes: Collection[str] = accounts.RECOGNIZE,
) -> str:
    return render_template(
        "pages/keys.html",
        keys=accounts.list_keys(catalog().database),
        made=made,
        error=error,
        name=name,
        scopes=scopes,
        words=accounts.SCOPES,
        form=uuid.uuid4(),
    )


def _key(key_id: int, error: InvalidInputError | None = None, name: str = "") -> str:
    key = accounts.get_key(catalog().database, key_id)
    return render_template(
        "pages/key.html", key=key, error=error, name=name if error else key.name, words=accounts.SCOPES
    )
