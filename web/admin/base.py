"""What all staff pages share: they require signing in."""

from __future__ import annotations

import uuid

from flask import Blueprint, flash, redirect, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from web import errors


def blueprint(name: str, prefix: str) -> Blueprint:
    """The blueprint of a page below `prefix`, which only the staff may see."""
    pages = Blueprint(name, __name__, url_prefix=prefix)
    pages.before_request(_sign_in_first)
    return pages


def _sign_in_first() -> Response | None:
    """Sign in, then come back; a page's script is told so, and keeps what was chosen and typed."""
    if current_user.is_authenticated:
        return None
    if errors.wants_problem():
        return errors.problem(401, "not_signed_in", "Not signed in", "Sign in, then send it again.")
    return redirect(url_for("login.sign_in", next=request.full_path if request.method == "GET" else None))


def go_to(address: str) -> Response:
    """Redirect. A page's script gets the address alone: following it would use up the message that is to be shown."""
    if errors.wants_problem():
        return Response(status=204, headers={"Location": address})
    return redirect(address)


def flash_undo(message: str, entry: uuid.UUID) -> None:
    """Say what is in the bin now; the message has a button that restores it."""
    flash(message, f"undo:{entry}")
