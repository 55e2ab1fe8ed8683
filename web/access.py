"""Who may do what: the one place that asks for signing in, and for a role. A route without a rule is closed to all.

Of each group of pages, the least role that reads them (GET) and the least that changes something there (POST).
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app, redirect, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from catalog.accounts import ADMIN, EDITOR, VIEWER, covers
from catalog.errors import NotAllowedError
from web import errors, kept_form, routes


@dataclass(frozen=True)
class Rule:
    """The least role to read a group of pages, and to change something there."""

    read: str
    change: str


#: By blueprint, or for one page of it.
RULES = {
    "products": Rule(VIEWER, EDITOR),
    "add": Rule(EDITOR, EDITOR),
    "alike": Rule(VIEWER, VIEWER),  # asks, and changes nothing
    "early_uploads": Rule(EDITOR, EDITOR),
    "bulk": Rule(EDITOR, EDITOR),
    "photos": Rule(VIEWER, EDITOR),
    "photos.choose_product": Rule(EDITOR, EDITOR),  # a form
    "history": Rule(VIEWER, EDITOR),
    "bin": Rule(EDITOR, EDITOR),
    "bin.delete_for_good": Rule(ADMIN, ADMIN),
    "inbox": Rule(VIEWER, EDITOR),
    "imports": Rule(EDITOR, EDITOR),
    "jobs": Rule(VIEWER, EDITOR),
    "overview": Rule(VIEWER, EDITOR),
    "overview.mend": Rule(ADMIN, ADMIN),
    "needs_work": Rule(VIEWER, EDITOR),
    "needs_work.take_photo": Rule(EDITOR, EDITOR),  # a form
    "duplicates": Rule(VIEWER, EDITOR),
    "map": Rule(VIEWER, EDITOR),
    "merging": Rule(EDITOR, EDITOR),
    "models": Rule(VIEWER, ADMIN),
    "try": Rule(VIEWER, VIEWER),  # asks, and changes nothing
    "pictures": Rule(VIEWER, EDITOR),
    "account": Rule(VIEWER, VIEWER),  # one's own
    "keys": Rule(ADMIN, ADMIN),
    "webhooks": Rule(ADMIN, ADMIN),
    "people": Rule(ADMIN, ADMIN),
    "audit": Rule(ADMIN, ADMIN),
}
#: Of these no session is asked: the API asks for a key, a link for its token; the start page leads on to one that asks;
#: /metrics looks at the address.
OPEN = frozenset(
    {
        *("api", "health", "metrics", "static", "bootstrap", "login", "links"),
        *("home", "description", "docs", "problems"),
    }
)
#: What a role may do, in words.
MAY = {VIEWER: "look at products and try photos", EDITOR: "change products", ADMIN: "manage people and keys"}


def needed_role(endpoint: str, method: str) -> str | None:
    """The least role for a request; "" if nobody need be signed in, None if there is no rule."""
    group = endpoint.partition(".")[0]
    if group in OPEN or endpoint.endswith(".static"):
        return ""
    rule = RULES.get(endpoint) or RULES.get(group)
    if rule is None:
        return None
    return rule.read if method in ("GET", "HEAD", "OPTIONS") else rule.change


def init_app(app: Flask) -> None:
    """Check each request before its view runs, and tell the pages what to show (`may`)."""

    @app.before_request
    def check_request() -> Response | tuple[str, int] | None:
        if _is_unguarded(request.endpoint or ""):
            raise NotAllowedError("Nobody may do this.")
        needed = needed_role(request.endpoint, request.method) if request.endpoint else ""
        if needed == "":
            return None
        if not current_user.is_authenticated:  # sign in, then come back; a page's script keeps what was typed meanwhile
            if errors.wants_problem():
                return errors.problem("not_signed_in", "Sign in, then send it again.")
            if request.method == "POST":
                return kept_form.ask_to_sign_in()
            return redirect(url_for("login.sign_in", next=request.full_path))
        if needed is None or not covers(current_user.role, needed):
            raise NotAllowedError(_refusal(needed))
        return None

    app.jinja_env.globals["may"] = may


def _is_unguarded(endpoint: str) -> bool:
    """Whether a view of the API asks for no key: it is closed to all, as is a page without a rule."""
    return endpoint.startswith("api.") and not routes.needs_key(current_app.view_functions.get(endpoint))


def may(endpoint: str) -> bool:
    """Whether the signed-in user may open this page, or send its form."""
    rules = current_app.url_map.iter_rules(endpoint)
    methods: set[str] = set().union(*(rule.methods or set() for rule in rules))
    needed = needed_role(endpoint, "GET" if "GET" in methods else "POST")
    return needed == "" or (needed is not None and covers(getattr(current_user, "role", ""), needed))


def check(endpoint: str) -> None:
    """Raises NotAllowedError unless the signed-in user may send this form."""
    if not may(endpoint):
        raise NotAllowedError(_refusal(needed_role(endpoint, "POST")))


def _refusal(needed: str | None) -> str:
    role = current_user.role
    if needed is None:
        return "Nobody may do this."
    return f"You are signed in as {current_user.name}, who may {MAY[role]}. To {MAY[needed]}, ask an admin."
