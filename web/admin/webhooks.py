"""Webhooks: where changes are delivered to; make, pause, delete, the last deliveries, and a test."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from contextlib import suppress

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import webhooks
from catalog.errors import FormSentError, InvalidInputError
from web.admin.base import attempt, blueprint
from web.context import actor, catalog, read_once, sent_form

pages = blueprint("webhooks", "/webhooks")


@pages.get("/")
def index() -> str:
    """All webhooks, and the secret of one that was just made, once."""
    return _page()


@pages.post("/")
def add() -> Response | tuple[str, int]:
    """Make one; the list then shows its secret."""
    form, given = sent_form(), request.form
    name, url, kinds = given.get("name", ""), given.get("url", ""), given.getlist("kind")
    try:
        with suppress(FormSentError):
            webhooks.add_webhook(catalog().database, name, url, kinds, actor=actor(), form=form)
    except InvalidInputError as error:
        return _page(error, name, url, kinds), 422
    return redirect(url_for("webhooks.index", made=form.id))


@pages.get("/<int:webhook>")
def show(webhook: int) -> str:
    """One: its state, and its last deliveries."""
    database = catalog().database
    return render_template(
        "pages/webhook.html",
        hook=webhooks.get_webhook(database, webhook),
        deliveries=webhooks.deliveries(database, webhook),
        kinds=webhooks.KINDS,
        why=webhooks.WHY,
    )


@pages.post("/<int:webhook>/pause")
def pause(webhook: int) -> Response:
    """Deliver nothing for now."""
    attempt(
        lambda: webhooks.pause(catalog().database, webhook, actor=actor()),
        "Paused. What changes meanwhile is delivered when it goes on.",
    )
    return _to(webhook)


@pages.post("/<int:webhook>/resume")
def resume(webhook: int) -> Response:
    """Go on, and try at once."""
    attempt(lambda: webhooks.resume(catalog().database, webhook, actor=actor()), "It goes on where it was.")
    return _to(webhook)


@pages.post("/<int:webhook>/delete")
def delete(webhook: int) -> Response:
    """Delete it."""
    attempt(lambda: webhooks.remove_webhook(catalog().database, webhook, actor=actor()), "The webhook is deleted.")
    return redirect(url_for("webhooks.index"))


@pages.post("/<int:webhook>/test")
def test(webhook: int) -> Response:
    """Deliver a test, now."""
    return _told(webhook, webhooks.send_test(catalog().database, catalog().settings, webhook))


@pages.post("/<int:webhook>/deliveries/<int:delivery>")
def again(webhook: int, delivery: int) -> Response:
    """Deliver once more what was delivered."""
    return _told(webhook, webhooks.send_again(catalog().database, catalog().settings, webhook, delivery))


def _told(webhook: int, sent: webhooks.Sent) -> Response:
    if sent.ok:
        flash(f"Delivered: it answered {sent.status} after {sent.milliseconds} ms.", "success")
    else:
        flash(f"Not delivered: {sent.status or 'no answer'}. {sent.said}", "danger")
    return _to(webhook)


def _to(webhook: int) -> Response:
    return redirect(url_for("webhooks.show", webhook=webhook))


def _page(
    error: InvalidInputError | None = None, name: str = "", url: str = "", kinds: Collection[str] = ("products",)
) -> str:
    return render_template(
        "pages/webhooks.html",
        hooks=webhooks.list_webhooks(catalog().database),
        made=None if error else read_once(),
        error=error,
        name=name,
        url=url,
        chosen=kinds,
        kinds=webhooks.KINDS,
        why=webhooks.WHY,
        form=uuid.uuid4(),
    )
