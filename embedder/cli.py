"""`embedder`: train, evaluate, calibrate and export model bundles.

TensorFlow is imported only by the commands that train; the others run on the base install.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from embedder import bundle as bundles
from embedder import images, report
from embedder.calibrate import calibrate as fit_thresholds
from embedder.errors import EmbedderError
from embedder.evaluate import embed_folder, embed_photos, split_references
from embedder.evaluate import evaluate as evaluate_bundle
from embedder.serve import Embedder

Folder = click.Path(exists=True, file_okay=False, path_type=Path)
BACKBONES = ("mobilenetv3large", "efficientnetlite0")


class _Group(click.Group):
    """Turns this package's errors into one line and exit status 1, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (EmbedderError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # `| head`: click ends quietly
            click.echo(f"embedder: {error}", err=True)
            sys.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Photo -> vector: train, judge and release the model that the catalog recognizes products by."""
    # Pillow warns of odd EXIF and odd sizes in photos that it reads all the same, or that are refused with a reason.
    warnings.filterwarnings("ignore", module="PIL")


class _Schedule(click.ParamType[tuple[tuple[int, int], ...]]):
    name = "SIZE:EPOCHS,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        try:
            stages = tuple((int(size), int(epochs)) for size, epochs in (s.split(":") for s in value.split(",")))
        except ValueError:
            self.fail(f"{value!r} is not like 128:20,192:10 (pixels:epochs)", param, ctx)
        if any(size < 32 or epochs < 1 for size, epochs in stages):
            self.fail("sizes start at 32 pixels, epochs at 1", param, ctx)
        return stages


def _train_parts() -> tuple[Any, Any]:
    """The modules that need TensorFlow, or one clear line about the extra that brings it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        from embedder import export, train
    except ModuleNotFoundError as error:
        raise EmbedderError(
            f"Training needs {error.name}: install the extra, pip install 'photo-catalog[train]' (Python 3.11)."
        ) from error
    return train, export


@main.command()
@click.argument("data", nargs=-1, required=True, type=Folder)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where the bundle goes.")
@click.option("--backbone", default="mobilenetv3large", show_default=True, type=click.Choice(BACKBONES))
@click.option("--weights", default="imagenet", show_default=True, help="Start: imagenet, none, or an .npz of arrays.")
@click.option("--head", default="pooled", show_default=True, type=click.Choice(("pooled", "flatten")))
@click.option("--dim", default=256, show_default=True, type=click.IntRange(2), help="Length of a vector.")
@click.option("--schedule", default="224:50", show_default=True, type=_Schedule(), help="Stages: pixels:epochs,...")
@click.option(
    "--serve-size", type=click.IntRange(32), help="Pixels a side when serving; the last stage's when not given."
)
@click.option("-p", "--p", default=16, show_default=True, type=click.IntRange(2), help="SKUs in a batch.")
@click.option("-k", "--k", default=4, show_default=True, type=click.IntRange(2), help="Photos of each SKU in a batch.")
@click.option(
    "--lr",
    default=1e-4,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Highest learning rate (warm-up, then cosine).",
)
@click.option("--margin", default=1.0, show_default=True, help="Margin of the triplet loss, with --hard-margin.")
@click.option("--soft/--hard-margin", default=True, show_default=True, help="Soft margin: log(1 + exp(d_ap - d_an)).")
@click.option(
    "--softmax",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Weight of a cosine softmax beside the triplet loss.",
)
@click.option(
    "--mix",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of steps with photos mixed in pairs (--softmax).",
)
@click.option(
    "--average",
    default=0.998,
    show_default=True,
    type=click.FloatRange(0, 1, max_open=True),
    help="Decay of the averaged weights, which are served.",
)
@click.option("--seed", default=1, show_default=True)
@click.option("--work", type=click.Path(path_type=Path), help="Checkpoints and log.  [default: OUT.work]")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in the work folder.")
@click.option("--val", type=Folder, help="Photos to judge by, against the first DATA folder as the gallery.")
@click.option("--val-every", default=5, show_default=True, type=click.IntRange(1), help="Epochs between judgements.")
@click.option("--name", help="Name of the bundle.  [default: the backbone's]")
@click.option("--version", default="1", show_default=True, help="Version of the bundle.")
@click.option("--note", "notes", multiple=True, help="A line for the model card (the data's source and licence, say).")
def train(
    data: tuple[Path, ...],
    out: Path,
    work: Path | None,
    resume: bool,
    val: Path | None,
    val_every: int,
    name: str | None,
    version: str,
    notes: tuple[str, ...],
    **settings: Any,
) -> None:
    """Train on photo folders (the folder that holds a photo is its SKU) and write a bundle.

    Example: embedder train photos/ --weights imagenet --out my-bundle
    """
    training, exporting = _train_parts()
    bundles.check_place(out)
    work = work or out.absolute().with_name(f"{out.absolute().name}.work")
    config = training.TrainConfig(data=tuple(map(str, data)), **settings)
    judge = training.make_judge(data[0], val, config.size) if val else None
    trainer = training.prepare(config, work, resume=resume, say=lambda line: click.echo(line, err=True))
    trainer.run(judge=judge, judge_every=val_every)
    made = exporting.export_trainer(trainer, out, name=name, version=version, notes=notes)
    click.echo(f"{out}: bundle {made.id}, {made.model_path.stat().st_size / 1e6:.1f} MB, {made.dim} wide")


