"""Errors mapped to HTTP responses: `application/problem+json` (RFC 9457) for programs, a page for people."""

from __future__ import annotations

import json
import logging
from typing import Any

from flask import Flask, Response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import BadHost, HTTPException

from catalog.errors import (
    CatalogError,
    ConfigError,
    ConflictError,
    DatabaseUnavailableError,
    GalleryError,
    InvalidFieldsError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    PhotoQuestionableError,
    PhotoRejectedError,
    SkuExistsError,
    StorageError,
)
from web import kept_form

log = logging.getLogger(__name__)

#: The first matching class counts, so subclasses come first.
STATUS: tuple[tuple[type[CatalogError], int], ...] = (
    (PhotoRejectedError, 422),
    (InvalidInputError, 422),
    (SkuExistsError, 409),
    (ConflictError, 409),
    (NotAllowedError, 403),
    (NotFoundError, 404),
    (StorageError, 503),
    (DatabaseUnavailableError, 503),
    (GalleryError, 503),
    (ConfigError, 503),
)
PHOTO_STATUS = {"too_large": 413, "too_many_pixels": 413, "not_an_image": 415}


def status_of(error: CatalogError) -> int:
    """HTTP status of a catalog error; 500 for one that is missing in the tables."""
    if isinstance(error, PhotoRejectedError) and error.code in PHOTO_STATUS:
        return PHOTO_STATUS[error.code]
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def problem(status: int, code: str, title: str, detail: str, **extra: Any) -> Response:
    """An RFC 9457 problem. `code` is stable: programs may depend on it."""
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail, **extra}
    response = Response(json.dumps(body), status, content_type="application/problem+json")
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="catalog"'
    if status == 503:
        response.headers["Retry-After"] = "2"
    return response


def wants_problem() -> bool:
    """Whether a program made the request: below /api and /health, or a script of our pages."""
    return request.path.startswith(("/api/", "/health")) or "X-Requested-With" in request.headers


def _extra(error: CatalogError) -> dict[str, Any]:
    """Members of a problem beyond code and detail."""
    extra: dict[str, Any] = {"field": error.field} if error.field else {}
    if isinstance(error, InvalidFieldsError):
        extra["errors"] = [{"field": part.field, "detail": part.message} for part in error.errors]
    if isinstance(error, PhotoRejectedError):
        extra["photos"] = [_refused(photo) for photo in error.rejected]
    return extra


def _refused(photo: PhotoRejectedError) -> dict[str, Any]:
    """A photo at fault, as a problem names it."""
    named = {"filename": photo.filename, "sha256": photo.sha256}
    if isinstance(photo, PhotoQuestionableError):
        return {**named, "warnings": [warning.as_dict() for warning in photo.warnings]}
    return {**named, "code": photo.code, "detail": str(photo).removeprefix(f"{photo.filename}: ")}


def logged_path() -> str:
    """The path of the request for the log, without the token of a link: whoever reads the log could use it."""
    token = (request.view_args or {}).get("token")
    return request.path.replace(token, "...") if token else request.path


class LoggedWithoutTokens(Flask):
    """A Flask app whose log of unexpected errors holds no token, either."""

    def log_exception(self, exc_info: Any) -> None:
        """Log an unexpected error of a view."""
        self.logger.error("Exception on %s [%s]", logged_path(), request.method, exc_info=exc_info)


def init_app(app: Flask) -> None:
    """Map every error of the catalog and of HTTP."""

    @app.errorhandler(CatalogError)
    def catalog_error(error: CatalogError) -> Response | tuple[str, int]:
        status = status_of(error)
        if status >= 500:
            log.error("%s %s: %s: %s", request.method, logged_path(), error.code, error)
        titles = {403: "Not allowed", 404: "Not found", 409: "Conflict", 503: "Not available right now"}
        title = titles.get(status, "Not accepted")
        if wants_problem():
            return problem(status, error.code, title, str(error), **_extra(error))
        kept = kept_form.sent() if status == 503 else None  # what was typed is not lost for a disk that is full
        return render_template("pages/error.html", title=title, detail=str(error), kept=kept), status

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response | tuple[str, int] | HTTPException:
        status = error.code or 500
        if status < 400:
            return error  # a redirect
        code = "csrf" if isinstance(error, CSRFError) else (error.name or "error").lower().replace(" ", "_")
        detail = error.description or ""
        if isinstance(error, CSRFError):
            detail = "This page is no longer valid: load it again and repeat."
        if isinstance(error, CSRFError) and not wants_problem():
            try:
                page = kept_form.ask_again()
            except CatalogError as away:  # it asks for the session
                return catalog_error(away)
            if page:
                return page
        if wants_problem() or isinstance(error, BadHost):  # a page has links, which need the host
            return problem(status, code, error.name, detail)
        return render_template("pages/error.html", title=error.name, detail=detail), status
