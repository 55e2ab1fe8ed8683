"""`catalog`: add, import, recognize, serve, re-embed; users and keys.

Each command imports what it needs when it runs: `serve` starts a program that imports everything again, and a second
spent on imports here is a second that a till waits after a restart.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalog.cli import (
    coverage,
    feedback,
    golden,
    keys,
    maintenance,
    models,
    nightly,
    products,
    status,
    transfer,
    users,
    webhooks,
)
from catalog.cli.session import ACTOR, opened
from catalog.config import Settings
from catalog.errors import CatalogError, PhotoRejectedError
from embedder import console, openblas
from embedder.errors import EmbedderError

if TYPE_CHECKING:
    from catalog.recognition import Recognition
    from catalog.storage import PhotoStore

PhotoPath = click.Path(path_type=Path)


class _Group(click.Group):
    """Turns this project's errors into one line and exit status 1, never a traceback."""

    def main(self, *args: Any, **options: Any) -> Any:
        console.escape_what_can_not_be_shown()  # before the options are read: --help and errors print, too
        return super().main(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (CatalogError, EmbedderError) as error:
            click.echo(f"catalog: {error}", err=True)
            sys.exit(1)
        except OSError as error:
            if error.filename is None:  # no file: a closed pipe, which click handles
                raise
            click.echo(f"catalog: {error.filename}: {error.strerror}", err=True)
            sys.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A product catalog that recognizes its products by photo.

    Everything is kept below CATALOG_DATA (default: ./catalog-data); docs/operating.md lists the other settings.
    """
    warnings.filterwarnings("ignore", module="PIL")  # about odd EXIF data: noise when thousands are imported
    # A file's name need not be UTF-8, nor can every terminal show what is: such characters are shown as \xNN or \uNNNN.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@main.command()
def init() -> None:
    """Make or update the database, make the bucket of the photos, and load the model; safe to repeat."""
    with opened() as catalog:
        catalog.photos.prepare()
        live = catalog.generations.ready()
        catalog.generations.share_all()
        click.echo(f"catalog in {catalog.settings.data}, model {live.embedder.bundle.id}")


@main.command()
@click.argument("photos", nargs=-1, type=PhotoPath)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option(
    "--from", "list_file", type=click.File("rb"), help="Read paths from a file, one a line (- for standard input)."
)
@click.option(
    "--explain",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Of one photo: write a picture of it beside the reference photo, matched details joined, to OUT.png.",
)
@click.option("--label", "labels", multiple=True, help="Answer from products of this set; may be given several times.")
@click.option("--sku", "skus", multiple=True, help="Answer from these products; may be given several times.")
def recognize(
    photos: tuple[Path, ...],
    as_json: bool,
    list_file: Any,
    explain: Path | None,
    labels: tuple[str, ...],
    skus: tuple[str, ...],
) -> None:
    """Say which product each photo shows. A photo that can't be read is reported, and the exit status is then 1."""
    openblas.restart_with_environment()
    from catalog.recognition import Scope
    from catalog.recognition import recognize as recognize_photo
    from embedder import datasets

    paths = list(photos)
    if list_file is not None:
        paths += [Path(line) for line in datasets.read_lines(list_file.read()) if line.strip()]
    if not paths:
        raise click.UsageError("name photos, or a file that lists them by --from")
    if explain and len(paths) != 1:
        raise click.UsageError(f"--explain draws one photo, not {len(paths)}")
    failed = False
    with opened() as catalog:
        for path in paths:
            try:
                data = path.read_bytes()
                answer = recognize_photo(catalog, data, among=Scope(labels, skus), asked_by=ACTOR)
                found = answer.as_dict()
            except (OSError, ValueError, PhotoRejectedError) as error:  # ValueError: no path has a null character
                failed = True
                code = error.code if isinstance(error, PhotoRejectedError) else "unreadable"
                found = {"error": code, "detail": getattr(error, "strerror", None) or str(error)}
            if explain and "error" not in found:
                _draw(catalog.photos, data, answer, explain)
            if as_json:
                click.echo(json.dumps({"photo": str(path), **found}))
            elif "error" in found:
                click.echo(f"{path}: {found['detail']}", err=True)
            else:
                best = ", ".join(f"{m['sku']} {m['score']:.3f}" for m in found["matches"][:3])
                by = f"by {found['decided_by']} in {found['milliseconds']:.0f} ms"
                by += ", mirrored" * answer.mirrored + _cut_short(answer)
                click.echo(f"{path}: {found['decision']} ({best or 'nothing near'}) {by}")
    if failed:
        sys.exit(1)


def _cut_short(answer: Recognition) -> str:
    if answer.complete or answer.extent is None:
        return ""
    return f", cut short after {answer.extent.photos} of {answer.extent.candidates} photos (CATALOG_SECOND_LOOK_MS)"


def _draw(photos: PhotoStore, data: bytes, answer: Recognition, out: Path) -> None:
    from catalog.recognition import answer_picture

    picture = answer_picture(photos, data, answer)
    if picture is None:
        click.echo(f"nothing to draw: no details decided, so {out} is not written", err=True)
        return
    try:
        picture.save(out)
    except ValueError as error:  # no picture format has this suffix
        raise click.UsageError(f"--explain {out}: {error}") from error


@main.command()
@click.option("--alive", type=PhotoPath, help="Touch this file every few seconds, for a health check.")
def worker(alive: Path | None) -> None:
    """Do the jobs that others hand over, where CATALOG_JOBS names a broker."""
    from catalog import runs

    runs.work(Settings.from_env(), alive)


@main.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> None:
    """Serve the admin pages and the POS API."""
    _become("web", arguments)


@main.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def till(arguments: tuple[str, ...]) -> None:
    """Recognize from an archive of a server, on this machine and without that server."""
    _become("web.till", arguments)


@main.command("offline-key")
def offline_key() -> None:
    """Print the public key that signs archives for offline tills, for `catalog till --trust`."""
    from catalog import data_folder
    from catalog.offline import signing

    settings = Settings.from_env()
    data_folder.prepare(settings)
    click.echo(signing.public_text(signing.signing_key(settings)))


def _become(module: str, arguments: tuple[str, ...]) -> None:
    # Replaces this process by the web package's program, which parses the options: catalog/ does not know Flask.
    for name, value in openblas.environment().items():
        os.environ.setdefault(name, value)
    # A signal that comes before the program handles it waits until then, also for PID 1.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - no shell, own interpreter


for command in (
    *(products.add, products.list_, products.label, products.retire, products.unretire),
    *(products.rename, products.merge, products.purge),
    *(transfer.import_, transfer.export),
    *(status.status, nightly.nightly_),
    *(maintenance.reembed_, maintenance.doctor, maintenance.rebuild, maintenance.backup, maintenance.restore),
    coverage.coverage,
    coverage.margins_,
    feedback.feedback,
    feedback.judge,
    *(models.model, golden.golden, users.user, keys.key, webhooks.webhook),
):
    main.add_command(command)
