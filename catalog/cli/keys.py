"""`catalog key`: the API keys of tills."""

from __future__ import annotations

import click

from catalog.cli.session import ACTOR, opened

#: As accounts/keys.py has them; a command's options are read before that is loaded.
SCOPES = ("recognize", "feedback", "catalog:write")


@click.group()
def key() -> None:
    """Keys of tills."""


@key.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=SCOPES[:1],
    show_default=True,
    help="What it may do; several times for more.",
)
def key_create(name: str, scopes: tuple[str, ...]) -> None:
    """Make a key and print it, this once."""
    from catalog import accounts

    with opened() as catalog:
        click.echo(accounts.add_key(catalog.database, name, scopes, actor=ACTOR).key)


@key.command("list")
def key_list() -> None:
    """All keys, without their secret part."""
    from catalog import accounts

    with opened() as catalog:
        for row in accounts.list_keys(catalog.database):
            state = f"revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else "active"
            state += f", may {' '.join(row.scopes)}"
            state += "" if row.inbox else ", no photos kept"
            state += f", last used {row.last_used_at:%Y-%m-%d %H:%M}" if row.last_used_at else ""
            click.echo(f"{row.id}\t{row.prefix}...\t{row.name}\t{state}")


@key.command("rename")
@click.argument("key_id", type=int)
@click.argument("name")
def key_rename(key_id: int, name: str) -> None:
    """Give a key another name (its number is shown by `catalog key list`)."""
    from catalog import accounts

    with opened() as catalog:
        accounts.rename_key(catalog.database, key_id, name, actor=ACTOR)


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
