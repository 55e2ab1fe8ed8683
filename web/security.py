"""Security: headers, CSRF, rate limits and the API keys of tills."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from flask import Flask, Response, current_app, g, request
from flask.sessions import SecureCookieSessionInterface
from flask_limiter import Limiter
from flask_login import current_user
from flask_wtf import CSRFProtect

from catalog import accounts
from web import errors, routes
from web.context import catalog
from web.key_limits import KeyLimits, Spent

P = ParamSpec("P")

#: Tries to sign in: with one name from one address, and from one address with whatever names (wrong ones alone count).
TRIES, WRONG_TRIES = "10/minute", "100/minute"
TOO_MANY = "Too many tries: wait a minute."
#: Detail of the problem `key_missing`.
KEY_MISSING = "Send the header Authorization: Bearer KEY; staff make keys under Keys."


def client_address() -> str:
    """Who asks: an IPv4 address, or the network that one customer of a provider has in IPv6."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return request.remote_addr or ""
    return str(address if address.version == 4 else ipaddress.ip_network((address, 64), strict=False))


def _who_tries() -> str:
    # By both: ten wrong passwords keep nobody out but who tries them, not the name's owner and not the whole shop.
    return f"{client_address()} {request.form.get('name', '').strip().casefold()[:100]}"


csrf = CSRFProtect()
#: In memory: each process counts for itself, which is enough to make guessing passwords hopeless.
limiter = Limiter(client_address, storage_uri="memory://")


def limit_sign_in(view: Callable[..., Any]) -> Callable[..., Any]:
    """Limit the tries to sign in by this view, which answers 401 to a wrong one."""
    limited = limiter.limit(TRIES, key_func=_who_tries, methods=["POST"], error_message=TOO_MANY)(view)
    return limiter.limit(
        WRONG_TRIES, methods=["POST"], error_message=TOO_MANY, deduct_when=lambda reply: reply.status_code == 401
    )(limited)


def limit_own_password(view: Callable[..., Any]) -> Callable[..., Any]:
    """Limit the tries to change one's own password: whoever finds a browser signed in doesn't guess it."""
    limited: Callable[..., Any] = limiter.limit(
        TRIES, key_func=lambda: f"own {current_user.name}", methods=["POST"], error_message=TOO_MANY
    )(view)
    return limited


class Sessions(SecureCookieSessionInterface):
    """Flask's sessions in a signed cookie, which a browser keeps to https where it came by https."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether the cookie is marked Secure."""
        return request.is_secure or super().get_cookie_secure(app)


# No inline scripts or styles; images only of our own and previews of chosen files.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def init_app(app: Flask) -> None:
    """CSRF protection for every form, rate limits for signing in, and headers on every response."""
    app.session_interface = Sessions()
    csrf.init_app(app)
    limiter.init_app(app)
    settings = app.config["CATALOG"].settings
    app.extensions["key_limits"] = KeyLimits(settings.limits, settings.key_rate)

    @app.after_request
    def headers(response: Response) -> Response:
        spent: Spent | None = g.get("spent")
        response.headers.update(spent.headers if spent else {})
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        if response.status_code == 429 and limiter.current_limit:
            seconds = math.ceil(limiter.current_limit.reset_at - time.time())
            response.headers["Retry-After"] = str(max(1, seconds))
        # A new key, names and photos: no cache keeps a page, and no browser shows it after signing out. What may be
        # kept says so itself: static files, and photos by their content.
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def bearer_key(authorization: str) -> str:
    """The key in an Authorization header; "" if there is none."""
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def needs_key(scope: str) -> Callable[[Callable[P, Response]], Callable[P, Response]]:
    """Require `Authorization: Bearer KEY` of a key with this scope; the key's name is then `g.key_name`.

    `g.key_keeps_photos`: whether its photos may go into the inbox; `g.key_id`: the key's number. `g.spent`: what its
    limit leaves it; a request over it is answered 429.
    """

    def guard(view: Callable[P, Response]) -> Callable[P, Response]:
        @routes.mark_needs_key
        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> Response:
            key = bearer_key(request.headers.get("Authorization", ""))
            if not key:
                return errors.problem("key_missing", KEY_MISSING)
            row = accounts.check_key(catalog().database, key, catalog().uses)
            if row is None:
                return errors.problem("key_unknown", "This key is unknown or was revoked.")
            g.api_key = row
            g.spent = spent = _limits().spend(row)
            if spent and spent.is_over:
                detail = f"This key may ask {spent.limit} times, and did: ask again in {spent.reset} seconds."
                return errors.problem("too_many_requests", detail, retry_after=spent.reset)
            if scope not in row.scopes:
                detail = f"This needs a key with the scope {scope}, and yours has {' '.join(row.scopes)}."
                return errors.problem("scope_missing", detail)
            g.key_name, g.key_keeps_photos, g.key_id = row.name, row.inbox, row.id
            return view(*args, **kwargs)

        return checked

    return guard


def count_further(photos: int) -> None:
    """Count photos of this request beyond the first as requests of its key. It is answered all the same.

    So a batch is not sent in vain, and one that is larger than the limit is answered, too; the next request waits.
    """
    if photos > 0:
        g.spent = _limits().spend(g.api_key, photos)


def _limits() -> KeyLimits:
    limits: KeyLimits = current_app.extensions["key_limits"]
    return limits
