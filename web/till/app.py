"""The app of an offline till: the very views of the API that a till's key may use, and health."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from flask import Flask, Response, current_app, jsonify, request
from flask_bootstrap import Bootstrap5

from catalog.offline import TILL_SCOPES, Till
from web import api, errors, metrics, multipart, problem_pages, routes, security
from web.api.operation import operation_of
from web.proxies import Network, TrustedProxies
from web.request_ids import RequestIds
from web.skus import SkuConverter

#: Operations of a till that have no place on one: it takes no other till's answers.
_NOT_HERE = frozenset({"api.receive_offline_answers"})
#: Open to all: health, and the pages that the `type` of a problem names, with what they load.
_OPEN = frozenset({"alive", "ready", "metrics.show", "problems.index", "problems.show", "static", "bootstrap.static"})
_ASK_THE_SERVER = "This till works offline: it recognizes photos and takes feedback. Ask the server for all else."


def create_till_app(till: Till, readers: Sequence[Network] = ()) -> Flask:
    """The Flask app of a till; `readers`: whose addresses may read its metrics.

    After a switch to another version, `use` has it answer from that.
    """
    app = errors.LoggedWithoutTokens("web")
    app.config.update(
        SECRET_KEY=secrets.token_hex(32),  # of sessions, which nobody has here
        MAX_CONTENT_LENGTH=routes.MAX_FORM_REQUEST,
        CATALOG=till.catalog,
        ONLY_PROGRAMS=True,
        BOOTSTRAP_SERVE_LOCAL=True,
        TILL=till,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # as the server's
    app.url_map.converters["sku"] = SkuConverter
    multipart.init_app(app)
    app.wsgi_app = TrustedProxies(app.wsgi_app, ())  # type: ignore[method-assign]  # none: what they add is not read
    app.wsgi_app = RequestIds(app.wsgi_app)  # type: ignore[method-assign]
    metrics.init_app(app, readers, metrics.TillState(till))
    errors.init_app(app)
    routes.init_app(app)
    security.init_app(app)
    app.before_request(_refuse_what_is_not_here)
    Bootstrap5(app)
    app.register_blueprint(problem_pages.blueprint)
    api.init_app(app)
    app.add_url_rule("/health", view_func=alive)
    app.add_url_rule("/health/ready", view_func=ready)
    return app


def use(app: Flask, till: Till) -> None:
    """Answer from the version that the till has now; requests in hand go on with the one before."""
    app.config["CATALOG"] = till.catalog


@routes.in_lane("express")
def alive() -> Response:
    """Liveness: the process answers."""
    return jsonify(status="ok")


@routes.in_lane("ready")
def ready() -> Response:
    """What this till recognizes from, and how many answers the server does not have yet."""
    till: Till = current_app.config["TILL"]
    facts = till.facts
    return jsonify(
        status="ok",
        bundle=facts.bundle,
        products=facts.products,
        photos=facts.photos,
        gallery=facts.points,
        version=facts.version,
        made_at=facts.made_at,
        waiting=till.answers.count_waiting(),
    )


def _refuse_what_is_not_here() -> Response | None:
    endpoint = request.endpoint or ""
    if not endpoint or endpoint in _OPEN:
        return None
    said = operation_of(current_app.view_functions.get(endpoint))
    if said is not None and said.scope in TILL_SCOPES and endpoint not in _NOT_HERE:
        return None
    return errors.problem("not_found", _ASK_THE_SERVER)
