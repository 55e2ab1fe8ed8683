"""`catalog user`: staff accounts."""

from __future__ import annotations

import click

from catalog.cli.session import ACTOR, opened

#: As accounts/roles.py has them; a command's options are read before that is loaded.
Role = click.Choice(["viewer", "editor", "admin"])


@click.group()
def user() -> None:
    """Staff who may sign in."""


@user.command("list")
def user_list() -> None:
    """All of the staff: name, role, last sign-in, and whether somebody is switched off or has not come yet."""
    from catalog import accounts

    with opened() as catalog:
        for row in accounts.list_people(catalog.database):
            seen = f"{row.last_sign_in_at:%Y-%m-%d %H:%M}" if row.last_sign_in_at else "never"
            state = ("active" if row.password_hash else "invited") if row.active else "off"
            click.echo(f"{row.name}\t{row.role}\t{seen}\t{state}")


@user.command("add")
@click.argument("name")
@click.option("--role", type=Role, default="admin", show_default=True, help="What they may do.")
@click.password_option(help="Asked for when not given.")
def user_add(name: str, role: str, password: str) -> None:
    """Add a member of the staff."""
    from catalog import accounts

    with opened() as catalog:
        accounts.add_user(catalog.database, name, password, role=role, actor=ACTOR)


@user.command("invite")
@click.argument("name")
@click.option("--role", type=Role, help="What they may do; for somebody new it must be given.")
@click.option("--url", default="http://localhost:8000", show_default=True, help="Where the pages are served.")
def user_invite(name: str, role: str | None, url: str) -> None:
    """Print a link by which NAME chooses a password: once, within seven days.

    Without --role, for somebody who is there and lost the password or the link.
    """
    from catalog import accounts

    with opened() as catalog:
        if role:
            link = accounts.invite(catalog.database, name, role, actor=ACTOR)
        else:
            link = accounts.new_link(catalog.database, name, actor=ACTOR)
        click.echo(f"{url.rstrip('/')}/invite/{link.token}")


@user.command("role")
@click.argument("name")
@click.argument("role", type=Role)
def user_role(name: str, role: str) -> None:
    """Give a member of the staff another role."""
    from catalog import accounts

    with opened() as catalog:
        accounts.set_role(catalog.database, name, role, actor=ACTOR)


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
