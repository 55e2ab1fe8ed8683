"""Signing in and out."""

from __future__ import annotations

import re

from flask import Blueprint, Flask, redirect, render_template, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.wrappers import Response

from catalog import accounts
from catalog.normalization import plain
from web.context import catalog
from web.security import limit_sign_in

blueprint = Blueprint("login", __name__)
manager = LoginManager()
manager.login_view = "login.sign_in"
manager.login_message = None


class SignedIn(UserMixin):  # type: ignore[misc]
    """The user of a session. Its id, which the cookie holds, is the session's token."""

    def __init__(self, token: str, name: str) -> None:
        self.id, self.name = token, name


@manager.user_loader  # type: ignore[untyped-decorator]
def _load(token: str) -> SignedIn | None:
    user = accounts.session_user(catalog().database, token)
    return SignedIn(token, user.name) if user else None


def init_app(app: Flask) -> None:
    """Register the pages."""
    manager.init_app(app)
    app.register_blueprint(blueprint)


@blueprint.route("/login", methods=["GET", "POST"])
@limit_sign_in
def sign_in() -> str | Response | tuple[str, int]:
    """Show the form, or sign in."""
    if current_user.is_authenticated:
        return redirect(url_for("products.index"))
    if request.method == "GET":
        return render_template("pages/login.html", name="", error="")
    name = request.form.get("name", "")
    user = accounts.check_password(catalog().database, name, request.form.get("password", ""))
    token = accounts.start_session(catalog().database, user) if user else None
    if user is None or token is None:
        return render_template("pages/login.html", name=name, error="Name or password is wrong."), 401
    login_user(SignedIn(token, user.name))
    return redirect(_safe(request.args.get("next", "")) or url_for("products.index"))


@blueprint.post("/logout")
def sign_out() -> Response:
    """End the session, here and for whoever copied the cookie."""
    if current_user.is_authenticated:
        accounts.end_session(catalog().database, current_user.id)
    logout_user()
    session.clear()
    return redirect(url_for("login.sign_in"))


def _safe(target: str) -> str:
    """The target if it is a path of this site, else "": no open redirect after signing in."""
    # One slash alone at the start names no host. Browsers drop tabs and line ends from an address, and a header can't
    # hold them.
    return target if re.match(r"/(?![/\\])", target) and plain(target) else ""
