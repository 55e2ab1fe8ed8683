"""The training log: a JSON line for each epoch in the work folder, and optionally scalars for TensorBoard."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from embedder.training.mining import TripletShares

LOG_FILE = "log.jsonl"
#: The parts of a loss, in the order in which a step gives them.
PARTS = ("triplet", "cross_entropy", "softmax", "taught")


@dataclass
class EpochLog:
    """One epoch in the training's log.

    loss and its parts (triplet, cross_entropy, softmax, taught): means over its steps. shares: of the easy, semi_hard
    and hard triplets, means over the steps whose photos were not mixed; empty when all were. rate: the last step's
    learning rate. figures: of the validation, if any. frozen: whether the head alone was trained.
    """

    epoch: int
    step: int
    size: int
    loss: float
    triplet: float
    cross_entropy: float
    softmax: float
    taught: float
    rate: float
    images_per_second: float
    seconds: float
    shares: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    frozen: bool = False


class EpochSums:
    """Accumulates the steps of an epoch; the log gets the means."""

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._shares: list[TripletShares] = []
        self._photos = 0
        self._began = time.monotonic()

    def add(self, parts: Any, shares: TripletShares | None, photos: int) -> None:
        """Add a step: its parts of the loss [4] as in PARTS, shares of its triplets if any, its number of photos."""
        self._parts.append(parts)
        self._photos += photos
        if shares is not None:
            self._shares.append(shares)

    @property
    def parts(self) -> Any:
        """Mean parts of the loss, float64 [4]."""
        return np.mean(self._parts, axis=0, dtype=np.float64)

    @property
    def named_parts(self) -> dict[str, Any]:
        """The same by their names."""
        return dict(zip(PARTS, map(float, self.parts), strict=True))

    @property
    def shares(self) -> dict[str, float]:
        """Mean shares of the triplets; empty when no step had any."""
        names = asdict(self._shares[0]) if self._shares else ()
        return {name: float(np.mean([getattr(one, name) for one in self._shares])) for name in names}

    @property
    def seconds(self) -> float:
        """Since the epoch began."""
        return time.monotonic() - self._began

    @property
    def images_per_second(self) -> float:
        """Training throughput, without validation and checkpoints."""
        return self._photos / self.seconds


def write_line(work: Path, line: EpochLog) -> None:
    """Append a line to the log of a work folder. Raises OSError."""
    with (work / LOG_FILE).open("a+b") as log:
        if log.tell() > 0:
            log.seek(-1, 2)
            # A last line truncated by a kill or a full disk must not corrupt this one.
            if log.read(1) != b"\n":
                log.write(b"\n")
        log.write(json.dumps(asdict(line), allow_nan=False).encode() + b"\n")


def read_log(work: Path) -> list[dict[str, Any]]:
    """The log of a work folder, one dict for each epoch: its last line (an epoch retrained or validated has several).

    A truncated line is ignored: its epoch was trained again, or will be.
    """
    path = work / LOG_FILE
    if not path.is_file():
        return []
    lines: dict[int, dict[str, Any]] = {}
    for text in path.read_text().splitlines():
        try:
            entry = json.loads(text)
        except ValueError:
            continue
        lines[entry["epoch"]] = entry
    return [lines[epoch] for epoch in sorted(lines)]


def tensorboard(folder: Path) -> Callable[[EpochLog], None]:
    """A writer of log lines to a TensorBoard folder, by training step. Imports TensorFlow; it brings TensorBoard."""
    import tensorflow as tf

    board = tf.summary.create_file_writer(str(folder))

    def write(line: EpochLog) -> None:
        scalars = {
            "loss": line.loss,
            "loss/triplet": line.triplet,
            "loss/cross_entropy": line.cross_entropy,
            "loss/softmax": line.softmax,
            "loss/taught": line.taught,
            "speed/images_per_second": line.images_per_second,
            "rate": line.rate,
            **{f"triplets/{name}": value for name, value in line.shares.items()},
            **{f"figures/{name}": value for name, value in line.figures.items()},
        }
        with board.as_default(step=line.step):
            for name, value in scalars.items():
                tf.summary.scalar(name, value)
        board.flush()

    return write


def draw_curves(log: list[dict[str, Any]], path: Path) -> None:
    """Plot a training log (read_log) as a small PNG: losses, shares of triplets, and validation top-1 by epoch.

    Without shares (an older log, or mixed photos alone) their panel is omitted. Needs matplotlib (extra `train`).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mined = [entry for entry in log if entry.get("shares")]
    figure = Figure(figsize=(10, 3) if mined else (8, 3), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    losses, *triplets, top = figure.subplots(1, 3 if mined else 2)
    epochs = [entry["epoch"] for entry in log]
    for key in PARTS:
        if any(entry.get(key) for entry in log):
            marker = "." if len(log) == 1 else None  # a line of one point is invisible
            losses.plot(epochs, [entry.get(key) for entry in log], marker=marker, label=key.replace("_", "-"))
    losses.set(xlabel="epoch", title="loss")
    losses.set_ylim(bottom=0)
    if losses.lines:
        losses.legend()
    for axes in triplets:
        kinds = list(mined[0]["shares"])
        axes.stackplot(
            [entry["epoch"] for entry in mined],
            [[entry["shares"][kind] for entry in mined] for kind in kinds],
            labels=[kind.replace("_", "-") for kind in kinds],
            colors=("tab:green", "tab:olive", "tab:red"),
            alpha=0.7,
        )
        axes.set(xlabel="epoch", title="share of triplets", ylim=(0, 1))
        axes.margins(x=0)
        axes.legend(loc="lower right")
    judged = [(entry["epoch"], entry["figures"]["val_top1"]) for entry in log if entry["figures"]]
    top.plot([epoch for epoch, _ in judged], [share for _, share in judged], marker="o", markersize=3)
    top.set(xlabel="epoch", title="val top-1")
    for axes in (losses, top):
        axes.grid(alpha=0.3)
    figure.savefig(path)
