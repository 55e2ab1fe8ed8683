"""What is refused before its body is read, and in which lane the rest is answered: see web/serving."""

from __future__ import annotations

from flask import Flask
from werkzeug.exceptions import HTTPException

from web import routes
from web.security import KEY_MISSING, bearer_key
from web.serving import Head, Refused, Verdict

NOT_SIGNED_IN = Refused("not_signed_in", "Sign in, then send the photos again.")


class Gate:
    """Judges requests by the routes of an app. It asks neither disk nor database: the server waits for it."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._urls = app.url_map.bind("localhost")

    def __call__(self, head: Head) -> Verdict:
        """The lane, the limit of the body, and whether the request is refused for a missing key or session."""
        try:
            endpoint, _ = self._urls.match(head.path, head.method)
        except HTTPException:  # no such path, no such method, a redirect: none has a body to read
            endpoint = ""
        view = self._app.view_functions.get(endpoint)
        most, lane = routes.max_body(view, head.headers.get("CONTENT_TYPE", "")), routes.lane(view)
        if head.length != 0 and routes.needs_key(view) and not bearer_key(head.headers.get("AUTHORIZATION", "")):
            return Verdict(lane, most, Refused("key_missing", KEY_MISSING))
        is_large = head.length is None or head.length > routes.MAX_FORM_REQUEST
        if is_large and most > routes.MAX_FORM_REQUEST and not routes.needs_key(view) and not self._signed_in(head):
            return Verdict(lane, most, NOT_SIGNED_IN)
        return Verdict(lane, most)

    def _signed_in(self, head: Head) -> bool:
        """Whether the session's cookie is of a signed-in user; the view asks the database whether it still holds."""
        request = self._app.request_class({"HTTP_COOKIE": head.headers.get("COOKIE", ""), "REQUEST_METHOD": "GET"})
        session = self._app.session_interface.open_session(self._app, request)
        return session is not None and "_user_id" in session
