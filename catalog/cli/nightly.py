"""`catalog nightly`: what an operator has cron or systemd run every night."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalog.cli.session import progress_bar
from catalog.config import Settings
from embedder import openblas

if TYPE_CHECKING:
    from catalog.nightly import Step


@click.command("nightly")
@click.option(
    "--bundle",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The model that is to be live: embed all photos by it unless it is, and switch unless it is worse.",
)
@click.option(
    "--backups",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a backup to this folder, and remove old ones.",
)
@click.option("--keep", type=click.IntRange(1, 9999), default=7, show_default=True, help="Backups that stay.")
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="Write what came of each step to a JSON file."
)
@click.option(
    "--mail",
    type=click.Choice(("always", "amiss", "never")),
    default="always",
    show_default=True,
    help="Mail the report to CATALOG_MAIL_TO; amiss: only if a person is needed.",
)
@click.option("--quiet", is_flag=True, help="No progress bar, and no word while all is well.")
def nightly_(bundle: Path | None, backups: Path | None, keep: int, report: Path | None, mail: str, quiet: bool) -> None:
    """Switch to a new model, check and mend, examine, back up, clean up, one after the other. Tills go on meanwhile.

    Exit status 0: nobody need look at it, or another machine is at work. 1: a step failed, or found what is for a
    person, as a model that is worse and so is held; or the night of another machine does not come to its end.
    """
    openblas.restart_with_environment()
    from catalog import nightly
    from catalog.errors import ConflictError

    settings = Settings.from_env()

    def tell(step: Step) -> None:
        if not quiet or not step.is_well:
            click.echo(nightly.line_of(step))

    try:
        with progress_bar("photo", quiet) as progress:
            plan = nightly.Plan(bundle, backups, keep)
            night = nightly.run_night(settings, plan, told=tell, progress=progress)
    except ConflictError as error:
        click.echo(f"catalog: {error}", err=True)
        sys.exit(1 if nightly.is_stuck(settings) else 0)
    if report:
        nightly.write_report(night, report)
    if settings.mail and mail != "never" and not (mail == "amiss" and night.is_well):
        nightly.send_mail(settings.mail, night)
    if not quiet or not night.is_well:
        click.echo(night.message)
    sys.exit(0 if night.is_well else 1)