@main.command()
@click.argument("work", type=Folder)
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option("--name", help="Name of the bundle.  [default: the backbone's]")
@click.option("--version", default="1", show_default=True, help="Version of the bundle.")
@click.option("--note", "notes", multiple=True, help="A line for the model card (the data's source and licence, say).")
def export(work: Path, out: Path, name: str | None, version: str, notes: tuple[str, ...]) -> None:
    """Write the bundle of a training's newest checkpoint (WORK: the work folder of `embedder train`)."""
    _, exporting = _train_parts()
    made = exporting.export_work(work, out, name=name, version=version, notes=notes)
    click.echo(f"{out}: bundle {made.id}, {made.model_path.stat().st_size / 1e6:.1f} MB, {made.dim} wide")


@main.command()
@click.argument("bundle", type=Folder)
@click.option("--gallery", required=True, type=Folder, help="Reference photos, a folder a SKU.")
@click.option("--queries", required=True, type=Folder, help="Photos to recognize, a folder a SKU.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def evaluate(bundle: Path, gallery: Path, queries: Path, as_json: bool) -> None:
    """Measure how well a bundle recognizes: top-1, top-5 and the seconds it takes."""
    figures = evaluate_bundle(Embedder.open(bundle), gallery, queries)
    if as_json:
        click.echo(json.dumps(figures.as_dict()))
        return
    click.echo(f"bundle   {figures.bundle}")
    click.echo(f"top-1    {figures.top1:.3f}")
    click.echo(f"top-5    {figures.top5:.3f}")
    click.echo(f"gallery  {figures.gallery} photos of {figures.skus} SKUs in {figures.seconds_gallery:.1f} s")
    click.echo(f"queries  {figures.queries} photos in {figures.seconds_queries:.1f} s")
    if figures.queries_without_sku:
        click.echo(f"note     {figures.queries_without_sku} queries are of SKUs that the gallery does not hold")
    for line in figures.broken:
        click.echo(f"skipped  {line}", err=True)


@main.command()
@click.argument("bundle", type=Folder)
@click.option("--gallery", type=Folder, multiple=True, help="Reference photos, a folder a SKU.")
@click.option("--queries", type=Folder, multiple=True, help="Photos to recognize, for the --gallery at the same place.")
@click.option(
    "--alone", type=Folder, multiple=True, help="A set of its own: some photos of each SKU enrolled, the rest ask."
)
@click.option(
    "--references",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Photos of each SKU that are enrolled with --alone.",
)
@click.option(
    "--false-accept",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of unknown products that may pass.",
)
@click.option(
    "--wrong",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of matches that may name a wrong SKU.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write there instead of changing BUNDLE.")
def calibrate(
    bundle: Path,
    gallery: tuple[Path, ...],
    queries: tuple[Path, ...],
    alone: tuple[Path, ...],
    references: int,
    false_accept: float,
    wrong: float,
    out: Path | None,
) -> None:
    """Set a bundle's thresholds: what score and what margin make a match.

    Every set weighs the same, however many photos it has; one of products that the model never saw (--alone) keeps the
    thresholds honest. They are part of what a bundle is: it gets a new id.
    """
    if len(gallery) != len(queries) or not gallery + alone:
        raise click.UsageError("give --gallery and --queries in pairs, or --alone")
    bundles.check_place(out or bundle)
    embedder = Embedder.open(bundle)
    pairs = [(embed_folder(embedder, g), embed_folder(embedder, q)) for g, q in zip(gallery, queries, strict=True)]
    for folder in alone:
        known, asked = split_references(images.find_photos(folder), references)
        pairs.append((embed_photos(embedder, known), embed_photos(embedder, asked)))
    thresholds, rates = fit_thresholds(pairs, false_accept=false_accept, wrong=wrong)
    old = embedder.bundle
    made = bundles.write_bundle(
        out or bundle,
        old.model_path.read_bytes(),
        name=old.name,
        version=old.version,
        dim=old.dim,
        size=old.size,
        views=old.views,
        thresholds=thresholds,
        training={**old.training, "calibration": asdict(rates)},
    )
    curves = made.path / report.CURVES_FILE
    if not curves.exists() and (old.path / curves.name).is_file():
        shutil.copy(old.path / curves.name, curves)
    report.write_card(made)
    click.echo(f"score {thresholds.score:.3f}, margin {thresholds.margin:.3f}: bundle {made.id}")
    for key, value in asdict(rates).items():
        click.echo(f"{key:22} {value:.3f}" if isinstance(value, float) else f"{key:22} {value}")


@main.command()
@click.argument("bundle", type=Folder, required=False)
def info(bundle: Path | None) -> None:
    """Show and verify a bundle (the released one when none is named)."""
    found = bundles.load_bundle(bundle or bundles.RELEASED)
    click.echo(f"{found.name} {found.version}, bundle {found.id}, {found.model_path.stat().st_size / 1e6:.1f} MB")
    click.echo(f"photos of {found.size} px ({' and '.join(found.views)}) -> vectors of {found.dim}")
    click.echo(f"a match needs score {found.thresholds.score:.3f} and margin {found.thresholds.margin:.3f}")
    for key, value in sorted(found.training.items()):
        click.echo(f"{key:22} {value}")
