"""`catalog feedback`: photos of tills that were not recognized, and what they show."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalog.cli.session import ACTOR, opened
from catalog.errors import PhotoQuestionableError

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.inbox import Inbox


@click.command()
@click.argument("group", required=False, default="")
@click.option("--is", "sku", metavar="SKU", help="The newest photo is of this product, by SKU or barcode: add it.")
@click.option("--new", metavar="SKU", help="A new product: add it with the photos of the group.")
@click.option("--name", default="", help="Name of the new product; the SKU when not given.")
@click.option("--not-ours", is_flag=True, help="No product of the catalog: never ask again about photos like these.")
@click.option("--bad", is_flag=True, help="Bad photos: let them go.")
@click.option("--save", type=click.Path(file_okay=False, path_type=Path), help="Write the photos into a folder.")
@click.option("--anyway", is_flag=True, help="Add a photo in spite of warnings about it.")
@click.option("--frequent", is_flag=True, help="List the most frequent groups first, not the newest.")
def feedback(
    group: str,
    sku: str | None,
    new: str | None,
    name: str,
    not_ours: bool,
    bad: bool,
    save: Path | None,
    anyway: bool,
    frequent: bool,
) -> None:
    """List photos that tills got no answer for, or a wrong one, or decide on a GROUP (the start of its id will do)."""
    from catalog import inbox
    from catalog.products import Facts, Intake

    chosen = [sku is not None, new is not None, not_ours, bad, save is not None]
    if sum(chosen) > 1 or (any(chosen) and not group) or (group and not any(chosen)):
        raise click.UsageError(
            "name a group, and one of --is, --new, --not-ours, --bad, --save; or nothing, for a list"
        )
    intake = Intake(ACTOR, "cli", check="report" if anyway else "refuse")
    with opened() as catalog:
        if not group:
            _list(inbox.groups(catalog.database, order="frequent" if frequent else "newest", limit=sys.maxsize))
            return
        found = inbox.find_group(catalog.database, group)
        photos = [item.id for item in found.items]
        try:
            if sku is not None:
                catalog.generations.ready()  # fails at once when another process holds the gallery
                added = inbox.add_to_product(catalog, photos[0], sku, intake)
                click.echo(f"{added.sku}: 1 photo added{_asked_again(catalog, len(photos) - 1)}")
            elif new is not None:
                catalog.generations.ready()
                few = photos[:5]
                added = inbox.create_product(catalog, Facts(new, name), few, (), intake)
                click.echo(
                    f"{added.sku}: {len(added.photos)} photos added{_asked_again(catalog, len(photos) - len(few))}"
                )
            elif not_ours:
                inbox.not_ours(catalog.database, found.id, actor=ACTOR)
            elif bad:
                inbox.discard(catalog.database, photos, actor=ACTOR)
            elif save is not None:
                save.mkdir(parents=True, exist_ok=True)
                for photo, item in zip(inbox.read_photos(catalog.database, photos), found.items, strict=True):
                    (save / f"{item.id}{Path(photo.filename).suffix}").write_bytes(photo.data)
        except PhotoQuestionableError as error:
            for other in error.rejected[1:]:  # the first is the error itself
                click.echo(f"catalog: {other}", err=True)
            raise


@click.command()
@click.argument("answer", type=click.UUID)
@click.option("--right", is_flag=True, help="The answer was right.")
@click.option("--wrong", is_flag=True, help="It was wrong.")
@click.option("--sku", default="", help="With --wrong: what the photo shows; no product of the catalog when not given.")
@click.option("--note", default="", help="For people.")
def judge(answer: uuid.UUID, right: bool, wrong: bool, sku: str, note: str) -> None:
    """Say whether an ANSWER to a till was right, in place of what the till said of it."""
    from catalog.feedback import Judgement, correct

    if right == wrong:
        raise click.UsageError("say --right or --wrong")
    with opened() as catalog:
        correct(catalog, answer, Judgement(right, sku, note), actor=ACTOR)


def _list(found: Inbox) -> None:
    for group in found.groups:
        near = ", ".join(f"{one.sku} {one.score:.3f}" for one in group.candidates) or "nothing near"
        times = f"{group.seen} time{'' if group.seen == 1 else 's'}"
        click.echo(f"{group.id.hex[:8]}\t{group.newest:%Y-%m-%d %H:%M}\t{times}\t{group.items[0].decision}\t{near}")
    click.echo(f"{found.total} groups, {found.photos} photos", err=True)


def _asked_again(catalog: Catalog, others: int) -> str:
    """Ask the other photos of the group, and say how many of them are recognized now."""
    from catalog import inbox

    before = inbox.groups(catalog.database, limit=0).photos
    while inbox.ask_again(catalog):
        pass
    left = before - inbox.groups(catalog.database, limit=0).photos
    return f"; {left} more are recognized now" if others or left else ""
