"""Imports: a list or a zip of many products, how far it is, and its errors by line."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response, jsonify, request, url_for

from catalog.errors import InvalidInputError
from catalog.storage.tables import ImportJob
from catalog.transfer import import_errors, import_jobs, import_orders
from web import routes
from web.api.blueprint import actor, blueprint
from web.api.operation import operation
from web.context import catalog, flag

#: What an import counts, as it is told.
COUNTS = ("lines", "products", "photos", "changed", "duplicates", "ignored", "pending", "left_out")


@blueprint.post("/imports")
@operation(
    "catalog:write",
    {202: "Import"},
    bodies={"multipart/form-data": "ImportForm"},
    problems=("conflict", "storage_error"),
    takes=("files", "map", "update", "check"),
)
@routes.takes_photos(routes.MAX_REQUEST, "adding")
def create_import() -> Response:
    """Import a CSV, a CSV with its photos, or a zip of either; what is wrong is left out, and told by line.

    Answered when the files are stored; `Location` says where to ask how far it is. Running it again adds nothing twice.
    """
    files = [file for file in request.files.getlist("files") if file.filename]
    job_id = import_orders.order(
        catalog(),
        files[0].filename or "" if len(files) == 1 else f"{len(files)} files",
        [import_jobs.Piece(file.filename or "", 0, file.stream) for file in files],
        mapping=request.form.getlist("map"),
        update_facts=flag("update"),
        check_only=flag("check"),
        actor=actor(),
    )
    response = jsonify(_import_dict(import_jobs.get(catalog().database, job_id)))
    response.status_code = 202
    response.headers["Location"] = url_for("api.get_import", job=job_id)
    return response


@blueprint.get("/imports/<uuid:job>")
@operation("catalog:write", {200: "Import"})
def get_import(job: uuid.UUID) -> Response:
    """How far an import is, and what it did."""
    return jsonify(_import_dict(import_jobs.get(catalog().database, job)))


@blueprint.delete("/imports/<uuid:job>")
@operation("catalog:write", {202: "Import"})
def cancel_import(job: uuid.UUID) -> Response:
    """End an import: at once, or after the product that is being added. What was added stays.

    One that is over stays as it is.
    """
    import_jobs.cancel(catalog(), job)
    response = jsonify(_import_dict(import_jobs.get(catalog().database, job)))
    response.status_code = 202
    return response


@blueprint.get("/imports/<uuid:job>/errors")
@operation(
    "catalog:write",
    {200: "ImportErrors"},
    query="ImportErrorsQuery",
    takes=("format",),
)
def list_import_errors(job: uuid.UUID) -> Response:
    """What was left out, or would be, by line: as JSON, or as a CSV for a spreadsheet (`format=csv`)."""
    found = import_jobs.get(catalog().database, job)
    kind = request.args.get("format", "json")
    if kind not in ("json", "csv"):
        raise InvalidInputError("format", "`format` is json or csv.")
    if kind == "csv":
        data = b"".join(import_errors.errors_csv(catalog().database, found))
        return Response(data, content_type="text/csv; charset=utf-8")
    errors = import_errors.errors_of_job(catalog().database, found)
    return jsonify(
        errors=[
            {"source": one.source or None, "line": one.line, "sku": one.sku or None, "error": one.error}
            for one in errors
        ]
    )


def _import_dict(job: ImportJob) -> dict[str, Any]:
    """An import as in web.api.schemas.Import."""
    return {
        "id": str(job.id),
        "name": job.name,
        "state": job.state,
        "created_at": job.created_at.isoformat(),
        "finished_at": job.finished_at and job.finished_at.isoformat(),
        "update": job.update_facts,
        "cancelling": job.cancel,
        "progress": {"done": job.done, "total": job.total},
        "counts": {name: job.counts.get(name, 0) for name in COUNTS},
        "message": job.message,
    }
