"""`catalog golden`: photos that every new model is asked before it is switched to."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from catalog.cli.session import ACTOR, opened


@click.group()
def golden() -> None:
    """The golden set: photos of known products, and of none, that every new model is asked."""


@golden.command("add")
@click.argument("photos", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--sku", default="", help="The product that the photos show.")
@click.option("--none", "no_product", is_flag=True, help="They show no product of the catalog.")
def add(photos: tuple[Path, ...], sku: str, no_product: bool) -> None:
    """Add PHOTOs as a customer would take them: not the ones that the product has as references."""
    from catalog.enrollment import NewPhoto
    from catalog.errors import PhotoRejectedError
    from catalog.judging import golden

    if bool(sku) == no_product:
        raise click.UsageError("say --sku SKU, or --none")
    failed = False
    with opened() as catalog:
        for path in photos:
            try:
                sha256 = golden.add(catalog, NewPhoto(path.name, path.read_bytes()), sku, actor=ACTOR)
            except PhotoRejectedError as error:
                failed = True
                click.echo(f"catalog: {path}: {error}", err=True)
                continue
            click.echo(f"{sha256[:12]}\t{sku or 'none'}\t{path.name}")
    if failed:
        sys.exit(1)


@golden.command("list")
def list_() -> None:
    """All golden photos: the start of the content hash, SKU, file name."""
    from catalog.judging import golden

    with opened() as catalog:
        found = golden.list_all(catalog.database)
    for photo in found:
        state = "" if photo.asked else "\tnot asked: the product is retired or gone"
        click.echo(f"{photo.sha256[:12]}\t{photo.sku or 'none'}\t{photo.filename}{state}")
    click.echo(f"{len(found)} golden photos", err=True)


@golden.command("remove")
@click.argument("photos", nargs=-1, required=True)
def remove(photos: tuple[str, ...]) -> None:
    """Remove golden PHOTOs, each named by its content hash, of which the start will do."""
    from catalog.judging import golden

    with opened() as catalog:
        for name in photos:
            click.echo(f"{golden.remove(catalog.database, name, actor=ACTOR)[:12]} removed")
