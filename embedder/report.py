"""The model card and the curves picture that lie beside a bundle, made from what the bundle says of its training."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from embedder.bundle import Bundle

CARD_FILE = "CARD.md"
CURVES_FILE = "curves.png"
#: Settings of a training that `embedder train` takes as `--name value`; the others need more than their name.
PLAIN = (
    "backbone",
    "weights",
    "head",
    "dim",
    "serve_size",
    "p",
    "k",
    "lr",
    "margin",
    "softmax",
    "mix",
    "average",
    "seed",
)


def command(training: dict[str, Any]) -> str:
    """The `embedder train` that a bundle came from, every setting spelled out, its folders and files by name only."""
    words = ["embedder", "train", *(one["name"] for one in training["sets"])]
    for key in PLAIN:
        if training[key] is not None:
            words += [f"--{key.replace('_', '-')}", str(training[key])]
    words += ["--schedule", ",".join(f"{size}:{epochs}" for size, epochs in training["schedule"])]
    words += ["--soft" if training["soft"] else "--hard-margin", "--out", "BUNDLE"]
    return shlex.join(words)


def write_card(bundle: Bundle) -> Path:
    """Write the model card into the bundle's folder; it is no part of the bundle's hash."""
    path = bundle.path / CARD_FILE
    path.write_text("\n".join(_card(bundle)) + "\n", encoding="utf-8")
    return path


def _card(bundle: Bundle) -> Iterator[str]:
    yield f"# {bundle.name} {bundle.version}"
    yield ""
    yield f"Bundle `{bundle.id}`: a photo ({' and '.join(bundle.views)}, {bundle.size} x {bundle.size} pixels each, its"
    yield f"shape kept) becomes a vector of {bundle.dim} numbers and unit length, the mean of its views."
    yield ""
    yield "## What it is for"
    yield ""
    yield "Recognizing products by photo: the vector of a query photo is compared, by cosine, with those of reference"
    yield "photos, and the nearest one's SKU is the answer. A product is added by its photos, without another training."
    yield "Vectors of different bundles do not compare."
    if "sets" in bundle.training:
        yield from _training(bundle.training)
        yield from _figures(bundle)
    yield from _thresholds(bundle)
    yield ""
    yield "## Limits"
    yield ""
    yield "- It judges looks. Packs that differ by small print alone (a size, a flavor) lie close together."
    yield f"- It sees {bundle.size} pixels a side: a product should fill a good part of the photo, and be alone in it."
    yield "- Figures hold for photos like those they were measured on. For other shops, cameras or products:"
    yield "  `embedder evaluate`, then `embedder calibrate`, with photos of your own."


def _training(training: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield "## How it was trained"
    yield ""
    yield "| data | photos | SKUs |"
    yield "|---|---|---|"
    for one in training["sets"]:
        yield f"| {one['name']} | {one['photos']:,} | {one['skus']:,} |"
    yield f"| together | {training['photos']:,} | {training['skus']:,} |"
    yield ""
    yield from (f"- {note}" for note in training["notes"])
    yield f"- Start: {training['backbone']}, weights `{training['weights']}`, {training['head']} head"
    yield f"- Loss: {_loss(training)}"
    stages = ", ".join(f"{epochs} at {size} px" for size, epochs in training["schedule"])
    yield f"- Schedule: epochs {stages}; {training['steps']:,} steps of {training['p']} SKUs x {training['k']} photos"
    yield f"- Adam, learning rate up to {training['lr']:g} (warm-up, then cosine); seed {training['seed']}"
    yield f"- Served: the moving average of the weights, decay {training['average']:g}"
    yield f"- Date: {training['date']}"
    yield ""
    yield "```"
    yield command(training)
    yield "```"


def _loss(training: dict[str, Any]) -> str:
    kind = "soft margin" if training["soft"] else f"margin {training['margin']:g}"
    loss = f"batch-hard triplet ({kind})"
    if training["softmax"]:
        loss += f" + {training['softmax']:g} x cosine softmax"
    if training["mix"]:
        loss += f", {training['mix']:.0%} of the steps with photos mixed in pairs"
    return loss


def _figures(bundle: Bundle) -> Iterator[str]:
    yield ""
    yield "## Figures"
    yield ""
    if (bundle.path / CURVES_FILE).is_file():
        yield f"![Loss and validation by epoch]({CURVES_FILE})"
        yield ""
    judged = bundle.training["figures_by_epoch"]
    if not judged:
        yield "None were taken while training (no `--val`)."
        return
    yield "Share of the validation photos whose nearest photo in the first data set is of their SKU (whole view alone):"
    yield ""
    yield "| epoch | val top-1 |"
    yield "|---|---|"
    for epoch, figures in judged:
        yield f"| {epoch} | {figures['val_top1']:.1%} |"


def _thresholds(bundle: Bundle) -> Iterator[str]:
    limits = bundle.thresholds
    yield ""
    yield "## Thresholds"
    yield ""
    yield f"A match needs a cosine of {limits.score:.4f} and a margin of {limits.margin:.4f} over the second SKU."
    rates = bundle.training.get("calibration")
    if rates is None:
        yield "They are defaults, not fitted: run `embedder calibrate`."
        return
    yield f"Fitted on {rates['queries']:,} query photos, each asked with its SKU in the gallery and with it taken out:"
    yield ""
    yield f"- known products matched and right: {rates['matched']:.1%}"
    yield f"- wrong SKU among the matches: {rates['wrong']:.1%}"
    yield f"- unknown products accepted: {rates['false_accept']:.1%}; told unknown: {rates['unknown_told']:.1%}"


def draw_curves(log: list[dict[str, Any]], path: Path) -> None:
    """The log of a training (train.read_log) -> a small PNG: losses and validation top-1 by epoch.

    Needs matplotlib (extra `train`).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    losses, top = figure.subplots(1, 2)
    epochs = [entry["epoch"] for entry in log]
    for key in ("triplet", "softmax"):
        if any(entry[key] for entry in log):
            losses.plot(epochs, [entry[key] for entry in log], label=key)
    losses.set(xlabel="epoch", title="loss")
    losses.set_ylim(bottom=0)
    if losses.lines:
        losses.legend()
    judged = [(entry["epoch"], entry["figures"]["val_top1"]) for entry in log if entry["figures"]]
    top.plot([epoch for epoch, _ in judged], [share for _, share in judged], marker="o", markersize=3)
    top.set(xlabel="epoch", title="val top-1")
    for axes in (losses, top):
        axes.grid(alpha=0.3)
    figure.savefig(path)
