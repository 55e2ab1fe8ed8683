"""Imports: upload a list, a zip or a folder, choose columns, look at the preview, import; and how far each is."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from flask import Response as FlaskResponse
from flask import flash, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog.errors import CatalogError, InvalidInputError
from catalog.products import ATTRIBUTE
from catalog.transfer import COLUMNS, import_errors, import_jobs, uploads
from web import errors, routes
from web.admin.base import blueprint
from web.context import actor, catalog, page_number

pages = blueprint("imports", "/import")
Page = str | Response | tuple[str, int]

#: Lines of a page of the preview.
LINES = 50
STATES = ("new", "changed", "unchanged", "wrong")


@pages.get("/")
def index() -> Page:
    """The form for files, and past imports."""
    return _index()


@pages.post("/")
@routes.takes_photos(routes.MAX_REQUEST, "adding")
def start() -> Page:
    """Take files of a form. A script sends the name alone, then the files in pieces, and is told where."""
    files = [file for file in request.files.getlist("files") if file.filename]
    try:
        if errors.wants_problem():
            job = import_jobs.start(catalog(), request.form.get("name", ""), actor=actor())
            return jsonify(job=url_for("imports.show", job=job))
        pieces = [import_jobs.Piece(file.filename or "", 0, file.stream) for file in files]
        return _to(import_jobs.upload(catalog(), _name([piece.path for piece in pieces]), pieces, actor=actor()))
    except CatalogError as error:
        if errors.wants_problem():
            raise
        return _index(error), errors.status_of(error)


@pages.get("/<uuid:job>")
def show(job: uuid.UUID) -> Page:
    """What is next: columns, the preview, how far it is, or what it did."""
    return _page(job)


@pages.post("/<uuid:job>/files")
@routes.takes_photos(routes.MAX_REQUEST, "adding")
def add_files(job: uuid.UUID) -> FlaskResponse:
    """Pieces of files, as the page's script sends them: for each file its path and where in it the piece begins."""
    files = request.files.getlist("files")
    paths, offsets = request.form.getlist("path"), request.form.getlist("offset")
    if not len(files) == len(paths) == len(offsets):
        raise InvalidInputError("files", "For each file a path and an offset are needed.")
    pieces = [
        import_jobs.Piece(path, _whole(offset), file.stream)
        for file, path, offset in zip(files, paths, offsets, strict=True)
    ]
    import_jobs.add_files(catalog(), job, pieces)
    return jsonify(stored=len(pieces))


@pages.post("/<uuid:job>/complete")
def complete(job: uuid.UUID) -> FlaskResponse:
    """All files were sent. What can't be imported is discarded, and the answer says why."""
    import_jobs.complete(catalog(), job)
    return jsonify(job=url_for("imports.show", job=job))


@pages.post("/<uuid:job>/columns")
def choose_columns(job: uuid.UUID) -> Page:
    """Check the lines, read by these columns."""
    form = request.form
    mapping = {column: form.get(f"column_{column}", "") for column in COLUMNS}
    kept = set(form.getlist("attribute"))
    for header in form.getlist("other"):
        mapping[header if header.lower().startswith(ATTRIBUTE) else ATTRIBUTE + header] = (
            header if header in kept and header not in mapping.values() else ""
        )
    try:
        import_jobs.choose_columns(catalog(), job, mapping)
    except InvalidInputError as error:
        return _page(job, error, mapping), errors.status_of(error)
    return _to(job)


@pages.post("/<uuid:job>/run")
def run(job: uuid.UUID) -> Page:
    """Import what is right."""
    update = "update" in request.form
    return _done(job, lambda: import_jobs.run(catalog().database, job, update_facts=update, actor=actor()))


@pages.post("/<uuid:job>/again")
def again(job: uuid.UUID) -> Page:
    """Go on with one that failed or was cancelled, or check its lines again."""
    return _done(job, lambda: import_jobs.again(catalog(), job, actor=actor()))


@pages.post("/<uuid:job>/cancel")
def cancel(job: uuid.UUID) -> Page:
    """End it; what was added stays."""
    return _done(job, lambda: import_jobs.cancel(catalog(), job))


@pages.get("/<uuid:job>/progress")
def progress(job: uuid.UUID) -> Page:
    """How far it is: the part of the page that its script loads again."""
    found = import_jobs.get(catalog().database, job)
    return render_template("parts/import_progress.html", job=found)


@pages.get("/<uuid:job>/errors.csv")
def errors_list(job: uuid.UUID) -> Response:
    """What is wrong, for a spreadsheet."""
    found = import_jobs.get(catalog().database, job)
    data = b"".join(import_errors.errors_csv(catalog().database, found))
    response = FlaskResponse(data, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = "attachment; filename=import-errors.csv"
    return response


def _index(problem: CatalogError | None = None) -> str:
    return render_template(
        "pages/imports.html",
        jobs=import_jobs.latest(catalog().database),
        problem=problem,
        free=uploads.free_bytes(catalog().settings),
        most=uploads.MAX_BYTES,
        files=uploads.MAX_FILES,
        request_most=routes.MAX_REQUEST,
    )


def _page(job_id: uuid.UUID, problem: CatalogError | None = None, mapping: dict[str, str] | None = None) -> str:
    job = import_jobs.get(catalog().database, job_id)
    is_left = import_jobs.has_failed_check(job)
    choosing = problem is not None or job.state == "columns"
    choosing |= "columns" in request.args and (job.state == "checked" or is_left)
    if choosing and job.listed and (is_left or job.state not in import_jobs.OVER):
        columns = import_jobs.columns(catalog(), job)
        chosen = mapping or columns.chosen
        return render_template(
            "pages/import_columns.html",
            job=job,
            headers=columns.headers,
            chosen=chosen,
            columns=COLUMNS,
            others=[header for header in columns.headers if header not in _of_columns(columns.chosen)],
            kept={header for column, header in chosen.items() if column.startswith(ATTRIBUTE)},
            problem=problem,
        )
    if job.state == "checked":
        only = request.args.get("only", "")
        number = page_number()
        only = only if only in STATES else ""
        preview = import_jobs.preview_page(catalog().database, job.id, only, number * LINES, LINES)
        shown = preview.counts.get(only, 0) if only else sum(preview.counts.values())
        last = max(0, (shown - 1) // LINES)
        return render_template(
            "pages/import_preview.html", job=job, preview=preview, only=only, number=number, last=last, states=STATES
        )
    return render_template("pages/import_job.html", job=job, is_left=is_left)


def _of_columns(chosen: dict[str, str]) -> set[str]:
    return {header for column, header in chosen.items() if not column.startswith(ATTRIBUTE)}


def _done(job: uuid.UUID, change: Callable[[], None]) -> Response:
    try:
        change()
    except CatalogError as error:
        if errors.status_of(error) == 404:
            raise
        flash(str(error), "danger")
    return _to(job)


def _to(job: uuid.UUID) -> Response:
    return redirect(url_for("imports.show", job=job))


def _name(paths: Sequence[str]) -> str:
    """What an upload is called: after its list or zip, or after its folder."""
    first = next((path for path in paths if path.lower().endswith((".csv", ".zip"))), (*paths, "")[0]).replace(
        "\\", "/"
    )
    return first.rpartition("/")[2] if len(paths) == 1 else f"{first.split('/')[0]} ({len(paths)} files)"


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 15:
        raise InvalidInputError("offset", "An offset is a whole number of bytes.")
    return int(text)
