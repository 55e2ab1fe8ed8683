"""Offline tills: the archive that they recognize from, and what they were told meanwhile."""

from __future__ import annotations

from contextlib import suppress

from flask import Flask, Response, current_app, jsonify, request, send_file

from catalog.catalog import Catalog
from catalog.errors import BundleBuildingError, InvalidInputError
from catalog.offline import Built, OfflineBundles, receive
from web import routes
from web.api.blueprint import actor, blueprint
from web.api.bodies import json_body
from web.api.operation import operation
from web.context import catalog


@blueprint.get("/offline-bundle")
@operation(
    "catalog:read",
    {200: "application/zip", 206: "application/zip", 304: ""},
    query="OfflineBundleQuery",
    headers="ReadHeaders",
    sends=("ETag", "Catalog-Version", "Catalog-Since"),
    problems=("offline_bundle_building", "gallery_unavailable", "storage_error", "bad_configuration"),
    takes=("since", "thumbnails"),
)
@routes.in_lane("archives")
def offline_bundle() -> Response:
    """All that an offline till recognizes from, in one signed archive; with `since`, only what changed.

    The header `Catalog-Version` (and `ETag`) names what a till has when it has applied it; `Catalog-Since` is there if
    it is a delta, which can be applied to that version only. If no delta can be made (the version is not known any
    more, or of another model), the whole archive is sent. 503 `offline_bundle_building`: it is being built; ask again
    after `Retry-After`. 304: the version in `If-None-Match` is the newest.
    """
    wanted = request.args.get("thumbnails", "false").lower()
    if wanted not in ("true", "false", "1", "0"):
        raise InvalidInputError("thumbnails", "Say `true` or `false` for `thumbnails`.")
    bundles, thumbnails = _bundles(), wanted in ("true", "1")
    version = bundles.version(thumbnails=thumbnails)
    if version and request.if_none_match.contains(version):
        return _named(Response(status=304), version)
    return _sent(bundles.get(since=request.args.get("since"), thumbnails=thumbnails))


@blueprint.post("/offline-answers")
@operation(
    "feedback",
    {200: "OfflineAnswersTaken"},
    bodies={"application/json": "OfflineAnswers"},
    problems=("conflict",),
)
def receive_offline_answers() -> Response:
    """Take answers that a till gave offline, and the feedback on them, into the log.

    Each is stored once, however often it is sent. `refused` names what will never be stored, and why; all else is.
    """
    from web.api.schemas.offline import OfflineAnswers

    given = json_body(OfflineAnswers)
    refused = receive(catalog(), [answer.as_given() for answer in given.answers], actor=actor())
    return jsonify(refused=[{"id": str(one.id), "code": one.code, "detail": one.detail} for one in refused])


def init_app(app: Flask, catalog: Catalog) -> None:
    """One builder of archives for the app."""
    app.extensions["offline_bundles"] = OfflineBundles(catalog)


def _bundles() -> OfflineBundles:
    found: OfflineBundles = current_app.extensions["offline_bundles"]
    return found


def _sent(built: Built) -> Response:
    if request.if_none_match.contains(built.version):
        return _named(Response(status=304), built.version)
    with suppress(FileNotFoundError):
        reply = send_file(
            built.path,
            mimetype="application/zip",
            as_attachment=True,
            download_name=f"catalog-{built.path.name}",
            etag=built.version,
            conditional=True,
        )
        if built.since:
            reply.headers["Catalog-Since"] = built.since
        return _named(reply, built.version)
    raise BundleBuildingError(
        "The catalog has just changed, and the archive is built anew: ask again in a few seconds."
    )


def _named(reply: Response, version: str) -> Response:
    reply.set_etag(version)
    reply.headers["Catalog-Version"] = version
    return reply
