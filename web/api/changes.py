"""Changes: the feed that other systems follow."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request

from catalog.storage import change_feed
from catalog.storage.change_feed import ChangePage
from catalog.storage.tables import Change
from web.api import pages
from web.api.blueprint import blueprint
from web.api.operation import operation
from web.context import catalog

#: Changes of a page, unless another number is asked for, and at most.
PAGE, MOST = 100, 1000


@blueprint.get("/changes")
@operation(
    "catalog:read",
    {200: "Changes"},
    query="ChangesQuery",
    problems=("cursor_gone",),
    takes=("after", "limit"),
)
def list_changes() -> Response:
    """What changed after a cursor, in the order in which it became visible.

    Nothing is missed, and nothing comes twice, for whoever asks with `next` of the answer before. With `after=latest`
    there are no changes, but the cursor of this moment.
    """
    limit = pages.wanted(PAGE, MOST)
    page = change_feed.changes_after(catalog().database, request.args.get("after", ""), limit)
    found = [change_dict(page, change) for change in page.changes]
    return jsonify({"changes": found, "next": page.next, "more": page.more})


def change_dict(page: ChangePage, change: Change) -> dict[str, Any]:
    """A change as in web.api.schemas.Change."""
    told = {name: change.told.get(name) for name in ("was", "photo", "bundle", "group")}
    return {
        "id": page.cursor_of(change),
        "type": change.type,
        "at": change.at.isoformat(),
        "actor": change.actor,
        "sku": change.sku or None,
        "fields": change.told.get("fields", []),
        **told,
    }
