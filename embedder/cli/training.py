"""`embedder train|export|compare`: the commands that need TensorFlow, each of which imports it when run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from embedder import bundle as bundles
from embedder import datasets
from embedder.datasets import left_out
from embedder.errors import EmbedderError
from embedder.training.recipe import BACKBONES, DISTANCES, LOSSES, PRECISIONS, TrainConfig, read_toml

Folder = click.Path(exists=True, file_okay=False, path_type=Path)
#: Files that are no photos or are of a system, and SKUs of several folders, that are named of a folder, at most.
NAMED = 3


class PhotosPath(click.Path):
    """A photo folder or a split file. What a folder holds besides photos is told on stderr, before the command runs."""

    def __init__(self) -> None:
        super().__init__(exists=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        for line in what_is_left_out(path):
            click.echo(line, err=True)
        return path


def what_is_left_out(root: Path) -> list[str]:
    """A line for each thing below a photo folder that gives no photo. Raises like datasets.scan_photos."""
    found = datasets.scan_photos(root)
    lines = [f"left out  {left}" for left in found.left_out]
    lines += [f"note      {line}" for line in found.joined[:NAMED]]
    if (more_skus := len(found.joined) - NAMED) > 0:
        lines.append(f"note      {root}: {more_skus:,} more SKUs come from several folders")
    no_photos = [left.place for left in found.no_photos]
    for places, what in (
        (no_photos, "files that are no photos"),
        (found.system, "hidden and system files and folders"),
    ):
        if places:
            more = ", ..." if len(places) > NAMED else ""
            lines.append(f"note      {root}: {len(places):,} {what}: {', '.join(places[:NAMED])}{more}")
    return lines


Photos = PhotosPath()


class _Schedule(click.ParamType[tuple[tuple[int, int], ...]]):
    name = "SIZE:EPOCHS,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        try:
            stages = tuple((int(size), int(epochs)) for size, epochs in (s.split(":") for s in value.split(",")))
        except (ValueError, AttributeError):  # a TOML file may give anything
            self.fail(f"{value!r} is not like 128:20,192:10 (pixels:epochs)", param, ctx)
        if any(size < 32 or epochs < 1 for size, epochs in stages):
            self.fail("sizes start at 32 pixels, epochs at 1", param, ctx)
        return stages


class _List(click.ParamType[tuple[Any, ...]]):
    """Comma-separated values of another type, without duplicates."""

    def __init__(self, item: click.ParamType[Any]) -> None:
        self.item = item
        self.name = "A,B,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        return tuple(dict.fromkeys(self.item.convert(item, param, ctx) for item in value.split(",")))


def require_tensorflow() -> None:
    """Import the modules that need TensorFlow. Raises EmbedderError, naming the extra to install."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # TensorFlow enables oneDNN by itself only on AVX-512 CPUs; on AVX2, too, it cuts a step to 0.6 of the time.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        from embedder.training import export  # noqa: F401 - imports all of them
    except ModuleNotFoundError as error:
        raise EmbedderError(
            f"Training needs {error.name}: install the extra, pip install 'photo-catalog[train]' (Python 3.11)."
        ) from error


