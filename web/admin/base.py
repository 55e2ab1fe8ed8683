"""What all staff pages share."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection

from flask import Blueprint, Response, flash, redirect, url_for
from werkzeug.wrappers import Response as Redirect

from catalog.errors import CatalogError, PhotoQuestionableError
from web import errors


def blueprint(name: str, prefix: str) -> Blueprint:
    """The blueprint of a page below `prefix`. Who may see it: web/access.py, which closes what it has no rule for."""
    return Blueprint(name, __name__, url_prefix=prefix)


def go_to(address: str) -> Redirect:
    """Redirect. A page's script gets the address alone: following it would use up the message that is to be shown."""
    if errors.wants_problem():
        return Response(status=204, headers={"Location": address})
    return redirect(address)


def attempt(change: Callable[[], object], done: str, *, raising: Collection[int] = (404, 503)) -> None:
    """Make a change; a message says that it is done (`done`, or the text that it returns), or why it can't be. With
    neither the change has said so itself.

    An error of a status in `raising` has a page of its own, and so have questions about photos; a page's script is told
    every error, and keeps what was chosen.
    """
    try:
        said = change()
        if message := said if isinstance(said, str) and said else done:
            flash(message, "success")
    except CatalogError as error:
        if isinstance(error, PhotoQuestionableError) or errors.status_of(error) in raising or errors.wants_problem():
            raise
        flash(str(error), "danger")


def flash_undo(message: str, address: str) -> None:
    """Say what was done; the message has a button "Undo", whose form goes to the address."""
    flash(message, f"undo:{address}")


def flash_deleted(message: str, entry: uuid.UUID) -> None:
    """Say what is in the bin now; the message has a button that restores it."""
    flash_undo(f"{message} It can be restored for 30 days.", url_for("bin.restore", entry=entry))
