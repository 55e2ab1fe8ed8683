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
from web.api.idempotency import repeatable
from web.api.operation import operation
from web.context import catalog, flag

#: What an import counts, as it is told.
COUNTS = ("lines", "products", "photos", "changed", "duplicates", "ignored", "pending", "left_out")
_REPEATED = ("idempotency_busy", "idempotency_mismatch")


@blueprint.post("/imports")
@operation(
    "catalog:write",
    {202: "Import"},
    bodies={"multipart/form-data": "ImportForm"},
    headers="CreateHeaders",
    sends=("Location",),
    problems=("conflict", "storage_error", *_REPEATED),
    takes=("files", "name", "map", "update", "check"),
)
@routes.takes_photos(routes.MAX_REQUEST, "adding")
@repeatable(lambda told: _created(uuid.UUID(told["import"])))
def create_import() -> Response:
    """Import a CSV, a CSV with its photos, or a zip of either; what is wrong is left out, and told by line.

    Answered when the files are stored; `Location` says where to ask how far it is. Running it again adds nothing twice.
    With `name` and no files, they are sent in pieces: see addImportFiles.
    """
    form, files = request.form, [file for file in request.files.getlist("files") if file.filename]
    mode = import_orders.mode_of(form.getlist("map"), update_facts=flag("update"), check_only=flag("check"))
    if form.get("name") and not files:
        job_id = import_jobs.start(catalog(), form["name"], mode, actor=actor())
    else:
        name = form.get("name") or (files[0].filename or "" if len(files) == 1 else f"{len(files)} files")
        pieces = [import_jobs.Piece(file.filename or "", 0, file.stream) for file in files]
        job_id = import_orders.order(catalog(), name, pieces, mode, actor=actor())
    return _created(job_id)


@blueprint.post("/imports/<uuid:job>/files")
@operation(
    "catalog:write",
    {200: "Import"},
    bodies={"multipart/form-data": "ImportPieces"},
    problems=("conflict", "storage_error"),
    takes=("files", "path", "offset"),
)
@routes.takes_photos(routes.MAX_REQUEST, "adding")
def add_import_files(job: uuid.UUID) -> Response:
    """Send pieces of files of an import that is `uploading`: each with its path, and where in the file it begins.

    They are on the disk when this is answered. A piece that comes again changes nothing.
    """
    files = request.files.getlist("files")
    paths, offsets = request.form.getlist("path"), request.form.getlist("offset")
    if not files or not len(files) == len(paths) == len(offsets):
        raise InvalidInputError("files", "For each file a path and an offset are needed.")
    pieces = [
        import_jobs.Piece(path, _whole(offset), file.stream)
        for file, path, offset in zip(files, paths, offsets, strict=True)
    ]
    import_jobs.add_files(catalog(), job, pieces)
    return jsonify(_import_dict(import_jobs.get(catalog().database, job)))


@blueprint.post("/imports/<uuid:job>/complete")
@operation(
    "catalog:write", {202: "Import"}, headers="CreateHeaders", problems=("conflict", "storage_error", *_REPEATED)
)
@repeatable(lambda told, job: _accepted(job))
def complete_import(job: uuid.UUID) -> Response:
    """All pieces were sent: check and import them. What can't be imported is discarded, and the answer says why."""
    import_orders.complete(catalog(), job)
    return _accepted(job)


@blueprint.get("/imports/<uuid:job>")
@operation("catalog:write", {200: "Import"})
def get_import(job: uuid.UUID) -> Response:
    """How far an import is, and what it did."""
    return jsonify(_import_dict(import_jobs.get(catalog().database, job)))


@blueprint.post("/imports/<uuid:job>/cancel")
@operation("catalog:write", {202: "Import"})
def cancel_import(job: uuid.UUID) -> Response:
    """End an import: at once, or after the product that is being added. What was added stays.

    One that is over stays as it is.
    """
    import_jobs.cancel(catalog(), job)
    return _accepted(job)


@blueprint.get("/imports/<uuid:job>/errors")
@operation("catalog:write", {200: "ImportErrors"})
def list_import_errors(job: uuid.UUID) -> Response:
    """What was left out, or would be, by line."""
    found = import_jobs.get(catalog().database, job)
    errors = import_errors.errors_of_job(catalog().database, found)
    return jsonify(
        errors=[
            {"source": one.source or None, "line": one.line, "sku": one.sku or None, "error": one.error}
            for one in errors
        ]
    )


@blueprint.get("/imports/<uuid:job>/errors.csv")
@operation("catalog:write", {200: "text/csv"})
def list_import_errors_as_csv(job: uuid.UUID) -> Response:
    """What was left out, or would be, as a CSV for a spreadsheet: line, SKU, error."""
    found = import_jobs.get(catalog().database, job)
    data = b"".join(import_errors.errors_csv(catalog().database, found))
    return Response(data, content_type="text/csv; charset=utf-8")


def _created(job_id: uuid.UUID) -> Response:
    response = _accepted(job_id)
    response.headers["Location"] = url_for("api.get_import", job=job_id)
    return response


def _accepted(job_id: uuid.UUID) -> Response:
    response = jsonify(_import_dict(import_jobs.get(catalog().database, job_id)))
    response.status_code = 202
    return response


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 15:
        raise InvalidInputError("offset", "An offset is a whole number of bytes.")
    return int(text)


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
        "files": job.files,
        "bytes": job.size,
        "progress": {"done": job.done, "total": job.total},
        "counts": {name: job.counts.get(name, 0) for name in COUNTS},
        "message": job.message,
    }