def _read_recipe(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Options of a TOML file override the defaults; the command line overrides both."""
    if value is not None:
        found = read_toml(value)
        # Named as on the command line: --note is the parameter `notes`.
        params = ctx.command.params
        known = {word.lstrip("-").replace("-", "_"): str(option.name) for option in params for word in option.opts}
        known = {word: name for word, name in known.items() if name not in ("config", "data", "out")}
        if strange := sorted(set(found) - set(known)):
            raise click.BadParameter(f"{value}: there is no option --{strange[0].replace('_', '-')}", ctx, param)
        ctx.default_map = {**(ctx.default_map or {}), **{known[word]: setting for word, setting in found.items()}}
    return value


@click.command()
@click.argument("data", nargs=-1, required=True, type=Photos)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where the bundle goes.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_read_recipe,
    help="A TOML file of these options, by their names.",
)
@click.option("--backbone", default="mobilenetv3large", show_default=True, type=click.Choice(BACKBONES))
@click.option(
    "--weights", default="imagenet", show_default=True, help="Start: imagenet, released, none, or an .npz of arrays."
)
@click.option("--head", default="pooled", show_default=True, type=click.Choice(("pooled", "flatten")))
@click.option("--dim", default=256, show_default=True, type=click.IntRange(2), help="Length of a vector.")
@click.option("--schedule", default="224:50", show_default=True, type=_Schedule(), help="Stages: pixels:epochs,...")
@click.option(
    "--serve-size", type=click.IntRange(32), help="Pixels a side when serving; the last stage's when not given."
)
@click.option("-p", "--p", default=16, show_default=True, type=click.IntRange(2), help="SKUs in a batch.")
@click.option("-k", "--k", default=4, show_default=True, type=click.IntRange(2), help="Photos of each SKU in a batch.")
@click.option(
    "--balance",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="A SKU of n photos is drawn with a chance as n to this power; 0: all alike.",
)
@click.option(
    "--split",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 0.9),
    help="Share of each SKU's photos, by the seed, kept to judge by (the paper: 0.2).",
)
@click.option(
    "--leave-out",
    help="SKUs not to train on, to judge by: a file of names, or how many of each DATA folder (16,0,20), by the seed.",
)
@click.option(
    "--freeze",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Epochs, the first, in which the head alone learns and the backbone stays as it started.",
)
@click.option(
    "--lr",
    default=1e-4,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Highest learning rate (warm-up, then cosine).",
)
@click.option(
    "--loss",
    default="batch-hard",
    show_default=True,
    type=click.Choice(LOSSES),
    help="Triplet loss, or the classification that the paper argues against.",
)
@click.option(
    "--distance",
    default="squared-L2",
    show_default=True,
    type=click.Choice(DISTANCES),
    help="Of two vectors in a triplet; angular: 1 - cosine.",
)
@click.option(
    "--margin",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Margin of the triplet loss, with --hard-margin or semi-hard; of what the log calls semi-hard, always.",
)
@click.option(
    "--soft/--hard-margin",
    default=True,
    show_default=True,
    help="Soft margin of batch-hard: log(1 + exp(d_ap - d_an)).",
)
@click.option(
    "--mine-every",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Mine triplets offline every so many steps; 0: in each batch.",
)
@click.option(
    "--mine-photos", default=1000, show_default=True, type=click.IntRange(4), help="Photos to mine offline among."
)
@click.option(
    "--softmax",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Weight of a cosine softmax beside the loss.",
)
@click.option(
    "--mix",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of steps with photos mixed in pairs (--softmax, --teacher, cross-entropy).",
)
@click.option("--teacher", help="Match its vectors, too: a bundle, released, or an .npz of arrays of this backbone.")
@click.option("--teaching", type=click.FloatRange(0), help="Weight of the teacher's loss.  [default: 1 with --teacher]")
@click.option(
    "--average",
    default=0.998,
    show_default=True,
    type=click.FloatRange(0, 1, max_open=True),
    help="Decay of the averaged weights, which are served.",
)
@click.option(
    "--precision",
    default="auto",
    show_default=True,
    type=click.Choice(PRECISIONS),
    help="mixed: float16, the loss scaled; auto: mixed where there is a GPU (and XLA there).",
)
@click.option("--seed", default=1, show_default=True)
@click.option("--work", type=click.Path(path_type=Path), help="Checkpoints and log.  [default: OUT.work]")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in the work folder.")
@click.option("--strict", is_flag=True, help="Stop at a broken photo, or one that is left out, instead of skipping it.")
@click.option("--val", type=Photos, help="Photos to judge by, against the first DATA folder as the gallery.")
@click.option("--val-every", default=5, show_default=True, type=click.IntRange(1), help="Epochs between judgements.")
@click.option(
    "--tensorboard",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the log there, too, for TensorBoard.",
)
@click.option("--name", help="Name of the bundle.  [default: the backbone's]")
@click.option("--version", default="1", show_default=True, help="Version of the bundle.")
@click.option("--note", "notes", multiple=True, help="A line for the model card (the data's source and licence, say).")
def train(
    data: tuple[Path, ...],
    out: Path,
    leave_out: str | None,
    teaching: float | None,
    work: Path | None,
    resume: bool,
    strict: bool,
    val: Path | None,
    val_every: int,
    tensorboard: Path | None,
    name: str | None,
    version: str,
    notes: tuple[str, ...],
    **settings: Any,
) -> None:
    """Train on photos (the folder that holds a photo is its SKU) and write a bundle.

    DATA: folders, or split files (.txt) that name a photo a line.

    Example: embedder train photos/ --weights imagenet --out my-bundle
    """
    require_tensorflow()
    from embedder.training import export as exporting
    from embedder.training import work_folder
    from embedder.training.validation import make_validation

    bundles.check_place(out)
    work = work or out.absolute().with_name(f"{out.absolute().name}.work")
    config = TrainConfig(
        data=tuple(map(str, data)),
        left_out=left_out(leave_out, data, settings["seed"]) if leave_out else (),
        teaching=teaching if teaching is not None else float(bool(settings["teacher"])),
        **settings,
    )
    trainer = work_folder.prepare(
        config, work, resume=resume, say=lambda line: click.echo(line, err=True), strict=strict, quiet=False
    )
    validate = None
    if val:
        validate = make_validation(datasets.find_photos(data[0]), datasets.find_photos(val), config.size)
    elif config.split:
        _, kept, _ = work_folder.split_photos(config)
        validate = make_validation(trainer.batches.photos, kept, config.size)
    trainer.run(validate=validate, validate_every=val_every, board=tensorboard)
    made = exporting.export_trainer(trainer, out, name=name, version=version, notes=notes)
    click.echo(f"{out}: bundle {made.id}, {made.model_path.stat().st_size / 1e6:.1f} MB, {made.dim} wide")


@click.command()
@click.argument("work", type=Folder)
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option("--name", help="Name of the bundle.  [default: the backbone's]")
@click.option("--version", default="1", show_default=True, help="Version of the bundle.")
@click.option("--note", "notes", multiple=True, help="A line for the model card (the data's source and licence, say).")
@click.option(
    "--arrays", type=click.Path(dir_okay=False, path_type=Path), help="Write the arrays, too: --weights of others."
)
def export(work: Path, out: Path, name: str | None, version: str, notes: tuple[str, ...], arrays: Path | None) -> None:
    """Write the bundle of a training's newest checkpoint (WORK: the work folder of `embedder train`)."""
    require_tensorflow()
    from embedder.training import export as exporting

    made = exporting.export_work(work, out, name=name, version=version, notes=notes, arrays=arrays)
    click.echo(f"{out}: bundle {made.id}, {made.model_path.stat().st_size / 1e6:.1f} MB, {made.dim} wide")


@click.command()
@click.argument("data", nargs=-1, required=True, type=Photos)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the results and the trainings.")
@click.option("--val", type=Photos, help="Photos to judge by; DATA is the gallery.")
@click.option(
    "--split",
    type=click.FloatRange(0, 0.9, min_open=True),
    help="Or: the share of each SKU's photos, by the seed, kept to judge by.  [default: 0.2]",
)
@click.option(
    "--backbones",
    default=",".join(BACKBONES),
    show_default=True,
    type=_List(click.Choice(BACKBONES)),
    help="Networks to compare.",
)
@click.option("--heads", default="pooled", show_default=True, type=_List(click.Choice(("pooled", "flatten"))))
@click.option("--dims", default="256", show_default=True, type=_List(click.IntRange(2)), help="Lengths of a vector.")
@click.option(
    "--weights",
    "starts",
    multiple=True,
    metavar="[NAME=]START",
    help="Start of all, or of one: imagenet, released, none, or an .npz of arrays.  [default: imagenet]",
)
@click.option("--schedule", default="96:10", show_default=True, type=_Schedule(), help="Stages: pixels:epochs,...")
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="To each network the minutes, not the epochs: the schedule is scaled to fit.",
)
@click.option("-p", "--p", default=16, show_default=True, type=click.IntRange(2), help="SKUs in a batch.")
@click.option("-k", "--k", default=4, show_default=True, type=click.IntRange(2), help="Photos of each SKU in a batch.")
@click.option("--lr", default=1e-4, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--softmax", default=0.0, show_default=True, type=click.FloatRange(0))
@click.option("--seed", default=1, show_default=True)
def compare(
    data: tuple[Path, ...],
    out: Path,
    val: Path | None,
    split: float | None,
    backbones: tuple[str, ...],
    heads: tuple[str, ...],
    dims: tuple[int, ...],
    starts: tuple[str, ...],
    minutes: float | None,
    **settings: Any,
) -> None:
    """Train several networks under one budget and measure what each is worth: accuracy, milliseconds, size.

    The same command goes on where it was stopped; with more networks, it adds them.
    """
    if val and split:
        raise click.UsageError("give --val or --split, not both")
    require_tensorflow()
    from embedder.comparison import comparing

    start = comparing.read_starts(starts, backbones)
    networks = [comparing.Network(name, head, dim, start[name]) for name in backbones for head in heads for dim in dims]
    base = TrainConfig(data=tuple(map(str, data)), split=0.0 if val else split or 0.2, **settings)
    comparing.compare(base, networks, out, val=val, minutes=minutes, say=lambda line: click.echo(line, err=True))
    click.echo((out / comparing.TABLE_FILE).read_text(encoding="utf-8"), nl=False)
