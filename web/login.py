"""Signing in and out."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Flask, redirect, render_template, request, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.wrappers import Response

from catalog import accounts
from web.context import catalog
from web.security import limit_sign_in

blueprint = Blueprint("login", __name__)
manager = LoginManager()
manager.login_view = "login.sign_in"
manager.login_message = None


class SignedIn(UserMixin):  # type: ignore[misc]
    """The user of a session."""

    def __init__(self, user_id: int, name: str) -> None:
        self.id, self.name = user_id, name


@manager.user_loader  # type: ignore[untyped-decorator]
def _load(user_id: str) -> SignedIn | None:
    user = accounts.find_user(catalog().database, int(user_id)) if user_id.isdigit() else None
    return SignedIn(user.id, user.name) if user else None


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
    if user is None:
        return render_template("pages/login.html", name=name, error="Name or password is wrong."), 401
    login_user(SignedIn(user.id, user.name))
    return redirect(_safe(request.args.get("next", "")) or url_for("products.index"))


@blueprint.post("/logout")
def sign_out() -> Response:
    """End the session."""
    logout_user()
    return redirect(url_for("login.sign_in"))


def _safe(target: str) -> str:
    """The target if it is a path of this site, else "": no open redirect after signing in."""
    parts = urlsplit(target)
    safe = not parts.scheme and not parts.netloc and target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if safe else ""
