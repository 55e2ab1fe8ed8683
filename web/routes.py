"""What a route takes: the bytes of its body, and whether photos are in it. Said at the view, by a decorator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, request

View = TypeVar("View", bound=Callable[..., Any])

#: Bytes of one request, at most: fifty photos of a phone.
MAX_REQUEST = 256 * 1024 * 1024
#: Bytes of a request with one photo, at most.
MAX_PHOTO_REQUEST = 26 * 1024 * 1024
#: Bytes of a request with the photos of a batch, at most: fifty of a till, or a dozen of a phone.
MAX_BATCH_REQUEST = 64 * 1024 * 1024
#: Bytes of a request with photos of a product in JSON, at most: it is in memory whole, and several times over.
MAX_JSON_REQUEST = 32 * 1024 * 1024
#: Bytes of any other request: forms without a file. The server keeps so few in memory; only photos go to its disk.
MAX_FORM_REQUEST = 256 * 1024

# Attributes of a view.
_MOST, _MOST_JSON, _LANE, _KEY = "max_body", "max_json_body", "lane", "needs_key"


def takes_photos(most: int, lane: str, *, most_json: int = 0) -> Callable[[View], View]:
    """Mark a view whose body may have `most` bytes, answered in this lane of the server (see web/serving/lanes.py).

    `most_json`: bytes of a body in JSON; 0: those of the same photos, which take four bytes for three there (base64).
    """

    def mark(view: View) -> View:
        setattr(view, _MOST, most)
        setattr(view, _MOST_JSON, most_json or (most // 3 * 4 if most > MAX_FORM_REQUEST else most))
        setattr(view, _LANE, lane)
        return view

    return mark


def in_lane(lane: str) -> Callable[[View], View]:
    """Mark a view that is answered in this lane."""
    return takes_photos(MAX_FORM_REQUEST, lane)


def mark_needs_key(view: View) -> View:
    """Mark a view that answers only to an API key."""
    setattr(view, _KEY, True)
    return view


def max_body(view: Callable[..., Any] | None, media_type: str = "") -> int:
    """Bytes that the body of a request for this view may have."""
    return int(getattr(view, _MOST_JSON if is_json(media_type) else _MOST, MAX_FORM_REQUEST))


def is_json(media_type: str) -> bool:
    """Whether a body of this media type is JSON (RFC 6839: `+json`), with or without its parameters."""
    kind = media_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def lane(view: Callable[..., Any] | None) -> str:
    """The lane that a view is answered in."""
    return str(getattr(view, _LANE, "pages"))


def needs_key(view: Callable[..., Any] | None) -> bool:
    """Whether a view answers only to an API key."""
    return bool(getattr(view, _KEY, False))


def init_app(app: Flask) -> None:
    """Limit each request by its route, whatever server runs the app (ours does before it reads the body)."""

    @app.before_request
    def limit() -> None:
        request.max_content_length = max_body(app.view_functions.get(request.endpoint or ""), request.mimetype)
