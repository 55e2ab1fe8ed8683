"""`embedder adapt`: a bundle for many products of one picture each; its modules need TensorFlow."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from embedder import bundle as bundles
from embedder.cli.training import Photos, require_tensorflow
from embedder.training.recipe import BACKBONES


@click.command()
@click.argument("data", nargs=-1, required=True, type=Photos)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where the bundle goes.")
@click.option("--backbone", default="efficientnetlite0", show_default=True, type=click.Choice(BACKBONES))
@click.option(
    "--weights",
    default="released",
    show_default=True,
    help="Start: imagenet, released, a bundle's folder, or an .npz of arrays.",
)
@click.option("--toward", help="Start --share of the way to these: released, a folder or an .npz (WiSE-FT).")
@click.option("--share", default=0.7, show_default=True, type=click.FloatRange(0, 1), help="See --toward.")
@click.option(
    "--frozen-until",
    default="block5c_add",
    show_default=True,
    metavar="LAYER",
    help="The last layer that stays as it starts, by Keras's name.",
)
@click.option("--dim", default=256, show_default=True, type=click.IntRange(2), help="Length of a vector.")
@click.option("--size", default=160, show_default=True, type=click.IntRange(32), help="Pixels a side in training.")
@click.option("--serve-size", default=192, show_default=True, type=click.IntRange(32), help="And when serving.")
@click.option(
    "--views", default=3, show_default=True, type=click.IntRange(2), help="Views of a photo: itself, synthetic."
)
@click.option("--steps", default=2500, show_default=True, type=click.IntRange(0), help="0: a new Dense layer alone.")
@click.option(
    "-p", "--p", default=64, show_default=True, type=click.IntRange(2), help="SKUs in a batch, two views each."
)
@click.option("--lr", default=3e-4, show_default=True, type=click.FloatRange(0, min_open=True), help="Highest rate.")
@click.option(
    "--temperature",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Of the contrastive loss.",
)
@click.option(
    "--keep",
    default=0.2,
    show_default=True,
    type=click.FloatRange(0),
    help="Weight of distillation from the start.",
)
@click.option(
    "--average",
    default=0.98,
    show_default=True,
    type=click.FloatRange(0, 1, max_open=True),
    help="Decay of the averaged weights, which are served.",
)
@click.option(
    "--back",
    default=0.3,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="After the training, go this share of the way to --toward.",
)
@click.option("--leave-out", multiple=True, metavar="SET", help="A set not to train on, by its folder's name.")
@click.option(
    "--each-left-out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="First measure with each set left out in turn; the figures go there (JSON).",
)
@click.option("--arrays", type=click.Path(dir_okay=False, path_type=Path), help="Write the arrays, too.")
@click.option("--seed", default=1, show_default=True)
@click.option("--work", type=click.Path(path_type=Path), help="Cached activations.  [default: OUT.work]")
@click.option("--name", help="Name of the bundle.  [default: the backbone's]")
@click.option("--version", default="1", show_default=True, help="Version of the bundle.")
@click.option("--note", "notes", multiple=True, help="A line for the model card (the data's source and licence, say).")
def adapt(
    data: tuple[Path, ...],
    out: Path,
    backbone: str,
    weights: str,
    toward: str | None,
    share: float,
    leave_out: tuple[str, ...],
    each_left_out: Path | None,
    arrays: Path | None,
    work: Path | None,
    name: str | None,
    version: str,
    notes: tuple[str, ...],
    **settings: Any,
) -> None:
    """Adapt a network to many products of one picture each, and write a bundle.

    DATA: folders, or split files (.txt), each a set. The blocks above --frozen-until learn from synthetic views of
    every photo, which are kept as activations of the blocks below: the first command takes its time for them, others
    with the same --work do not. What the start knew is kept by distillation, and the Dense layer is fitted in closed
    form.

    Example: embedder adapt photos/ more-photos/ --weights imagenet.npz --toward released --out my-bundle
    """
    require_tensorflow()
    from embedder.adaptation.adapting import Adaptation
    from embedder.adaptation.upper_blocks import AdaptationConfig
    from embedder.networks.weights import save_arrays

    bundles.check_place(out)
    adaptation = Adaptation(
        data,
        work or out.absolute().with_name(f"{out.absolute().name}.work"),
        AdaptationConfig(**settings),
        backbone=backbone,
        start=weights,
        toward=toward,
        share=share,
        say=lambda line: click.echo(line, err=True),
        quiet=False,
    )
    adaptation.without(leave_out)
    if each_left_out:
        found = adaptation.evaluate_each(lambda one: click.echo(_line(asdict(one))))
        each_left_out.write_text(json.dumps([asdict(one) for one in found], indent=2) + "\n")
    made = adaptation.write(out, leave_out=leave_out, name=name, version=version, notes=notes)
    if arrays:
        save_arrays(adaptation.network, arrays)
    click.echo(f"{out}: bundle {made.id}, {made.model_path.stat().st_size / 1e6:.1f} MB, {made.dim} wide")


def _line(one: dict[str, Any]) -> str:
    asked = "photos" if one["photos"] else "synthetic views"
    return (
        f"{one['dataset']} left out: top-1 {one['start']:.1%} before, {one['adapted']:.1%} after "
        f"({one['products']:,} products, {one['queries']:,} {asked})"
    )
