"""Evaluation report: lines for a terminal, and one HTML page with plots and pictures.

The page needs matplotlib (extra `train`); both it and jinja2 are imported only when a page is written.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from embedder import datasets, images
from embedder.datasets import degradation
from embedder.errors import EmbedderError
from embedder.evaluation.figures import Evaluation, Figures, Recall
from embedder.evaluation.metrics import DecisionRates

JSON_FILE = "results.json"
PAGE_FILE = "index.html"
TEMPLATE = "page.html.j2"
#: Longer side of a picture on the page, in pixels.
THUMBNAIL = 160
#: SKUs of the lowest accuracy that the page shows.
WORST = 40
#: Lines of a list in the terminal.
LINES = 5
#: Inches. At 72 units an inch the plots' text keeps its size on a phone and grows a little on a laptop.
PLOT = (4.8, 3.0)
#: Bins of the score histogram.
BINS = 40
#: Colors of the plots: known queries (and top-1), unknown queries (and top-5), text and axes.
KNOWN, UNKNOWN, INK = "#0d6b5f", "#c26a1a", "#3c4644"


def lines(figures: Figures) -> Iterator[str]:
    """The figures as aligned lines for a terminal."""
    headline = _headline(figures)
    wide = max(len(name) for name, _ in headline)
    yield from (f"{name:{wide}}  {value}" for name, value in headline)
    recalls = [(_references(step), f"{step.photos:,}", *_shares(step.top1, step.top5)) for step in _steps(figures)]
    yield from _table(("references", "photos", "top-1", "top-5"), recalls)
    decided = [(name, *_shares(r.match, r.right, r.ambiguous, r.unknown)) for name, r in _decided(figures)]
    yield from _table(("answers", "match", "right", "ambiguous", "unknown"), decided)
    worst = [(sku.sku, sku.queries, sku.right) for sku in figures.per_sku if sku.share < 1]
    yield from _table(("worst SKUs", "queries", "right"), worst[:LINES])
    pairs = [(pair.true, pair.answered, pair.count) for pair in figures.confused]
    yield from _table(("most confused", "answered", "times"), pairs[:LINES], names=2)


def _headline(figures: Figures) -> list[tuple[str, str]]:
    """(name, value) of every single-valued figure."""
    found = [
        ("bundle", figures.bundle),
        ("protocol", figures.protocol),
        ("gallery", f"{figures.gallery:,} photos of {figures.skus:,} SKUs in {figures.seconds_gallery:.1f} s"),
        ("queries", f"{figures.queries:,} photos in {figures.seconds_queries:.1f} s"),
        ("top-1", f"{figures.top1:.3f}"),
        ("top-5", f"{figures.top5:.3f}"),
    ]
    if figures.top1_degraded is not None and figures.top5_degraded is not None:
        found.append(("top-1, low quality", f"{figures.top1_degraded:.3f}"))
        found.append(("top-5, low quality", f"{figures.top5_degraded:.3f}"))
    if figures.mean_average_precision is not None:
        found.append(("mean average precision", f"{figures.mean_average_precision:.3f}"))
    found.append(("embedding", f"{figures.milliseconds_embedding:.1f} ms a photo, on all cores side by side"))
    found.append(("search", f"{figures.milliseconds_search:.3f} ms a query"))
    if rejection := figures.rejection:
        auroc = f"{rejection.auroc:.3f} by score, {rejection.auroc_margin:.3f} by score + margin"
        found.append(("AUROC, known/unknown", auroc))
        accepts = f"{rejection.false_accepts:.3f} by score, {rejection.false_accepts_margin:.3f} by score + margin"
        found.append(("false accepts", f"{accepts} (where {rejection.true_accepts:.0%} of the known are accepted)"))
    if figures.queries_without_sku:
        found.append(("note", f"{figures.queries_without_sku:,} queries are of SKUs that the gallery does not hold"))
    if figures.broken:
        found.append(("note", f"{len(figures.broken):,} photos could not be used"))
    return found


def _steps(figures: Figures) -> list[Recall]:
    """Recall by number of references; empty when there is only `all`, which is the headline's."""
    return figures.recall_by_references if len(figures.recall_by_references) > 1 else []


def _references(recall: Recall) -> str:
    return "all" if recall.references is None else str(recall.references)


def _decided(figures: Figures) -> list[tuple[str, DecisionRates]]:
    """Decision rates of known and of unknown queries, where there are such."""
    if figures.decided is None:
        return []
    both = (("known", figures.decided.known), ("unknown", figures.decided.unknown))
    return [(name, rates) for name, rates in both if rates]


def _shares(*shares: float) -> tuple[str, ...]:
    return tuple(f"{share:.3f}" for share in shares)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], names: int = 1) -> Iterator[str]:
    """An empty line and the table, its first `names` columns left-aligned; nothing without rows."""
    if not rows:
        return
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
    yield ""
    for row in cells:
        left = [cell.ljust(width) for cell, width in zip(row[:names], wide[:names], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[names:], wide[names:], strict=True)]
        yield "  ".join([*left, *right])


