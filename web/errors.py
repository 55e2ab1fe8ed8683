"""Errors mapped to HTTP responses: `application/problem+json` (RFC 9457) for programs, a page for people."""

from __future__ import annotations

import json
import logging
from typing import Any

from flask import Flask, Response, current_app, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import BadHost, HTTPException, MethodNotAllowed

from catalog.errors import (
    CatalogError,
    FeedbackGivenError,
    InvalidFieldsError,
    PhotoQuestionableError,
    PhotoRejectedError,
)
from web import kept_form, problems, request_ids

log = logging.getLogger(__name__)

#: Seconds after which a request may be sent again, where nothing says more.
RETRY_AFTER = 2
#: How the paths begin that programs alone ask for.
FOR_PROGRAMS = ("/api/", "/health", "/metrics")


def status_of(error: CatalogError) -> int:
    """HTTP status of a catalog error: of its code, or of the nearest class above whose code is known."""
    codes = [error.code, *(str(vars(kind).get("code")) for kind in type(error).__mro__)]
    return next((problems.KINDS[code].status for code in codes if code in problems.KINDS), 500)


class Problem(Response):
    """A problem, which remembers its code: that is what is counted."""

    code = ""


def problem(
    code: str, detail: str, *, status: int | None = None, retry_after: int | None = None, **more: Any
) -> Problem:
    """An RFC 9457 problem of a kind of web/problems.py; `status` where there may be a code that is not among them."""
    kind = problems.KINDS.get(code)
    status = kind.status if kind else status or 500
    body = {
        "type": problems.path_of(code),
        "title": kind.title if kind else "Not accepted",
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request_ids.current(),
        **more,
    }
    response = Problem(json.dumps(body), status, content_type="application/problem+json")
    response.code = code
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="catalog"'
    if status in (429, 503) or (kind and kind.retry):
        response.headers["Retry-After"] = str(retry_after or RETRY_AFTER)
    return response


def wants_problem() -> bool:
    """Whether a program made the request: below /api, /health and /metrics, or a script of our pages."""
    if current_app.config.get("ONLY_PROGRAMS"):  # a till that works offline has no pages of the staff
        return True
    return request.path.startswith(FOR_PROGRAMS) or "X-Requested-With" in request.headers


def _extra(error: CatalogError) -> dict[str, Any]:
    """Members of a problem beyond code and detail."""
    extra: dict[str, Any] = {"field": error.field} if error.field else {}
    if isinstance(error, InvalidFieldsError):
        extra["errors"] = [{"field": part.field, "detail": part.message} for part in error.errors]
    if isinstance(error, FeedbackGivenError):
        extra["given"] = {"correct": error.correct, "sku": error.sku or None, "note": error.note}
    if isinstance(error, PhotoRejectedError):
        extra["photos"] = [_refused(photo) for photo in error.rejected]
    return extra


def _refused(photo: PhotoRejectedError) -> dict[str, Any]:
    """A photo at fault, as a problem names it."""
    named = {"index": photo.index, "filename": photo.filename, "sha256": photo.sha256}
    if isinstance(photo, PhotoQuestionableError):
        return {**named, "warnings": [warning.as_dict() for warning in photo.warnings]}
    return {**named, "code": photo.code, "detail": str(photo).removeprefix(f"{photo.filename}: ")}


def as_problem(error: CatalogError) -> Response:
    """A catalog error as a problem."""
    return problem(error.code, str(error), status=status_of(error), **_extra(error))


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
        if wants_problem():
            return as_problem(error)
        kept = kept_form.sent() if status == 503 else None  # what was typed is not lost for a disk that is full
        known = problems.KINDS.get(error.code)
        title = known.title if known else "Not accepted"
        return render_template("pages/error.html", title=title, detail=str(error), kept=kept), status

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response | tuple[str, int] | HTTPException:
        status = error.code or 500
        if status < 400:
            return error  # a redirect
        code = "csrf" if isinstance(error, CSRFError) else problems.code_of(status, error.name)
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
            response = problem(code, detail)
            if isinstance(error, MethodNotAllowed) and error.valid_methods:
                response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
            return response
        return render_template("pages/error.html", title=error.name, detail=detail), status
