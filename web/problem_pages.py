"""What each problem means and what to do about it: the address that its `type` names."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, render_template, request
from werkzeug.exceptions import NotFound

from web import errors, problems

blueprint = Blueprint("problems", __name__)


def _wants_json() -> bool:
    return request.accept_mimetypes.best_match(("text/html", "application/json"), "text/html") == "application/json"


def _as_dict(code: str) -> dict[str, object]:
    kind = problems.KINDS[code]
    return {"type": problems.path_of(code), "code": code, **asdict(kind), "retry": kind.retry}


@blueprint.get("/problems/")
def index() -> str | Response:
    """All problems."""
    if _wants_json():
        return jsonify(problems=[_as_dict(code) for code in problems.KINDS])
    return render_template("pages/problems.html", kinds=problems.KINDS)


@blueprint.get("/problems/<code>")
def show(code: str) -> str | Response:
    """One problem."""
    if code not in problems.KINDS:
        if _wants_json():
            return errors.problem("not_found", "There is no such problem.")
        raise NotFound("There is no such problem.")
    if _wants_json():
        return jsonify(_as_dict(code))
    return render_template("pages/problem.html", code=code, kind=problems.KINDS[code])
