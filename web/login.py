"""Signing in and out."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, g, jsonify, redirect, render_template, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_wtf.csrf import generate_csrf
from werkzeug.wrappers import Response as Redirect

from catalog import accounts
from catalog.errors import DatabaseUnavailableError
from catalog.storage.tables import User
from web import kept_form
from web.context import catalog, local_path
from web.security import client_address, limit_sign_in

blueprint = Blueprint("login", __name__)
#: What scripts ask by themselves.
POLLED = {"jobs.progress", "jobs.run_progress", "imports.progress"}
manager = LoginManager()


class SignedIn(UserMixin):  # type: ignore[misc]
    """The user of a session. Its id, which the cookie holds, is the session's token."""

    def __init__(self, token: str, user: User) -> None:
        self.id, self.name, self.role = token, user.name, user.role


@manager.user_loader  # type: ignore[untyped-decorator]
def _load(token: str) -> SignedIn | None:
    if g.get("database_away"):
        return None  # the page that says so asks for the user, too
    opened = catalog()
    # A page that looks again by itself does not keep the session of somebody who has left.
    uses = None if request.endpoint in POLLED else opened.uses
    try:
        user = accounts.session_user(opened.database, token, limits=opened.settings.sessions, uses=uses)
    except DatabaseUnavailableError:
        g.database_away = True
        raise
    return SignedIn(token, user) if user else None


def init_app(app: Flask) -> None:
    """Register the pages."""
    manager.init_app(app)
    app.register_blueprint(blueprint)


@blueprint.route("/login", methods=["GET", "POST"])
@limit_sign_in
def sign_in() -> str | Redirect | tuple[str, int]:
    """Show the form, or sign in; a form that was sent when its session had ended is then offered to be sent."""
    kept = kept_form.carried()
    if current_user.is_authenticated:
        return render_template("pages/again.html", kept=kept) if kept else redirect(url_for("products.index"))
    if request.method == "GET":
        nobody = not accounts.has_staff(catalog().database)
        return render_template("pages/login.html", name="", error="", nobody=nobody)
    name, password = request.form.get("name", ""), request.form.get("password", "")
    limits = catalog().settings.sessions
    found = accounts.sign_in(catalog().database, name, password, address=client_address(), limits=limits)
    if found is None:
        return render_template("pages/login.html", name=name, error="Name or password is wrong.", kept=kept), 401
    user, token = found
    login_user(SignedIn(token, user))
    if kept:
        return render_template("pages/again.html", kept=kept)
    return redirect(local_path(request.args.get("next", "")) or url_for("products.index"))


@blueprint.get("/session")
def state() -> Response:
    """For the script of a page: whose session this is, "" for none, and the token of its forms."""
    return jsonify(name=current_user.name if current_user.is_authenticated else "", csrf_token=generate_csrf())


@blueprint.post("/logout")
def sign_out() -> Redirect:
    """End the session, here and for whoever copied the cookie."""
    if current_user.is_authenticated:
        accounts.end_session(catalog().database, current_user.id)
    logout_user()
    session.clear()
    return redirect(url_for("login.sign_in"))
