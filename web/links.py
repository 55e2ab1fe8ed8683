"""Links that are good for one use: an invitation, and the first start of a catalog that nobody can sign in to yet.

The first start's token is in this process alone: it is of no use after a restart, and whoever has it could read what
the process printed.
"""

from __future__ import annotations

import secrets
from hmac import compare_digest

from flask import Blueprint, Flask, current_app, redirect, render_template, request, session, url_for
from flask_login import login_user
from werkzeug.wrappers import Response

from catalog import accounts
from catalog.errors import CatalogError, LinkGoneError
from catalog.storage.tables import User
from web import errors
from web.context import catalog
from web.login import SignedIn
from web.security import client_address

blueprint = Blueprint("links", __name__)
Page = str | Response | tuple[str, int]
_FIRST = "first_start"


def init_app(app: Flask) -> None:
    """Register the pages."""
    app.register_blueprint(blueprint)


def first_start(app: Flask) -> str | None:
    """The path of a new link that makes the first admin; None where somebody can sign in."""
    with app.app_context():
        if accounts.has_staff(catalog().database):
            return None
    app.extensions[_FIRST] = secrets.token_urlsafe(32)
    return f"/start/{app.extensions[_FIRST]}"


@blueprint.get("/start/<token>")
def start(token: str) -> Page:
    """The form for the first account."""
    _check_first(token)
    return render_template("pages/start.html", name="", error="")


@blueprint.post("/start/<token>")
def make_first(token: str) -> Page:
    """Make the first account, an admin's, and sign in."""
    _check_first(token)
    name, password = request.form.get("name", ""), request.form.get("password", "")
    try:
        user = accounts.first_admin(catalog().database, name, password)
    except CatalogError as error:
        return render_template("pages/start.html", name=name, error=str(error)), errors.status_of(error)
    current_app.extensions.pop(_FIRST, None)
    return _signed_in(user, "account.welcome")


@blueprint.get("/invite/<token>")
def invitation(token: str) -> Page:
    """The form for the password of the invited."""
    user = accounts.invited(catalog().database, token)
    return render_template("pages/invited.html", name=user.name, error="")


@blueprint.post("/invite/<token>")
def accept(token: str) -> Page:
    """Set the password, and sign in."""
    user = accounts.invited(catalog().database, token)
    try:
        user = accounts.accept(catalog().database, token, request.form.get("password", ""))
    except LinkGoneError:
        raise
    except CatalogError as error:
        return render_template("pages/invited.html", name=user.name, error=str(error)), errors.status_of(error)
    return _signed_in(user, "products.index")


def _check_first(token: str) -> None:
    """Raises LinkGoneError where the link was used, is of before a restart, or anybody can sign in."""
    given = current_app.extensions.get(_FIRST)
    same = given is not None and compare_digest(given.encode(), token.encode(errors="replace"))
    if not same or accounts.has_staff(catalog().database):
        raise LinkGoneError("This link was used already, or the server was restarted: it prints a new one.")


def _signed_in(user: User, endpoint: str) -> Response:
    """Sign in who has just set the password, in place of whoever was, and go on there."""
    token = accounts.start_session(
        catalog().database, user, address=client_address(), limits=catalog().settings.sessions
    )
    session.clear()
    if token is None:  # switched off at this moment
        return redirect(url_for("login.sign_in"))
    login_user(SignedIn(token, user))
    return redirect(url_for(endpoint))
