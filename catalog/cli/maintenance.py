"""`catalog reembed`, `doctor`, `rebuild`, `backup` and `restore`: what an operator runs."""

from __future__ import annotations

import json
import sys
from contextlib import closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catalog.cli.session import ACTOR, MODEL_ID, opened, progress_bar
from catalog.config import Settings
from catalog.errors import DatabaseUnavailableError
from embedder import openblas

if TYPE_CHECKING:
    from catalog.maintenance import Finding

#: Products that got worse which a command names, at most.
PRODUCTS = 10
#: Exit status of a re-embedding whose model is held.
HELD = 3
quiet_option = click.option("--quiet", is_flag=True, help="No progress bar.")


@click.command("reembed")
@click.option("--bundle", metavar="FOLDER|ID", help="A bundle, or a model that was added. Default: CATALOG_MODEL.")
@click.option("--rollback", is_flag=True, help="Back to the generation before the live one.")
@click.option("--switch-anyway", is_flag=True, help="Switch without comparing: also to a model that is held.")
@quiet_option
def reembed_(bundle: str | None, rollback: bool, switch_anyway: bool, quiet: bool) -> None:
    """Embed all photos by a new model, beside the live one, compare the two, and switch in one step. Tills go on.

    The exit status is 3 when the new model is worse than the settings allow: it is held, the live one stays, and a
    person decides.
    """
    openblas.restart_with_environment()
    from catalog import runs

    if bundle and rollback:
        raise click.UsageError("--rollback goes to the generation before; it takes no --bundle")
    if rollback and switch_anyway:
        raise click.UsageError("--rollback compares nothing; it takes no --switch-anyway")
    named = Path(bundle) if bundle and Path(bundle).is_dir() else bundle
    if isinstance(named, str) and not MODEL_ID.fullmatch(named):
        raise click.UsageError(f"--bundle {bundle}: there is no such folder, and it is no id of a model")
    settings = Settings.from_env()
    with progress_bar("photo", quiet) as progress:
        result = runs.run_reembed(
            settings, named, rollback=rollback, switch_anyway=switch_anyway, actor=ACTOR, progress=progress
        )
    if result.judged:
        _tell_judgement(settings, result.bundle)
    if result.held:
        for sentence in result.held:
            click.echo(f"held: {sentence}", err=True)
        click.echo(
            f"catalog: {result.bundle} is not switched to, {result.before} stays live. With --switch-anyway and the "
            "same --bundle, it is switched to all the same.",
            err=True,
        )
        sys.exit(HELD)
    if not result.changed:
        click.echo(f"{result.bundle} is live already")
    else:
        click.echo(f"{result.before} -> {result.bundle}: {result.photos} photos embedded, {result.total} searchable")


def _tell_judgement(settings: Settings, bundle_id: str) -> None:
    """What the live model and the new one answered, side by side; standard output has the result alone."""
    from catalog import judging
    from catalog.storage import Database

    with closing(Database(settings.database)) as database:
        found = judging.find_judgement(database, bundle_id)
    if found is None:
        return
    report = found.report
    asked = ", ".join(f"{count} {judging.KINDS[kind]}" for kind, count in report.asked.items()) or "no photo"
    click.echo(f"asked both: {asked} (seed {report.seed})", err=True)
    if not report.asked:
        return
    click.echo(f"{'':34}{'live':>16}{'new':>16}", err=True)
    for label, live, new in judging.side_by_side(report):
        click.echo(f"{label:34}{live:>16}{new:>16}", err=True)
    click.echo(f"answered worse: {report.worse}, better: {report.better}", err=True)
    for product in report.products[:PRODUCTS]:
        if product.new < product.live:
            said = f"first for {product.new} of {product.asked} photos, before for {product.live}"
            click.echo(f"  {product.sku}: {said}", err=True)


@click.command()
@click.option("--repair", is_flag=True, help="Make again what can be made again.")
@click.option(
    "--remove-orphans", is_flag=True, help="Remove photo files and collections that nothing has named for a day."
)
@click.option("--no-gallery", is_flag=True, help="Leave the gallery out, beside a server with an embedded one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding, a line each.")
@quiet_option
def doctor(repair: bool, remove_orphans: bool, no_gallery: bool, as_json: bool, quiet: bool) -> None:
    """Compare database, photos and gallery.

    Exit status 0: all is well, or mended. 1: something is amiss. 2: nothing is known to be amiss, but a part could not
    be looked at.
    """
    openblas.restart_with_environment()
    from catalog import maintenance, runs

    found: list[Finding] = []
    options = {"repair": repair, "remove_orphans": remove_orphans, "ask_gallery": not no_gallery}
    try:
        with (
            opened() as catalog,
            progress_bar("photo", quiet) as progress,
            # Without the gallery, nobody is to take it for a check of the whole catalog.
            nullcontext(runs.Record(None))
            if no_gallery
            else runs.recorded(catalog.database, "doctor", actor=ACTOR, options=options) as record,
        ):
            for finding in maintenance.examine(catalog, **options, progress=record.beside(progress)):
                found.append(finding)
                line = f"{finding.subject}: {'mended: ' if finding.mended else ''}{finding.message}"
                click.echo(json.dumps(asdict(finding)) if as_json else line)
            record.outcome = runs.outcome_of(found)
    except DatabaseUnavailableError as error:
        click.echo(f"catalog: {error}", err=True)
        sys.exit(2)
    if not as_json:
        click.echo(f"{len(found)} findings, {sum(finding.mended for finding in found)} mended")
    sys.exit(maintenance.status(found))


@click.command()
@quiet_option
def rebuild(quiet: bool) -> None:
    """Make the gallery anew from database and photos. Not beside a server with an embedded gallery.

    The exit status is 1 when a photo could not be enrolled.
    """
    openblas.restart_with_environment()
    from catalog import maintenance

    with opened() as catalog, progress_bar("photo", quiet) as progress:
        result = maintenance.rebuild(catalog, progress, actor=ACTOR)
    for sku, error in result.pending:
        click.echo(f"{sku}: pending: {error}", err=True)
    click.echo(f"{result.bundle}: {result.photos} photos searchable, {len(result.pending)} pending")
    if result.pending:
        sys.exit(1)


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@quiet_option
def backup(out: Path, quiet: bool) -> None:
    """Write database, photos and models to the file OUT (a tar), while the catalog serves.

    The exit status is 1 when a photo is missing or damaged, and so is not in it.
    """
    from catalog import backup as backups

    with opened() as catalog, progress_bar("photo", quiet) as progress:
        result = backups.back_up(catalog, out, progress)
    _tell_left_out(result.left_out)
    click.echo(f"{out}: {result.rows['product']} products, {result.photos} photo files")
    if result.left_out:
        sys.exit(1)


@click.command()
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@quiet_option
def restore(archive: Path, quiet: bool) -> None:
    """Bring a backup into an EMPTY catalog, on whichever database it has; then make its gallery.

    The backup is checked before anything is changed.
    """
    from catalog import backup

    with opened() as catalog, progress_bar("B", quiet) as progress:
        result = backup.restore(catalog, archive, progress, actor=ACTOR)
    _tell_left_out(result.left_out)
    click.echo(
        f"{result.rows['product']} products, {result.photos} photo files restored. The gallery is not in a backup: "
        "`catalog rebuild` makes it now, or `catalog serve` while it serves."
    )


def _tell_left_out(what: list[str]) -> None:
    for line in what:
        click.echo(f"not in the backup: {line}", err=True)
