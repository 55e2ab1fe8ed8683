"""A form that was sent when its session had ended, or could not be dealt with: offered to be sent again, as it was.

It goes through the pages as hidden fields, so nothing is stored for somebody who is not signed in. Passwords, and what
makes them, are not kept, nor are files: no page can hold them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import render_template, request, url_for
from flask_login import current_user

from web.context import local_path

#: Characters of a form that is kept, at most: 16 bytes each as they are carried, still a form that the server takes.
MOST = 15_000
_NOT_KEPT = frozenset({"csrf_token", "anyway"})  # "anyway" answers a question that is asked again


@dataclass(frozen=True)
class KeptForm:
    """Where a form was sent, and its fields in order; `files`: it had files, too, which have to be chosen again."""

    address: str
    fields: tuple[tuple[str, str], ...]
    files: bool

    @property
    def carried(self) -> str:
        """As one hidden field holds it."""
        return json.dumps([self.address, self.fields, self.files])


def sent() -> KeptForm | None:
    """The form of this request; None if it is none of the staff's, has passwords, or is too large."""
    endpoint = request.endpoint or ""
    if endpoint == "login.sign_in":
        return carried()
    if request.method != "POST" or not endpoint or endpoint.startswith(("login.", "links.")):
        return None
    fields = tuple((name, value) for name, value in request.form.items(multi=True) if name not in _NOT_KEPT)
    if any("password" in name for name, _ in fields) or sum(len(name) + len(value) for name, value in fields) > MOST:
        return None
    query = request.query_string.decode("ascii", "ignore")
    address = url_for(endpoint, **(request.view_args or {})) + (f"?{query}" if query else "")
    return KeptForm(address, fields, any(file.filename for file in request.files.values()))


def carried() -> KeptForm | None:
    """The form that the form for signing in carries; None for none, and for what is none."""
    try:
        address, fields, files = json.loads(request.form.get("again", ""))
        "".join(f"{name}{value}" for name, value in fields).encode()  # half of a character can be no page's
        kept = KeptForm(str(address), tuple((str(name), str(value)) for name, value in fields), bool(files))
    except (ValueError, TypeError, RecursionError):
        return None
    return kept if local_path(kept.address) else None


def of_our_page() -> bool:
    """Whether a page of this site sent the request, as browsers tell: nobody is led to send another site's form."""
    site = request.headers.get("Sec-Fetch-Site")
    return site == "same-origin" if site else urlsplit(request.headers.get("Origin", "")).netloc == request.host


def ask_to_sign_in() -> tuple[str, int]:
    """The form for signing in, which carries the form of this request."""
    kept = sent() if of_our_page() else None
    return render_template("pages/login.html", name="", error="", ended=True, kept=kept), 401


def ask_again() -> tuple[str, int] | None:
    """For a form of a session that has ended: sign in, or, in a new session, send it again. None if it is neither."""
    if not current_user.is_authenticated:
        return ask_to_sign_in()
    kept = sent() if of_our_page() else None
    return (render_template("pages/again.html", kept=kept), 400) if kept else None
