"""Changes: the feed that other systems follow."""

from __future__ import annotations

from flask import Response, jsonify, request

from catalog.storage import change_feed
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
    found = [change_feed.as_dict(page.feed, change) for change in page.changes]
    return jsonify({"changes": found, "next": page.next, "more": page.more})
