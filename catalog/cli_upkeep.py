"""`catalog doctor` and `catalog reembed`: what an operator runs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from tqdm import tqdm

from catalog.cli_base import ACTOR, opened
from catalog.config import Settings


@click.command("reembed")
@click.option("--bundle", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Default: CATALOG_MODEL.")
@click.option("--rollback", is_flag=True, help="Back to the generation before the live one.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def reembed_(bundle: Path | None, rollback: bool, quiet: bool) -> None:
    """Embed all photos by a new model, beside the live one, and switch in one step. Tills go on meanwhile."""
    from catalog import jobs

    if bundle and rollback:
        raise click.UsageError("--rollback goes to the generation before; it takes no --bundle")
    with tqdm(unit="photo", disable=quiet) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = jobs.run_reembed(Settings.from_env(), bundle, rollback=rollback, actor=ACTOR, progress=progress)
    if not result.changed:
        click.echo(f"{result.bundle} is live already")
    else:
        click.echo(f"{result.before} -> {result.bundle}: {result.photos} photos embedded, {result.total} searchable")


@click.command()
@click.option("--repair", is_flag=True, help="Make again what can be made again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding, a line each.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def doctor(repair: bool, as_json: bool, quiet: bool) -> None:
    """Look at every stored photo and its details. Exit status 1 while something is not as it should be."""
    from catalog import doctor as examination
    from catalog import listing

    findings = []
    with opened() as catalog, tqdm(total=listing.counts(catalog).photos, unit="photo", disable=quiet) as bar:
        for finding in examination.examine(catalog, repair=repair, progress=bar.update):
            findings.append(finding)
            line = f"{finding.sku}: {'mended: ' if finding.mended else ''}{finding.message}"
            click.echo(json.dumps(asdict(finding)) if as_json else line)
    mended = sum(finding.mended for finding in findings)
    if not as_json:
        click.echo(f"{len(findings)} findings, {mended} mended")
    if mended < len(findings):
        sys.exit(1)
