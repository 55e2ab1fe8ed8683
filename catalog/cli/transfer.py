"""`catalog import` and `catalog export`: many products at once."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from catalog.cli.session import ACTOR, opened, progress_bar
from embedder import openblas

#: Files and folders of a system that are named, at most.
NAMED = 10


@click.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="COLUMN=HEADER",
    help="Foreign headers of a CSV: sku=Artikel,photos=Bild; or several times, one each.",
)
@click.option(
    "--skip-errors/--strict",
    default=None,
    help="Import what is right, or nothing unless all is. Default: folders skip, a CSV is strict.",
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def import_(source: Path, mapping: tuple[str, ...], skip_errors: bool | None, quiet: bool) -> None:
    """Import SOURCE: a folder, SOURCE/<SKU>/*.jpg at any depth; a CSV; or a zip of either.

    Columns of a CSV, in any order: sku, photos (both needed), name, brand, category, barcode, variant_group, labels,
    active, attribute:NAME. Photos are paths from the CSV's own folder, separated by |.

    A CSV is checked first, and when anything is wrong nothing is imported. Of folders, what can't be used is reported
    and left out. The exit status is then 1, as when photos are pending at the end: stored, but not in the gallery.
    Files that are no photos, and folders of one name that make up one product, are reported, too, and are errors with
    --strict only. A re-run adds nothing twice, and goes on where a killed one ended.
    """
    openblas.restart_with_environment()
    from catalog import transfer

    with transfer.open_source(source, transfer.parse_mapping(*mapping)) as read:
        if read.unread:
            click.echo(f"columns that are not read: {', '.join(read.unread)}", err=True)
        if read.system:
            click.echo(_passed_over(read.system), err=True)
        with opened() as catalog:
            catalog.generations.ready()
            strict = read.listed if skip_errors is None else not skip_errors
            if strict:
                with progress_bar("photo", quiet, "checked") as progress:
                    errors = [*read.left_out, *transfer.validate(catalog.database, read.items, progress)]
                if skip_errors is False:
                    errors += read.told
                if errors:
                    for line in errors:
                        click.echo(line, err=True)
                    click.echo(
                        f"nothing was imported: {len(errors)} errors; --skip-errors imports the rest of it", err=True
                    )
                    sys.exit(1)
            for line in read.told:
                click.echo(f"note: {line}", err=True)
            with progress_bar("photo", quiet) as progress:
                report = transfer.import_items(catalog, read.items, actor=ACTOR, progress=progress)
    left_out = read.left_out + report.errors
    for line in left_out:
        click.echo(f"left out: {line}", err=True)
    click.echo(
        f"{report.products} products and {report.photos} photos added, {report.duplicates} photos were there already, "
        f"{report.pending} pending, {len(left_out)} left out"
    )
    if report.pending:
        again = f"{report.why} They are tried again by `catalog serve`, and by the next import".lstrip()
        click.echo(f"{report.pending} photos can't be found yet: {again}", err=True)
    if left_out or report.pending:
        sys.exit(1)


def _passed_over(places: list[str]) -> str:
    more = f" and {len(places) - NAMED:,} more" if len(places) > NAMED else ""
    what = "hidden files and folders, and those that systems make"
    return f"passed over: {what} ({len(places):,}): {', '.join(places[:NAMED])}{more}"


@click.command("export")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--photos/--no-photos", default=True, help="With the photos, or the list alone.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def export(target: Path, photos: bool, quiet: bool) -> None:
    """Export all products to TARGET, a new folder or FILE.zip: catalog.csv and the photos that it names.

    `catalog import` takes it again. Retired products are in it, too. A photo that can't be read is reported and left
    out, and the exit status is then 1.
    """
    from catalog import transfer

    with opened() as catalog, progress_bar("photo", quiet) as progress:
        done = transfer.export(catalog, target, photos=photos, progress=progress)
    for line in done.errors:
        click.echo(f"left out: {line}", err=True)
    click.echo(f"{done.products} products and {done.photos} photos in {target}")
    if done.errors:
        sys.exit(1)
