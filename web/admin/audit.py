"""The audit log, to read and search."""

from __future__ import annotations

import json
from typing import Any

from flask import render_template, request

from catalog import products
from catalog.storage import audit_log
from catalog.storage.tables import AuditEntry
from web.admin.base import blueprint
from web.context import catalog

PAGE = 50
#: Products of one change that are shown.
SHOWN = 5
pages = blueprint("audit", "/audit")


@pages.get("/")
def index() -> str:
    """The entries, newest first, with search and keyset pagination."""
    search, before = request.args.get("search", ""), request.args.get("before", type=int)
    log = audit_log.entries(catalog().database, search, before=before, limit=PAGE)
    return render_template("pages/audit.html", log=log, search=search, before=before)


@pages.app_template_filter("recorded")
def recorded(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """What an entry recorded: (name, before, after) of each value that is not the same in both."""
    before, after = entry.before or {}, entry.after or {}
    if is_bulk(entry):
        return _of_many(before, after)
    names = [*before, *(name for name in after if name not in before)]
    rows = [(name, _printed(before.get(name)), _printed(after.get(name))) for name in names]
    return [row for row in rows if row[1] != row[2]]


@pages.app_template_test("bulk")
def is_bulk(entry: AuditEntry) -> bool:
    """Whether an entry is a change of several products, which can be undone."""
    return entry.action in products.BULK_ACTIONS


def _of_many(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What several products were and are now: the first SHOWN, by SKU, and how many more."""
    had, has = before.get("products", {}), after.get("products", {})
    rows = [(sku, _printed(had.get(sku)), _printed(values)) for sku, values in list(has.items())[:SHOWN]]
    if len(has) > SHOWN:
        rows.append(("…", "", f"{len(has) - SHOWN:,} more products"))
    if left := after.get("left"):
        rows.append(("changed since, and left", ", ".join(left), ""))
    return rows


def _printed(value: Any) -> str:
    if value in ("", [], {}, None):
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
