"""Needs work: the products that tills answer wrongly or may, and what to do."""

from __future__ import annotations

from flask import render_template

from catalog import maintenance
from web.admin.base import blueprint
from web.context import catalog, page_number

PAGE = 24
pages = blueprint("needs_work", "/needs-work")


@pages.get("/")
def index() -> str:
    """The products, the most urgent first."""
    number = page_number()
    shown = maintenance.list_work(catalog().database, start=number * PAGE, limit=PAGE)
    return render_template("pages/needs_work.html", list=shown, number=number, last=(shown.total - 1) // PAGE)
