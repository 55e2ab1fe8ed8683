"""Security: headers, CSRF, rate limits and the API keys of tills."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from flask import Flask, Response, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf import CSRFProtect

from catalog import accounts
from web import errors
from web.context import catalog

P = ParamSpec("P")

csrf = CSRFProtect()
#: In memory: each process counts for itself, which is enough to make guessing passwords hopeless.
limiter = Limiter(get_remote_address, storage_uri="memory://")

# No inline scripts or styles; images only of our own and previews of chosen files.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def init_app(app: Flask) -> None:
    """CSRF protection for every form, rate limits for signing in, and headers on every response."""
    csrf.init_app(app)
    limiter.init_app(app)

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        # A new key, names and photos: no cache keeps a page, and no browser shows it after signing out. What may be
        # kept says so itself: static files, and photos by their content.
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def needs_key(view: Callable[P, Response]) -> Callable[P, Response]:
    """Require `Authorization: Bearer KEY`; the key's name is then `g.key_name`."""

    @wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> Response:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            return errors.problem(
                401, "key_missing", "No key", "Send the header Authorization: Bearer KEY; staff make keys under Keys."
            )
        row = accounts.check_key(catalog().database, key.strip())
        if row is None:
            return errors.problem(401, "key_unknown", "Wrong key", "This key is unknown or was revoked.")
        g.key_name = row.name
        return view(*args, **kwargs)

    return checked
