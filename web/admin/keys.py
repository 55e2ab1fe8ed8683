"""API keys: create, list, change, rotate, revoke."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import accounts
from catalog.errors import ConflictError, FormSentError, InvalidInputError
from catalog.storage.tables import ApiKey
from web.admin.base import attempt, blueprint
from web.context import actor, catalog, read_once, sent_form

pages = blueprint("keys", "/keys")


@dataclass(frozen=True)
class Typed:
    """The fields of a key as they are typed; those of a new one first."""

    name: str = ""
    scopes: Collection[str] = accounts.RECOGNIZE
    ends: str = ""
    rate: str = ""

    @classmethod
    def sent(cls) -> Typed:
        """Those of the form that was sent."""
        form = request.form
        return cls(form.get("name", ""), form.getlist("scope"), form.get("ends", ""), form.get("rate", ""))

    @classmethod
    def of(cls, key: ApiKey) -> Typed:
        """Those of a key that is there."""
        return cls(key.name, key.scopes, str(accounts.last_day(key.expires_at) or ""), key.rate or "")


@pages.get("/")
def index() -> str:
    """All keys, without their secret part, and one that was just made, once."""
    return _page(made=read_once())


@pages.post("/")
def add() -> Response | tuple[str, int]:
    """Make a key; the list then shows it."""
    form, typed = sent_form(), Typed.sent()
    try:
        ends = accounts.day_of(typed.ends)
        with suppress(FormSentError):
            accounts.add_key(
                catalog().database, typed.name, typed.scopes, ends=ends, rate=typed.rate, actor=actor(), form=form
            )
    except InvalidInputError as error:
        return _page(error=error, typed=typed), 422
    return redirect(url_for("keys.index", made=form.id))


@pages.get("/<int:key_id>")
def show(key_id: int) -> str:
    """One key: what it may do, its secrets, its photos, and revoking it; a secret that was just made, once."""
    return _key(key_id, made=read_once())


@pages.post("/<int:key_id>/change")
def change(key_id: int) -> Response | tuple[str, int]:
    """Another name, other scopes, another end or limit."""
    typed = Typed.sent()
    try:
        accounts.change_key(
            catalog().database,
            key_id,
            name=typed.name,
            scopes=typed.scopes,
            ends=accounts.day_of(typed.ends),
            rate=typed.rate,
            actor=actor(),
        )
    except InvalidInputError as error:
        return _key(key_id, error=error, typed=typed), 422
    flash("Saved.", "success")
    return redirect(url_for("keys.show", key_id=key_id))


@pages.post("/<int:key_id>/secret")
def rotate(key_id: int) -> Response | tuple[str, int]:
    """Make a new secret; the page of the key then shows it."""
    form, days = sent_form(), request.form.get("days", "").strip()
    try:
        if days and not (days.isascii() and days.isdigit() and len(days) < 5):
            raise InvalidInputError("days", f"{days!r} is no number of days.")
        with suppress(FormSentError):
            accounts.rotate_key(catalog().database, key_id, days=int(days) if days else None, actor=actor(), form=form)
    except InvalidInputError as error:
        return _key(key_id, error=error, days=days), 422
    except ConflictError as error:  # somebody else has done so, or revoked it
        flash(str(error), "danger")
        return redirect(url_for("keys.show", key_id=key_id))
    return redirect(url_for("keys.show", key_id=key_id, made=form.id))


@pages.post("/<int:key_id>/end-old")
def end_old(key_id: int) -> Response:
    """End the old secret of a changeover, at once."""
    attempt(lambda: accounts.end_old_secret(catalog().database, key_id, actor=actor()), "The old secret has ended.")
    return redirect(url_for("keys.show", key_id=key_id))


@pages.post("/<int:key_id>/revoke")
def revoke(key_id: int) -> Response:
    """Revoke a key, effective at once."""
    accounts.revoke_key(catalog().database, key_id, actor=actor())
    flash("The key is revoked.", "success")
    return redirect(url_for("keys.index"))


@pages.post("/<int:key_id>/inbox")
def keep_photos(key_id: int) -> Response:
    """Whether photos that are not recognized are kept."""
    kept = request.form.get("kept") == "1"
    accounts.set_inbox(catalog().database, key_id, kept, actor=actor())
    flash("Its photos that are not recognized are kept." if kept else "None of its photos is kept.", "success")
    return redirect(url_for("keys.show", key_id=key_id))


def _page(
    made: accounts.ReadOnce | None = None, error: InvalidInputError | None = None, typed: Typed | None = None
) -> str:
    keys = accounts.list_keys(catalog().database)
    return _rendered("pages/keys.html", keys=keys, made=made, error=error, typed=typed or Typed())


def _key(
    key_id: int,
    made: accounts.ReadOnce | None = None,
    error: InvalidInputError | None = None,
    typed: Typed | None = None,
    days: str = str(accounts.OLD_DAYS),
) -> str:
    key = accounts.get_key(catalog().database, key_id)
    return _rendered("pages/key.html", key=key, made=made, error=error, typed=typed or Typed.of(key), days=days)


def _rendered(page: str, **more: object) -> str:
    return render_template(
        page,
        words=accounts.SCOPES,
        usual=catalog().settings.key_rate,
        has_two=accounts.has_two,
        state=accounts.state_of,
        last_day=accounts.last_day,
        most_days=accounts.MOST_OLD_DAYS,
        form=uuid.uuid4(),
        **more,
    )
