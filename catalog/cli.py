"""`catalog`: add, import, recognize, serve, re-embed; users and keys.

The parts are imported by the commands that need them: `serve` hands over to a program that imports them again, and a
second for nothing is a second that a till waits after a restart.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

from catalog.config import Settings
from catalog.errors import CatalogError, PhotoRejectedError
from embedder import openblas
from embedder.errors import EmbedderError

if TYPE_CHECKING:
    from catalog.recognize import Recognition
    from catalog.service import Catalog

ACTOR = "cli"
PhotoPath = click.Path(path_type=Path)


class _Group(click.Group):
    """Turns this project's errors into one line and exit status 1, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (CatalogError, EmbedderError) as error:
            click.echo(f"catalog: {error}", err=True)
            sys.exit(1)
        except OSError as error:
            if error.filename is None:  # not a file's: a pipe that was closed, which click knows how to end
                raise
            click.echo(f"catalog: {error.filename}: {error.strerror}", err=True)
            sys.exit(1)


@contextmanager
def _opened() -> Iterator[Catalog]:
    from catalog.service import Catalog

    catalog = Catalog.open(Settings.from_env())
    try:
        yield catalog
    finally:
        catalog.close()


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A product catalog that recognizes its products by photo.

    Everything is kept below CATALOG_DATA (default: ./catalog-data); docs/operating.md lists the other settings.
    """
    warnings.filterwarnings("ignore", module="PIL")  # of odd EXIF in a photo: no news for who imports thousands


@main.command()
def init() -> None:
    """Make or update the database and load the model; safe to repeat."""
    with _opened() as catalog:
        live = catalog.live()
        click.echo(f"catalog in {catalog.settings.data}, model {live.embedder.bundle.id}")


@main.command()
@click.argument("sku")
@click.argument("photos", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", help="Name of the product; the SKU when not given.")
@click.option("--brand", default="")
@click.option("--category", default="")
@click.option("--barcode", "barcodes", multiple=True, help="EAN or UPC; may be given several times.")
def add(sku: str, photos: tuple[Path, ...], name: str, brand: str, category: str, barcodes: tuple[str, ...]) -> None:
    """Add a product with its photos; searchable when the command ends."""
    from catalog import products
    from catalog.products import Facts, NewPhoto

    with _opened() as catalog:
        catalog.live()  # says at once when another process holds the gallery, and a server's own page is the way
        uploads = [NewPhoto(path.name, path.read_bytes()) for path in photos]
        added = products.create(catalog, Facts(sku, name, brand, category, barcodes), uploads, actor=ACTOR)
        for photo in added.photos:
            click.echo(f"{photo.filename}: {photo.state}{' - ' + photo.reason if photo.reason else ''}")
            if photo.like:
                agree = "the same file" if photo.like.points is None else f"{photo.like.points} details agree"
                click.echo(f"{photo.filename}: {photo.like.sku} shows the same pack ({agree})", err=True)
        for barcode in added.barcodes_found:
            if barcode.sku != added.sku:
                said = f"belongs to {barcode.sku}" if barcode.sku else "is not kept: add it on the product's page"
                click.echo(f"the barcode {barcode.printed} was read from a photo, and {said}")
        click.echo(f"{added.sku}: {len(added.photos)} photos in {added.milliseconds:.0f} ms")


@main.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--quiet", is_flag=True, help="No progress bar.")
def import_(source: Path, quiet: bool) -> None:
    """Import SOURCE: a folder, SOURCE/<SKU>/*.jpg at any depth, or a CSV.

    Columns of a CSV: sku, photos, name, brand, category, barcode.

    What can't be used is reported and left out, and the exit status is then 1. A re-run adds nothing twice.
    """
    from catalog import importing

    items = importing.from_folder(source) if source.is_dir() else importing.from_csv(source)
    with _opened() as catalog, tqdm(total=sum(len(i.photos) for i in items), unit="photo", disable=quiet) as bar:
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


@main.command()
@click.argument("photos", nargs=-1, type=PhotoPath)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option(
    "--from", "list_file", type=click.File(), help="Read paths from a file, one a line (- for standard input)."
)
@click.option(
    "--explain",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Of one photo: write a picture of it beside the reference photo, matched details joined, to OUT.png.",
)
def recognize(photos: tuple[Path, ...], as_json: bool, list_file: Any, explain: Path | None) -> None:
    """Say which product each photo shows. A photo that can't be read is reported, and the exit status is then 1."""
    from catalog.recognize import recognize as recognize_photo

    paths = list(photos)
    if list_file is not None:
        paths += [Path(line.rstrip("\n")) for line in list_file if line.strip()]
    if not paths:
        raise click.UsageError("name photos, or a file that lists them by --from")
    if explain and len(paths) != 1:
        raise click.UsageError(f"--explain draws one photo, not {len(paths)}")
    failed = False
    with _opened() as catalog:
        for path in paths:
            try:
                data = path.read_bytes()
                answer = recognize_photo(catalog, data)
                found = answer.as_dict()
            except (OSError, ValueError, PhotoRejectedError) as error:  # ValueError: no path has a null character
                failed = True
                code = error.code if isinstance(error, PhotoRejectedError) else "unreadable"
                found = {"error": code, "detail": getattr(error, "strerror", None) or str(error)}
            if explain and "error" not in found:
                _draw(catalog, data, answer, explain)
            if as_json:
                click.echo(json.dumps({"photo": str(path), **found}))
            elif "error" in found:
                click.echo(f"{path}: {found['detail']}", err=True)
            else:
                best = ", ".join(f"{m['sku']} {m['score']:.3f}" for m in found["matches"][:3])
                by = f"by {found['decided_by']} in {found['milliseconds']:.0f} ms"
                click.echo(f"{path}: {found['decision']} ({best or 'nothing near'}) {by}")
    if failed:
        sys.exit(1)


def _draw(catalog: Catalog, data: bytes, answer: Recognition, out: Path) -> None:
    from catalog.explain import answer_picture

    picture = answer_picture(catalog, data, answer)
    if picture is None:
        click.echo(f"nothing to draw: no details decided, so {out} is not written", err=True)
        return
    try:
        picture.save(out)
    except ValueError as error:  # a name that ends like no kind of picture
        raise click.UsageError(f"--explain {out}: {error}") from error


@main.command("list")
@click.argument("search", default="")
def list_(search: str) -> None:
    """List products, or those whose SKU, name, brand or category contains SEARCH, or whose barcode it is."""
    from catalog import products

    with _opened() as catalog:
        after = ""
        while True:
            page = products.list_page(catalog, search=search, after=after, limit=500)
            for product in page.products:
                click.echo(f"{product.sku}\t{product.name}\t{len(product.photos)} photos")
            if page.next_key is None:
                break
            after = page.next_key


@main.command()
@click.argument("sku")
def retire(sku: str) -> None:
    """Retire a product: it is gone from the next answer; `catalog restore` brings it back."""
    from catalog import products

    with _opened() as catalog:
        products.set_active(catalog, sku, False, actor=ACTOR)


@main.command()
@click.argument("sku")
def restore(sku: str) -> None:
    """Bring a retired product back."""
    from catalog import products

    with _opened() as catalog:
        products.set_active(catalog, sku, True, actor=ACTOR)


@main.command("reembed")
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


@main.command()
@click.option("--repair", is_flag=True, help="Make again what can be made again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding, a line each.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def doctor(repair: bool, as_json: bool, quiet: bool) -> None:
    """Look at every stored photo and its details. Exit status 1 while something is not as it should be."""
    from catalog import doctor as examination
    from catalog import products

    findings = []
    with _opened() as catalog, tqdm(total=products.counts(catalog).photos, unit="photo", disable=quiet) as bar:
        for finding in examination.examine(catalog, repair=repair, progress=bar.update):
            findings.append(finding)
            line = f"{finding.sku}: {'mended: ' if finding.mended else ''}{finding.message}"
            click.echo(json.dumps(asdict(finding)) if as_json else line)
    mended = sum(finding.mended for finding in findings)
    if not as_json:
        click.echo(f"{len(findings)} findings, {mended} mended")
    if mended < len(findings):
        sys.exit(1)


@main.command()
def worker() -> None:
    """Do the jobs that others hand over, where CATALOG_JOBS names a broker."""
    from catalog import jobs

    jobs.work(Settings.from_env())


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--threads", default=8, show_default=True)
def serve(host: str, port: int, threads: int) -> None:
    """Serve the admin pages and the POS API."""
    # Replaced by the web package's own program: catalog/ knows nothing of Flask.
    for name, value in openblas.environment().items():
        os.environ.setdefault(name, value)
    arguments = ["--host", host, "--port", str(port), "--threads", str(threads)]
    os.execv(sys.executable, [sys.executable, "-m", "web", *arguments])  # noqa: S606 - no shell, own interpreter


@main.group()
def user() -> None:
    """Staff who may sign in."""


@user.command("add")
@click.argument("name")
@click.password_option(help="Asked for when not given.")
def user_add(name: str, password: str) -> None:
    """Add a member of the staff."""
    from catalog import accounts

    with _opened() as catalog:
        accounts.add_user(catalog, name, password, actor=ACTOR)


@user.command("password")
@click.argument("name")
@click.password_option(help="Asked for when not given.")
def user_password(name: str, password: str) -> None:
    """Set a new password."""
    from catalog import accounts

    with _opened() as catalog:
        accounts.set_password(catalog, name, password, actor=ACTOR)


@main.group()
def key() -> None:
    """Keys of tills."""


@key.command("create")
@click.argument("name")
def key_create(name: str) -> None:
    """Make a key and print it, this once."""
    from catalog import accounts

    with _opened() as catalog:
        click.echo(accounts.add_key(catalog, name, actor=ACTOR).key)


@key.command("list")
def key_list() -> None:
    """All keys, without their secret part."""
    from catalog import accounts

    with _opened() as catalog:
        for row in accounts.list_keys(catalog):
            state = f"revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else "active"
            click.echo(f"{row.id}\t{row.prefix}...\t{row.name}\t{state}")


@key.command("revoke")
@click.argument("key_id", type=int)
def key_revoke(key_id: int) -> None:
    """Make a key useless (its number is shown by `catalog key list`)."""
    from catalog import accounts

    with _opened() as catalog:
        accounts.revoke_key(catalog, key_id, actor=ACTOR)
