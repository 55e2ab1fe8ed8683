"""The gallery map: all photos in two dimensions, which products look alike, and which photos lie apart."""

from __future__ import annotations

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from catalog import gallery_map
from catalog.runs import recording
from web.admin.base import attempt, blueprint
from web.context import actor, catalog, flag, page_number

PAGE = 20
pages = blueprint("map", "/map")


@pages.get("/")
def index() -> str:
    """The map, and as a list what is on it: pairs that look alike, or photos that lie apart (`list=apart`)."""
    database, number, apart = catalog().database, page_number(), request.args.get("list") == "apart"
    state = gallery_map.state_of(database)
    listed = (gallery_map.list_apart if apart else gallery_map.list_pairs)(database, start=number * PAGE, limit=PAGE)
    return render_template(
        "pages/map.html",
        state=state,
        run=recording.latest(database, "map"),
        installed=gallery_map.is_installed(),
        apart=apart,
        listed=listed,
        number=number,
        last=((state.apart if apart else state.pairs) - 1) // PAGE,
    )


@pages.get("/points")
def points() -> Response:
    """All points, as `gallery_map.pack` says; 304 where the asking script has this version."""
    version = gallery_map.version_of(catalog().database)
    if version in request.if_none_match:
        return Response(status=304, headers={"ETag": f'"{version}"'})
    version, data = gallery_map.packed(catalog().database)
    return Response(data, content_type="application/octet-stream", headers={"ETag": f'"{version}"'})


@pages.post("/make")
def make() -> Redirect:
    """Have the map made: of what is new, or, with `anew`, of all photos again."""
    options = {"anew": True} if flag("anew") else {}
    attempt(
        lambda: recording.start(catalog().database, "map", actor=actor(), options=options),
        "The map is being made; tills go on meanwhile.",
    )
    return redirect(url_for("map.index"))
