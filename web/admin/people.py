"""The staff: who may sign in, and as what."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import accounts
from catalog.errors import CatalogError, FormSentError, NotFoundError
from web import access, errors
from web.admin.base import attempt, blueprint
from web.context import actor, catalog, read_once, sent_form

pages = blueprint("people", "/people")


@pages.get("/")
def index() -> str:
    """All of the staff, the form to invite, and a link that was just made, once."""
    return _page(made=read_once())


@pages.post("/")
def invite() -> Response | tuple[str, int]:
    """Invite somebody by a link."""
    form, name, role = sent_form(), request.form.get("name", ""), request.form.get("role", "")
    try:
        with suppress(FormSentError):
            accounts.invite(catalog().database, name, role, actor=actor(), form=form)
    except CatalogError as error:
        return _page(error=error, name=name, role=role), errors.status_of(error)
    return redirect(url_for("people.index", made=form.id))


@pages.get("/<int:person>")
def show(person: int) -> str:
    """Somebody: role, another link, off and on."""
    found = accounts.get_person(catalog().database, person)
    return render_template(
        "pages/person.html", person=found, roles=accounts.ROLES, may_do=access.MAY, form=uuid.uuid4()
    )


@pages.post("/<int:person>/role")
def set_role(person: int) -> Response:
    """Another role, effective at once."""
    role = request.form.get("role", "")
    return _done(person, "Saved.", lambda: accounts.set_role(catalog().database, person, role, actor=actor()))


@pages.post("/<int:person>/link")
def new_link(person: int) -> Response:
    """A new link, for a lost one or a lost password."""
    form = sent_form()
    try:
        with suppress(FormSentError):
            accounts.new_link(catalog().database, person, actor=actor(), form=form)
    except NotFoundError:
        raise
    except CatalogError as error:
        flash(str(error), "danger")
        return redirect(url_for("people.show", person=person))
    return redirect(url_for("people.index", made=form.id))


@pages.post("/<int:person>/active")
def set_active(person: int) -> Response:
    """Off, which ends all sessions, or on again."""
    active = request.form.get("active") == "1"
    done = "Switched on." if active else "Switched off, and signed out everywhere."
    return _done(person, done, lambda: accounts.set_active(catalog().database, person, active, actor=actor()))


def _page(
    made: accounts.ReadOnce | None = None, error: CatalogError | None = None, name: str = "", role: str = "editor"
) -> str:
    return render_template(
        "pages/people.html",
        people=accounts.list_people(catalog().database),
        roles=accounts.ROLES,
        may_do=access.MAY,
        form=uuid.uuid4(),
        made=made,
        error=error,
        name=name,
        role=role,
    )


def _done(person: int, message: str, change: Callable[[], None]) -> Response:
    attempt(change, message)
    return redirect(url_for("people.show", person=person))
