"""The audit log, to read and search."""

from __future__ import annotations

from flask import render_template, request

from catalog import products
from catalog.storage import audit_log
from catalog.storage.tables import AuditEntry
from web.admin import log_words
from web.admin.base import blueprint
from web.context import catalog

PAGE = 50
pages = blueprint("audit", "/audit")
pages.add_app_template_filter(log_words.words_of, "change_name")
pages.add_app_template_filter(log_words.subject_of, "change_subject")
pages.add_app_template_filter(log_words.rows_of, "recorded")
pages.add_app_template_filter(products.change_of, "change_of")


@pages.get("/")
def index() -> str:
    """The entries, newest first, with search and keyset pagination."""
    search, before = request.args.get("search", ""), request.args.get("before", type=int)
    actions = log_words.actions_in_words(search)
    log = audit_log.entries(catalog().database, search, actions=actions, before=before, limit=PAGE)
    return render_template("pages/audit.html", log=log, search=search, before=before)


@pages.app_template_test("bulk")
def is_bulk(entry: AuditEntry) -> bool:
    """Whether an entry is a change of several products, which can be undone."""
    return entry.action in products.BULK_ACTIONS