def prepare(folder: Path) -> None:
    """Create a report's folder, before the long evaluation. Raises EmbedderError without matplotlib."""
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError as error:
        raise EmbedderError(
            f"A report needs {error.name}: install the extra, pip install 'photo-catalog[train]'."
        ) from error
    folder.mkdir(parents=True, exist_ok=True)


def write(folder: Path, evaluation: Evaluation) -> Path:
    """Write results.json and index.html into a folder that `prepare` made; returns the page's path."""
    import jinja2

    figures = evaluation.figures
    (folder / JSON_FILE).write_text(json.dumps(figures.as_dict(), indent=2) + "\n", encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(resources.files(__package__).joinpath(TEMPLATE).read_text("utf-8"))
    page = template.render(
        figures=figures,
        headline=_headline(figures),
        recalls=_steps(figures),
        recall_plot=_plot_recall(_steps(figures)) if _steps(figures) else None,
        score_plot=_plot_scores(evaluation) if len(evaluation.unknown_scores) else None,
        decided=_decided(figures),
        worst=figures.per_sku[:WORST],
        perfect=sum(sku.share == 1 for sku in figures.per_sku),
        pairs=[(pair, _thumbnail(Path(pair.query)), _thumbnail(Path(pair.photo))) for pair in figures.confused],
        sample=_sample(evaluation) if figures.top1_degraded is not None else None,
        steps=degradation,
    )
    path = folder / PAGE_FILE
    path.write_text(page, encoding="utf-8")
    return path


def _thumbnail(path: Path) -> str:
    """A photo -> a small JPEG as a data URI."""
    picture = images.decode(path.read_bytes(), want=THUMBNAIL)
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return _data_uri(file.getvalue())


def _sample(evaluation: Evaluation) -> tuple[str, str]:
    """One query photo as data URIs: the original as a thumbnail, and the degraded bytes that were embedded."""
    path = evaluation.sample
    return _thumbnail(path), _data_uri(datasets.degrade(path.read_bytes(), evaluation.seed))


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _plot_recall(recalls: Sequence[Recall]) -> str:
    """Top-1 and top-5 accuracy by number of reference photos, as SVG."""
    with _plotting() as (figure, axes):
        for name, color, shares in (
            ("top-5", UNKNOWN, [step.top5 for step in recalls]),
            ("top-1", KNOWN, [step.top1 for step in recalls]),
        ):
            axes.plot(range(len(recalls)), shares, color=color, marker="o", markersize=4, label=name, clip_on=False)
            for place, share in enumerate(shares):
                axes.annotate(
                    f"{share:.1%}", (place, share), (0, 6), textcoords="offset points", ha="center", color=color
                )
        axes.set_xticks(range(len(recalls)), [_references(step) for step in recalls])
        axes.set_xlabel("reference photos of each SKU")
        low = min(step.top1 for step in recalls)
        axes.set_ylim(max(0.0, low - 0.1), 1.0)
        axes.margins(x=0.1)
        axes.yaxis.set_major_formatter(lambda share, _: f"{round(100 * share, 1):g}%")
        axes.legend(frameon=False, loc="lower right")
        return _svg(figure)


def _plot_scores(evaluation: Evaluation) -> str:
    """Histogram of the best cosines of known and unknown queries, and the threshold, as SVG."""
    known, unknown = evaluation.known_scores, evaluation.unknown_scores
    decided = evaluation.figures.decided
    with _plotting() as (figure, axes):
        low = float(min(unknown.min(), known.min(initial=1.0)))
        bins = np.linspace(low, 1.0 + 1e-6, BINS + 1)
        for name, color, scores in (("unknown", UNKNOWN, unknown), ("known", KNOWN, known)):
            if len(scores):
                weights = np.full(len(scores), 1 / len(scores))
                axes.hist(scores, bins, weights=weights, color=color, alpha=0.55, label=name)
        if decided:
            label = f"threshold {decided.score:.3f}"
            axes.axvline(decided.score, color=INK, linestyle="--", linewidth=1.2, label=label)
        axes.set_xlabel("best cosine")
        axes.set_ylabel("share of the queries")
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, fontsize=8, handlelength=1.2)
        return _svg(figure)


@contextmanager
def _plotting() -> Iterator[tuple[Any, Any]]:
    """A figure and its axes, without a display; text stays text, so that a browser uses the page's font."""
    import matplotlib
    from matplotlib.figure import Figure

    style = {"svg.fonttype": "none", "svg.hashsalt": "results", "font.size": 9, "text.color": INK}
    with matplotlib.rc_context({**style, "axes.edgecolor": INK, "axes.labelcolor": INK}):
        figure = Figure(figsize=PLOT, layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
        axes.set_axisbelow(True)
        yield figure, axes


def _svg(figure: Any) -> str:
    """The `<svg>` element alone, without the XML declaration of a file."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]
