"""Output of `embedder compare`: a table and a plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PLOT_FILE = "compare.png"
#: Timed runs of each network.
ROUNDS = 30
#: Untimed runs of each network before.
WARM_UPS = 5

#: One network: its settings and figures, as compare.json holds them.
Entry = dict[str, Any]


def table(budget: Entry, entries: Sequence[Entry]) -> Iterator[str]:
    """The lines of compare.md."""
    stages = ", ".join(f"{size} px x {epochs}" for size, epochs in budget["schedule"])
    given = f"{budget['minutes']:g} minutes each ({stages}, scaled)" if budget["minutes"] else f"epochs {stages}"
    yield "# Networks compared"
    yield ""
    yield (
        f"{', '.join(budget['data'])}: {budget['photos']:,} photos of {budget['skus']:,} SKUs to train on, which are "
        f"the gallery, too; {budget['queries']:,} photos ask. Budget: {given}, {budget['p']} SKUs x {budget['k']} "
        f"photos a batch, learning rate {budget['lr']:g}, seed {budget['seed']}."
    )
    yield ""
    yield (
        "| network | head | dim | start | epochs | val top-1 | val top-5 | ms a photo | MB | parameters (M) "
        "| images/s in training | minutes |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for net in entries:
        yield (
            f"| {net['network']} | {net['head']} | {net['dim']} | {net['start']} | {net['epochs']} | {net['top1']:.1%} "
            f"| {net['top5']:.1%} | {net['milliseconds']:.1f} | {net['megabytes']:.1f} | {net['parameters'] / 1e6:.2f} "
            f"| {net['images_per_second']:.0f} | {net['minutes_trained']:.1f} |"
        )
    yield ""
    yield (
        f"ms a photo: LiteRT on one core, one look (the whole photo), median of {ROUNDS} after {WARM_UPS} warm-ups, "
        "all networks in turn; val is by the same one look. MB: the float16 file that serves. Start `none`: trained "
        "from nothing, without ImageNet, so its figures tell of the budget more than of the network."
    )
    yield ""
    yield f"![Accuracy against milliseconds]({PLOT_FILE})"


def _labels(entries: Sequence[Entry]) -> list[str]:
    """Labels of the points: the network's name, and the settings that differ between the entries."""
    varying = [key for key in ("head", "dim", "start") if len({entry[key] for entry in entries}) > 1]
    return [
        " ".join([entry["network"], *(f"({entry[key]})" if key == "start" else str(entry[key]) for key in varying)])
        for entry in entries
    ]


def draw(entries: Sequence[Entry], path: Path) -> None:
    """Plot val top-1 against milliseconds (log), every point labelled, as PNG. Needs matplotlib (extra `train`)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

    figure = Figure(figsize=(9, 5.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    across, up = [entry["milliseconds"] for entry in entries], [100 * entry["top1"] for entry in entries]
    axes.set_xscale("log")
    axes.set_xlim(min(across) / 1.6, max(across) * 1.6)
    space = max(4.0, 0.15 * (max(up) - min(up)))
    axes.set_ylim(min(up) - space, max(up) + space)
    low, high = axes.get_xlim()
    ticks = [step * 10.0**power for power in range(-3, 6) for step in (1, 2, 5)]
    axes.set_xticks([tick for tick in ticks if low <= tick <= high], minor=False)
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="milliseconds a photo (LiteRT, one core)", ylabel="val top-1, %", title="Networks compared")
    axes.grid(alpha=0.3)
    for entry, x, y in zip(entries, across, up, strict=True):
        filled = entry["start"] != "none"
        axes.plot(x, y, "o", color="tab:blue", markerfacecolor="tab:blue" if filled else "white", markersize=7)
    if any(entry["start"] == "none" for entry in entries):
        axes.plot([], [], "o", color="tab:blue", label="from a trained start")
        axes.plot([], [], "o", color="tab:blue", markerfacecolor="white", label="from nothing (start: none)")
        axes.legend(loc="lower right", fontsize=8)
    figure.draw_without_rendering()  # fixes the layout, and so the positions of labels
    points = axes.transData.transform(list(zip(across, up, strict=True)))
    taken = [Bbox.from_extents(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    if legend := axes.get_legend():
        taken.append(legend.get_window_extent())
    inside = axes.get_window_extent()
    for label, x, y in zip(_labels(entries), across, up, strict=True):
        text = axes.annotate(label, (x, y), xytext=(8, 0), textcoords="offset points", va="center", fontsize=9)
        text.set_in_layout(False)
        for distance in range(0, 120, 12):  # beside the point, else above or below it, nearest first
            places = [(dx, dy, side) for dy in (distance, -distance) for dx, side in ((8, "left"), (-8, "right"))]
            boxes = []
            for dx, dy, side in places:
                text.set(position=(dx, dy), horizontalalignment=side)
                boxes.append(text.get_window_extent())
            free = [
                place
                for place, box in zip(places, boxes, strict=True)
                if inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1) and not box.count_overlaps(taken)
            ]
            if free:
                dx, dy, side = free[0]
                text.set(position=(dx, dy), horizontalalignment=side)
                break
        taken.append(text.get_window_extent())
    figure.savefig(path)
