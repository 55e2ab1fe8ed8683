"""Change, or export, many products of the list at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from flask import flash, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response

from catalog import products, transfer
from catalog.errors import CatalogError
from web import errors, routes
from web.admin.base import blueprint
from web.admin.list_query import ListQuery, offered
from web.context import actor, catalog
from web.words import counted

#: Products that a page names.
NAMED = 12
Page = str | tuple[str, int]
pages = blueprint("bulk", "/bulk")


@dataclass(frozen=True)
class Choice:
    """What the list sent: ticked SKUs, or all that its filter finds."""

    query: ListQuery
    ticked: tuple[str, ...]
    all_found: bool

    @property
    def chosen(self) -> products.Chosen:
        """For the catalog."""
        return self.query.only if self.all_found else self.ticked


def _choice() -> Choice:
    given = request.form
    return Choice(ListQuery.of(given), tuple(given.getlist("sku")), given.get("all") == "1")


@pages.post("/")
def choose() -> Page | Response:
    """What can be done with the chosen products; nothing is changed yet."""
    choice = _choice()
    skus = products.chosen_skus(catalog().database, choice.chosen)
    if not skus:
        flash("Tick products first.", "warning")
        return redirect(choice.query.url())
    return _form(choice, skus)


@pages.post("/change")
@routes.in_lane("adding")
def change() -> Page | Response:
    """Change them; the list then offers to undo it. Nothing that was typed is lost on an error."""
    choice = _choice()
    try:
        done = products.change_many(catalog(), choice.chosen, _given(), actor=actor())
    except CatalogError as error:
        skus = products.chosen_skus(catalog().database, choice.chosen)
        return _form(choice, skus, error), errors.status_of(error)
    if done.entry is None:
        flash("They are so already: nothing was changed.", "info")
    return redirect(choice.query.url(done=done.entry))


@pages.post("/<int:entry>/undo")
@routes.in_lane("adding")
def undo(entry: int) -> Response:
    """Undo a change, from the list or from the audit log."""
    given = request.form
    try:
        undone = products.undo(catalog(), entry, actor=actor())
    except CatalogError as error:
        flash(str(error), "danger")
    else:
        said = f"Undone: {counted(undone.changed, 'product')} as before." if undone.changed else "Nothing was undone."
        if undone.left:
            more = len(undone.left) - NAMED
            named = ", ".join(undone.left[:NAMED]) + (f" and {more} more (see the audit log)" if more > 0 else "")
            said += f" Changed by somebody since, and left as they are: {named}."
        flash(said, "warning" if undone.left else "success")
    return redirect(url_for("audit.index") if given.get("from") == "audit" else ListQuery.of(given).url())


@pages.post("/export")
@routes.in_lane("adding")
def export() -> Page | Response:
    """Download exactly these products: the list alone, or a zip with the photos; both can be imported again."""
    choice = _choice()
    skus = products.chosen_skus(catalog().database, choice.chosen)
    if request.form.get("photos") != "1":
        data = BytesIO(transfer.export_list(catalog().database, skus))
        return send_file(data, mimetype="text/csv", as_attachment=True, download_name="products.csv")
    try:
        file, left_out = transfer.export_download(catalog(), skus)
    except CatalogError as error:
        return _form(choice, skus, error), errors.status_of(error)
    if left_out:
        more = f" and {len(left_out) - NAMED:,} more" if len(left_out) > NAMED else ""
        said = f"Not in the download, since they can't be read: {'; '.join(left_out[:NAMED])}{more}."
        flash(f"{said} Its file {transfer.LEFT_OUT} says the same.", "warning")
    return send_file(file, mimetype="application/zip", as_attachment=True, download_name="products.zip")


def _given() -> products.BulkChange:
    """The change in the form. An empty field leaves things as they are."""
    given = request.form

    def text(name: str) -> str | None:
        return "" if given.get(f"no_{name}") == "1" else given.get(f"new_{name}", "").strip() or None

    def names(name: str) -> tuple[str, ...]:
        return tuple(filter(None, (one.strip() for one in given.get(name, "").split(";"))))

    active = {"retire": False, "restore": True}.get(given.get("do", ""))
    if active is not None:
        return products.BulkChange(active=active)
    return products.BulkChange(names("add_labels"), names("remove_labels"), text("category"), text("brand"))


def _form(choice: Choice, skus: Sequence[str], problem: CatalogError | None = None) -> str:
    return render_template(
        "pages/bulk.html",
        choice=choice,
        skus=skus,
        named=skus[:NAMED],
        count=counted(len(skus), "product"),
        given=request.form,
        problem=problem,
        **offered(),
    )
