"""`catalog webhook`: addresses that changes are delivered to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from catalog.cli.session import ACTOR, opened

if TYPE_CHECKING:
    from catalog.webhooks import Sent

#: As webhooks/endpoints.py has them; a command's options are read before that is loaded.
KINDS = ("products", "generations", "inbox", "nights")


@click.group()
def webhook() -> None:
    """Addresses of other systems that changes are delivered to."""


@webhook.command("create")
@click.argument("name")
@click.argument("url")
@click.option(
    "--for",
    "kinds",
    multiple=True,
    type=click.Choice(KINDS),
    default=KINDS[:1],
    show_default=True,
    help="What it is told; several times for more.",
)
def create(name: str, url: str, kinds: tuple[str, ...]) -> None:
    """Make a webhook and print its secret, this once."""
    from catalog import webhooks

    with opened() as catalog:
        click.echo(webhooks.add_webhook(catalog.database, name, url, kinds, actor=ACTOR).secret)


@webhook.command("list")
def list_() -> None:
    """All webhooks, and how they are doing."""
    from catalog import webhooks

    with opened() as catalog:
        for row in webhooks.list_webhooks(catalog.database):
            state = webhooks.WHY.get(row.paused, "on")
            if not row.paused and row.failing_since:
                state = f"not taken since {row.failing_since:%Y-%m-%d %H:%M}, {row.attempts} times"
            click.echo(f"{row.id}\t{row.name}\t{row.url}\t{' '.join(row.kinds)}\t{state}")


@webhook.command("deliveries")
@click.argument("number", type=int)
def list_deliveries(number: int) -> None:
    """The last deliveries of a webhook, the newest first."""
    from catalog import webhooks

    with opened() as catalog:
        webhooks.get_webhook(catalog.database, number)
        for row in webhooks.deliveries(catalog.database, number):
            about = f"{row.type} {row.sku}".strip()
            click.echo(f"{row.id}\t{row.at:%Y-%m-%d %H:%M:%S}\t{about}\t{row.status or 'no answer'}\t{row.said}")


@webhook.command("pause")
@click.argument("number", type=int)
def pause(number: int) -> None:
    """Deliver nothing until it is resumed (its number is shown by `catalog webhook list`)."""
    from catalog import webhooks

    with opened() as catalog:
        webhooks.pause(catalog.database, number, actor=ACTOR)


@webhook.command("resume")
@click.argument("number", type=int)
def resume(number: int) -> None:
    """Go on where it was paused, and try at once."""
    from catalog import webhooks

    with opened() as catalog:
        webhooks.resume(catalog.database, number, actor=ACTOR)


@webhook.command("delete")
@click.argument("number", type=int)
def delete(number: int) -> None:
    """Delete a webhook."""
    from catalog import webhooks

    with opened() as catalog:
        webhooks.remove_webhook(catalog.database, number, actor=ACTOR)


@webhook.command("test")
@click.argument("number", type=int)
def test(number: int) -> None:
    """Deliver a test, now."""
    from catalog import webhooks

    with opened() as catalog:
        _say(webhooks.send_test(catalog.database, catalog.settings, number))


@webhook.command("again")
@click.argument("number", type=int)
@click.argument("delivery", type=int)
def again(number: int, delivery: int) -> None:
    """Deliver once more (the DELIVERY's number is shown by `catalog webhook deliveries`)."""
    from catalog import webhooks

    with opened() as catalog:
        _say(webhooks.send_again(catalog.database, catalog.settings, number, delivery))


def _say(sent: Sent) -> None:
    click.echo(f"{sent.status or 'no answer'} after {sent.milliseconds} ms {sent.said}".rstrip(), err=not sent.ok)
    if not sent.ok:
        sys.exit(1)
