"""The route, who may read it, and the count of what an app answers."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from flask import Blueprint, Flask, Response, abort, current_app, request
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from catalog.errors import NotAllowedError
from web import errors, proxies, routes
from web.metrics.recorder import NO_VIEW, Recorder
from web.proxies import Network

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@routes.in_lane("ready")
def show() -> Response:
    """All metrics of this process, as Prometheus reads them."""
    _check_reader(current_app.config["METRICS_READERS"])
    encode, media_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(of(current_app).registry), content_type=media_type)


def of(app: Flask) -> Recorder:
    """The metrics of an app."""
    recorder: Recorder = app.extensions["metrics"]
    return recorder


def init_app(app: Flask, readers: Sequence[Network], state: Collector) -> None:
    """Register the route, and count each answer. `readers`: whose addresses may read it; `state`: what is told, too.

    To be called before what else acts on answers is registered: it then sees each as it is sent.
    """
    app.config["METRICS_READERS"] = readers
    recorder = app.extensions["metrics"] = Recorder()
    recorder.registry.register(state)
    app.register_blueprint(blueprint)

    @app.after_request
    def count(response: Response) -> Response:
        code = response.code if isinstance(response, errors.Problem) else ""
        if not code and response.status_code == 500:  # of a page
            code = "internal_server_error"
        recorder.answered(request.endpoint or NO_VIEW, request.method, response.status_code, code)
        return response


def _check_reader(readers: Sequence[Network]) -> None:
    """By address, as /health is asked without a key: a key is in the database, and who watches over the catalog must
    see it most of all when that is away. Raises NotAllowedError.
    """
    if not readers:
        abort(404)
    address = ipaddress.ip_address(request.remote_addr or "0.0.0.0")  # noqa: S104 - of nobody
    address = getattr(address, "ipv4_mapped", None) or address
    if request.environ.get(proxies.UNKNOWN_CLIENT) or not any(address in network for network in readers):
        raise NotAllowedError(
            "Only the addresses of CATALOG_METRICS may read this; those behind a proxy, if it is one of "
            "CATALOG_TRUSTED_PROXIES."
        )
