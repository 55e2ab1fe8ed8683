"""API keys of tills: create, list, revoke."""

from __future__ import annotations

from flask import flash, redirect, request, url_for
from flask_admin import expose
from werkzeug.wrappers import Response

from catalog import accounts
from catalog.errors import InvalidInputError
from web.admin.base import StaffView
from web.context import actor, catalog


class KeysView(StaffView):
    """A new key is shown once."""

    @expose("/", methods=["GET"])
    def index(self) -> str:
        """All keys, without their secret part."""
        return self._page(None)

    @expose("/", methods=["POST"])
    def add(self) -> str | Response:
        """Make a key and show it."""
        try:
            made = accounts.add_key(catalog().database, request.form.get("name", ""), actor=actor())
        except InvalidInputError as error:
            flash(str(error), "danger")
            return redirect(url_for("keys.index"))
        return self._page(made)

    @expose("/<int:key_id>/revoke", methods=["POST"])
    def revoke(self, key_id: int) -> Response:
        """Revoke a key, effective at once."""
        accounts.revoke_key(catalog().database, key_id, actor=actor())
        flash("The key is revoked.", "success")
        return redirect(url_for("keys.index"))

    @expose("/<int:key_id>/inbox", methods=["POST"])
    def keep_photos(self, key_id: int) -> Response:
        """Whether photos that are not recognized are kept."""
        kept = request.form.get("kept") == "1"
        accounts.set_inbox(catalog().database, key_id, kept, actor=actor())
        flash("Its photos that are not recognized are kept." if kept else "None of its photos is kept.", "success")
        return redirect(url_for("keys.index"))

    def _page(self, made: accounts.NewKey | None) -> str:
        return str(self.render("pages/keys.html", keys=accounts.list_keys(catalog().database), made=made))
