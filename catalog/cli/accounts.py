"""`catalog user` and `catalog key`: staff accounts and the API keys of tills."""

from __future__ import annotations

import click

from catalog.cli.session import ACTOR, opened


@click.group()
def user() -> None:
    """Staff who may sign in."""


@user.command("add")
@click.argument("name")
@click.password_option(help="Asked for when not given.")
def user_add(name: str, password: str) -> None:
    """Add a member of the staff."""
    from catalog import accounts

    with opened() as catalog:
        accounts.add_user(catalog.database, name, password, actor=ACTOR)


@user.command("password")
@click.argument("name")
@click.password_option(help="Asked for when not given.")
def user_password(name: str, password: str) -> None:
    """Set a new password; the user's sessions end."""
    from catalog import accounts

    with opened() as catalog:
        accounts.set_password(catalog.database, name, password, actor=ACTOR)


@user.command("disable")
@click.argument("name")
def user_disable(name: str) -> None:
    """Switch a member of the staff off: sessions end, and nobody signs in by this name."""
    from catalog import accounts

    with opened() as catalog:
        accounts.set_active(catalog.database, name, False, actor=ACTOR)


@user.command("enable")
@click.argument("name")
def user_enable(name: str) -> None:
    """Switch a member of the staff on again."""
    from catalog import accounts

    with opened() as catalog:
        accounts.set_active(catalog.database, name, True, actor=ACTOR)


@click.group()
def key() -> None:
    """Keys of tills."""


@key.command("create")
@click.argument("name")
def key_create(name: str) -> None:
    """Make a key and print it, this once."""
    from catalog import accounts

    with opened() as catalog:
        click.echo(accounts.add_key(catalog.database, name, actor=ACTOR).key)


@key.command("list")
def key_list() -> None:
    """All keys, without their secret part."""
    from catalog import accounts

    with opened() as catalog:
        for row in accounts.list_keys(catalog.database):
            state = f"revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else "active"
            state += "" if row.inbox else ", no photos kept"
            click.echo(f"{row.id}\t{row.prefix}...\t{row.name}\t{state}")


@key.command("revoke")
@click.argument("key_id", type=int)
def key_revoke(key_id: int) -> None:
    """Make a key useless (its number is shown by `catalog key list`)."""
    from catalog import accounts

    with opened() as catalog:
        accounts.revoke_key(catalog.database, key_id, actor=ACTOR)


@key.command("inbox")
@click.argument("key_id", type=int)
@click.argument("kept", type=click.Choice(["on", "off"]))
def key_inbox(key_id: int, kept: str) -> None:
    """Whether photos of this key that are not recognized are kept for the staff."""
    from catalog import accounts

    with opened() as catalog:
        accounts.set_inbox(catalog.database, key_id, kept == "on", actor=ACTOR)
