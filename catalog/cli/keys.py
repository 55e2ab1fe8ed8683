"""`catalog key`: the API keys of tills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from catalog.cli.session import ACTOR, opened

if TYPE_CHECKING:
    from catalog.storage.tables import ApiKey

#: As accounts/keys.py has them; a command's options are read before that is loaded.
SCOPES = ("recognize", "feedback", "catalog:read", "catalog:write")
#: As accounts/key_secrets.py has it.
OLD_DAYS = 7


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
@click.option("--ends", default="", metavar="DAY", help="Its last day, in UTC, as 2027-01-31. Otherwise it never ends.")
@click.option("--rate", default="", metavar="LIMIT", help="Its own limit, as 600/minute, or off.")
def key_create(name: str, scopes: tuple[str, ...], ends: str, rate: str) -> None:
    """Make a key and print it, this once."""
    from catalog import accounts

    with opened() as catalog:
        day = accounts.day_of(ends)
        click.echo(accounts.add_key(catalog.database, name, scopes, ends=day, rate=rate, actor=ACTOR).key)


@key.command("list")
def key_list() -> None:
    """All keys, without their secret part."""
    from catalog import accounts

    with opened() as catalog:
        for row in accounts.list_keys(catalog.database):
            ended = accounts.state_of(row) == "ended"
            state = f"revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else "ended" if ended else "active"
            state += f", may {' '.join(row.scopes)}"
            state += f", through {day}" if (day := accounts.last_day(row.expires_at)) else ""
            state += f", at most {row.rate}" if row.rate else ""
            state += "" if row.inbox else ", no photos kept"
            state += f", last used {row.last_used_at:%Y-%m-%d %H:%M}" if row.last_used_at else ""
            state += _old_secret(row) if accounts.has_two(row) else ""
            click.echo(f"{row.id}\t{row.prefix}...\t{row.name}\t{state}")


def _old_secret(row: ApiKey) -> str:
    said = f", and its old secret {row.old_prefix}..."
    said += f" until {row.old_ends_at:%Y-%m-%d %H:%M}" if row.old_ends_at else ""
    return said + (f", last used {row.old_used_at:%Y-%m-%d %H:%M}" if row.old_used_at else ", not used")


@key.command("change")
@click.argument("key_id", type=int)
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="All that it may do from now on.")
@click.option("--ends", metavar="DAY", help='Its last day, in UTC, as 2027-01-31; "" for a key without an end.')
@click.option("--rate", metavar="LIMIT", help='Its own limit, as 600/minute, or off; "" for that of CATALOG_KEY_RATE.')
def key_change(key_id: int, scopes: tuple[str, ...], ends: str | None, rate: str | None) -> None:
    """Change what a key may do, until when, and how often. What is not given stays."""
    from catalog import accounts

    with opened() as catalog:
        row = accounts.get_key(catalog.database, key_id)
        accounts.change_key(
            catalog.database,
            key_id,
            name=row.name,
            scopes=scopes or row.scopes,
            ends=accounts.last_day(row.expires_at) if ends is None else accounts.day_of(ends),
            rate=(row.rate or "") if rate is None else rate,
            actor=ACTOR,
        )


@key.command("rotate")
@click.argument("key_id", type=int)
@click.option(
    "--days", type=int, default=OLD_DAYS, show_default=True, help="The old secret works for so many days more; 0: none."
)
@click.option("--keep-old", is_flag=True, help="It works until `catalog key end-old`.")
def key_rotate(key_id: int, days: int, keep_old: bool) -> None:
    """Give a key a new secret and print it, this once. The one of before works beside it for a while."""
    from catalog import accounts

    with opened() as catalog:
        made = accounts.rotate_key(catalog.database, key_id, days=None if keep_old else days, actor=ACTOR)
        click.echo(made.key)


@key.command("end-old")
@click.argument("key_id", type=int)
def key_end_old(key_id: int) -> None:
    """End the old secret of a key that was rotated, at once."""
    from catalog import accounts

    with opened() as catalog:
        accounts.end_old_secret(catalog.database, key_id, actor=ACTOR)


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
    """Make a key useless, with all its secrets (its number is shown by `catalog key list`)."""
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
