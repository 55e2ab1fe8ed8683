"""One's own account: the password, and the first page of the first admin."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from catalog import accounts, products
from catalog.errors import InvalidInputError
from web import access
from web.admin.base import blueprint
from web.context import catalog
from web.security import limit_own_password

pages = blueprint("account", "/account")


@pages.get("/")
def index() -> str:
    """Name, role, and the form for another password."""
    return render_template("pages/account.html", may_do=access.MAY, error=None)


@pages.post("/")
@limit_own_password
def change_password() -> Response | tuple[str, int]:
    """Another password, by who knows the present one; other sessions end."""
    present, new = request.form.get("present", ""), request.form.get("password", "")
    try:
        accounts.change_password(catalog().database, current_user.id, present, new)
    except InvalidInputError as error:
        return render_template("pages/account.html", may_do=access.MAY, error=error), 422
    flash("Your password is changed. Wherever else you were signed in, you are not any more.", "success")
    return redirect(url_for("account.index"))


@pages.get("/welcome")
def welcome() -> str:
    """What comes first in a new catalog."""
    return render_template("pages/welcome.html", counts=products.counts(catalog().database))
