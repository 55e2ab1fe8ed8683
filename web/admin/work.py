"""Needs work: the products that tills answer wrongly or may, and what to do."""

from __future__ import annotations

from flask import render_template, request

from catalog import maintenance
from web.admin.base import blueprint
from web.context import catalog

PAGE = 24
#: Pages beyond this are empty.
LAST = 10_000
pages = blueprint("work", "/work")


@pages.get("/")
def index() -> str:
    """The products, the most urgent first."""
    number = min(max(request.args.get("page", 0, type=int), 0), LAST)
    shown = maintenance.list_work(catalog().database, start=number * PAGE, limit=PAGE)
    return render_template("pages/work.html", list=shown, number=number, last=(shown.total - 1) // PAGE)
