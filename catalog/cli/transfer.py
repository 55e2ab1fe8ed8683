"""`catalog import` and `catalog export`: many products at once."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalog.cli.session import ACTOR, opened, progress_bar
from embedder import openblas

if TYPE_CHECKING:
    from catalog.transfer import Line, Source

#: Files and folders of a system, and lines that differ, that are named, at most.
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
@click.option("--update", is_flag=True, help="Change the facts of products that are there to what the list says.")
@click.option("--check", is_flag=True, help="Say by line what is new, differs or is wrong, and import nothing.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def import_(
    source: Path, mapping: tuple[str, ...], skip_errors: bool | None, update: bool, check: bool, quiet: bool
) -> None:
    """Import SOURCE: a folder, SOURCE/<SKU>/*.jpg at any depth; a CSV; or a zip of either.

    Columns of a CSV, in any order: sku, photos (both needed; with --update sku alone), name, brand, category, barcode,
    variant_group, labels, active, attribute:NAME. Photos are paths from the CSV's own folder, separated by |.

    A CSV is checked first, and when anything is wrong nothing is imported. Of folders, what can't be used is reported
    and left out. The exit status is then 1, as when photos are pending at the end: stored, but not in the gallery.
    Files that are no photos, and folders of one name that make up one product, are reported, too, and are errors with
    --strict only. A re-run adds nothing twice, and goes on where a killed one ended.

    Products that are there get the photos and barcodes that they lack, and keep their facts; where the list gives them
    otherwise, it is noted. With --update they get the list's facts: an empty cell changes nothing, labels are replaced,
    barcodes only added.
    """
    openblas.restart_with_environment()
    from catalog import transfer

    with transfer.open_source(source, transfer.parse_mapping(*mapping), photos_needed=not update) as read:
        if read.unread:
            click.echo(f"columns that are not read: {', '.join(read.unread)}", err=True)
        if read.system:
            click.echo(_passed_over(read.system), err=True)
        if check:
            with opened() as catalog, progress_bar("photo", quiet, "checked") as progress:
                lines = list(transfer.preview(catalog.database, read.items, progress))
            sys.exit(_say_preview(read, lines))
        with opened() as catalog:
            catalog.generations.ready()
            strict = read.listed if skip_errors is None else not skip_errors
            if strict:
                with progress_bar("photo", quiet, "checked") as progress:
                    errors = list(read.left_out)
                    differ = []
                    for line in transfer.preview(catalog.database, read.items, progress):
                        errors += [f"{line.source}: {error}" for error in line.errors]
                        if line.state == "changed" and transfer.ignored(line.changes):
                            differ.append(f"{line.source}: {line}")
                if skip_errors is False:
                    errors += read.told + ([] if update else differ)
                if errors:
                    for error in errors:
                        click.echo(error, err=True)
                    click.echo(
                        f"nothing was imported: {len(errors)} errors; --skip-errors imports the rest of it", err=True
                    )
                    sys.exit(1)
            for note in read.told:
                click.echo(f"note: {note}", err=True)
            with progress_bar("photo", quiet) as progress:
                report = transfer.import_items(catalog, read.items, actor=ACTOR, update=update, progress=progress)
    left_out = read.left_out + report.errors
    for error in left_out:
        click.echo(f"left out: {error}", err=True)
    if report.ignored:
        click.echo(_not_updated(report.ignored), err=True)
    changed = f"{report.changed} products changed, " if update else ""
    click.echo(
        f"{report.products} products and {report.photos} photos added, {changed}{report.duplicates} photos were there "
        f"already, {report.pending} pending, {len(left_out)} left out"
    )
    if report.pending:
        again = f"{report.why} They are tried again by `catalog serve`, and by the next import".lstrip()
        click.echo(f"{report.pending} photos can't be found yet: {again}", err=True)
    if left_out or report.pending:
        sys.exit(1)


def _say_preview(read: Source, lines: list[Line]) -> int:
    """Print what an import would do; returns the exit status: 1 when anything is wrong."""
    for text in read.left_out:
        click.echo(f"wrong: {text}", err=True)
    for text in read.told:
        click.echo(f"note: {text}", err=True)
    for line in lines:
        if line.errors:
            click.echo(f"wrong: {line.source}: {line}", err=True)
        elif line.state != "unchanged":
            click.echo(f"{line.source}: {line}")
    counts = Counter(line.state for line in lines)
    said = ", ".join(f"{counts[state]:,} {state}" for state in ("new", "changed", "unchanged", "wrong"))
    click.echo(f"{len(lines):,} lines: {said}. Nothing was imported; facts of products are changed with --update only.")
    return 1 if read.left_out or counts["wrong"] else 0


def _not_updated(lines: list[str]) -> str:
    more = f"\nand {len(lines) - NAMED:,} more" if len(lines) > NAMED else ""
    which = "\n".join(f"as it was: {line}" for line in lines[:NAMED])
    return f"{which}{more}\n{len(lines):,} lines differ from the catalog, which was left as it is; --update changes it"


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
