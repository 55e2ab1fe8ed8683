"""What all staff pages share: they require signing in."""

from __future__ import annotations

from typing import Any

from flask import redirect, request, url_for
from flask_admin import BaseView
from flask_login import current_user
from werkzeug.wrappers import Response


class SignedInOnly:
    """Access control: Flask-Admin lets everybody in by default."""

    def is_accessible(self) -> bool:
        """Only the staff."""
        return bool(current_user.is_authenticated)

    def inaccessible_callback(self, name: str, **kwargs: Any) -> Response:
        """Sign in, then come back."""
        return redirect(url_for("login.sign_in", next=request.full_path if request.method == "GET" else None))


class StaffView(SignedInOnly, BaseView):  # type: ignore[misc]
    """A page of the staff."""
