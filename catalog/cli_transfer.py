"""`catalog import`: many products at once."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from tqdm import tqdm

from catalog.cli_base import ACTOR, opened


@click.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--quiet", is_flag=True, help="No progress bar.")
def import_(source: Path, quiet: bool) -> None:
    """Import SOURCE: a folder, SOURCE/<SKU>/*.jpg at any depth, or a CSV.

    Columns of a CSV: sku, photos, name, brand, category, barcode.

    What can't be used is reported and left out, and the exit status is then 1. A re-run adds nothing twice.
    """
    from catalog import importing

    items = importing.from_folder(source) if source.is_dir() else importing.from_csv(source)
    with opened() as catalog, tqdm(total=sum(len(i.photos) for i in items), unit="photo", disable=quiet) as bar:
        catalog.live()

        def progress(photos: int) -> None:
            bar.update(photos)

        report = importing.run(catalog, items, actor=ACTOR, progress=progress)
    for line in report.errors:
        click.echo(f"left out: {line}", err=True)
    click.echo(
        f"{report.products} products and {report.photos} photos added, {report.duplicates} photos were there already, "
        f"{report.pending} pending, {len(report.errors)} left out"
    )
    if report.errors:
        sys.exit(1)
