"""Exports: all products, or those that a list shows, as a list or with their photos."""

from __future__ import annotations

import os
import weakref

from flask import Response, request, send_file

from catalog import transfer
from catalog.products import Filter
from web import routes
from web.admin.base import blueprint
from web.context import catalog

pages = blueprint("exports", "/export")


@pages.get("/catalog.csv")
@routes.in_lane("adding")
def list_() -> Response:
    """The list alone."""
    response = Response(transfer.export_list(catalog(), _only()), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = "attachment; filename=catalog.csv"
    return response


@pages.get("/catalog.zip")
@routes.in_lane("adding")
def zip_() -> Response:
    """The list and the photos that it names."""
    file = transfer.export_zip(catalog(), _only())
    response = send_file(file, "application/zip", as_attachment=True, download_name="catalog.zip")
    response.content_length = os.fstat(file.fileno()).st_size
    weakref.finalize(response.response, file.close)  # also when the client has gone before it was sent
    return response


def _only() -> Filter | None:
    """The filter of a list, in the address as there; None: all products, retired ones too."""
    given = request.args
    only = Filter(
        given.get("search", ""),
        given.get("category", ""),
        given.get("label", ""),
        given.get("group", ""),
        retired=given.get("retired") == "1",
    )
    return None if only == Filter() else only
