"""The demo's page: one HTML file that holds everything, its pictures included."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
from PIL import Image, ImageDraw

#: Longest side of a picture on the page, in pixels.
THUMBNAIL = 160


@dataclass(frozen=True)
class Row:
    """One photo that was asked about. `matches` are (SKU, name, score), best first, `reference` its photo.

    `photo` and `reference` are image files' bytes; `expected` is None for a product that is not in the catalog;
    `decision` is match, ambiguous or unknown. `points` is how many printed details agree with the best match, and
    `outline` its corners in the photo, in shares of width and height; `look_alike`: others of its family differ little.
    """

    photo: bytes
    expected: str | None
    decision: str
    matches: list[tuple[str, str, float]]
    reference: bytes | None
    milliseconds: float
    correct: bool
    decided_by: str = "embedding"
    points: int = 0
    outline: Sequence[Sequence[float]] = ()
    look_alike: bool = False


@dataclass(frozen=True)
class Summary:
    """All answers in figures: `p50` and `p95` in milliseconds, `line` is the sentence that the demo ends with."""

    products: int
    photos: int
    queries: int
    correct: int
    p50: float
    p95: float
    bundle: str
    line: str


@dataclass(frozen=True)
class _Shown:
    """A row as the template needs it: pictures as data URIs."""

    photo: str
    expected: str | None
    decision: str
    matches: list[tuple[str, str, float]]
    reference: str | None
    milliseconds: float
    correct: bool
    decided_by: str
    points: int


def write_report(path: Path, rows: Sequence[Row], summary: Summary) -> None:
    """Write the page to `path`: figures, then the wrong answers, then all of them."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(resources.files(__package__).joinpath("report.html.j2").read_text("utf-8"))
    seen: dict[bytes, str] = {}
    shown = [_show(row, seen) for row in rows]
    strangers = [row for row in rows if row.expected is None]
    html = template.render(
        summary=summary,
        rows=shown,
        wrong=[row for row in shown if not row.correct],
        details=sum(row.decided_by == "details" for row in rows),
        hard=[
            one
            for one, row in zip(shown, rows, strict=True)
            if row.decided_by == "details" and (row.look_alike or row.expected is None)
        ],
        wrong_matches=sum(row.decision == "match" and not row.correct for row in rows),
        strangers=len(strangers),
        strangers_refused=sum(row.correct for row in strangers),
        share=_share,
    )
    path.write_text(html, encoding="utf-8")


def _show(row: Row, seen: dict[bytes, str]) -> _Shown:
    reference = None if row.reference is None else _thumbnail(row.reference, seen)
    return _Shown(
        _thumbnail(row.photo, seen, row.outline),
        row.expected,
        row.decision,
        row.matches,
        reference,
        row.milliseconds,
        row.correct,
        row.decided_by,
        row.points,
    )


def _thumbnail(data: bytes, seen: dict[bytes, str], outline: Sequence[Sequence[float]] = ()) -> str:
    """An image file -> a small JPEG as a data URI. One reference answers many photos, so it is made only once."""
    if data not in seen:
        with Image.open(io.BytesIO(data)) as picture:
            # A JPEG decodes at half or a quarter of its size for less time; the rest is a smooth reduction.
            picture.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))
            small = picture.convert("RGB")
        small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        if outline:
            corners = [(x * small.width, y * small.height) for x, y in outline]
            for color, width in (("#0c1018", 4), ("#30dc5a", 2)):
                ImageDraw.Draw(small).line([*corners, corners[0]], color, width, joint="curve")
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=80)
        seen[data] = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return seen[data]


def _share(part: int, whole: int) -> str:
    """95 of 100 -> "95.0 %"; of nothing there is no share."""
    return f"{100 * part / whole:.1f} %" if whole else "-"
