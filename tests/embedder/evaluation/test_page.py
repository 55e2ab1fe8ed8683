"""Results for people: the lines of a terminal, and the page, read again as a browser would."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from embedder import datasets, evaluation
from embedder.bundle import RELEASED, load_bundle
from embedder.evaluation import page as results_page
from embedder.evaluation import protocols
from embedder.evaluation.page import THUMBNAIL, _headline
from embedder.inference import Embedder


class Page(HTMLParser):
    """What stands on a page: pictures with their words, text, tags, and every address that it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pictures: list[tuple[str, Image.Image]] = []
        self.words: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.labels: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.labels += [found["aria-label"] or ""] if "aria-label" in found else []
        for name in ("src", "href", "xlink:href", "srcset", "data"):
            self.addresses += [found[name] or ""] if name in found else []
        if tag == "img":
            kind, _, body = (found["src"] or "").partition(",")
            assert kind == "data:image/jpeg;base64"
            with Image.open(io.BytesIO(base64.b64decode(body, validate=True))) as picture:
                picture.load()
                self.pictures.append((found["alt"] or "", picture.copy()))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def found(
    released: Embedder, shapes: Path, shape_queries: Path, tmp_path_factory: pytest.TempPathFactory
) -> evaluation.Evaluation:
    """The drawn photos, and one of the queries in the wrong folder: a pair that must be confused."""
    queries = tmp_path_factory.mktemp("results") / "queries"
    shutil.copytree(shape_queries, queries)
    shutil.copy(shapes / "red-circle" / "0.png", queries / "green-bar" / "stray.png")
    return evaluation.evaluate_protocol(released, protocols.two_sets(shapes, queries), degraded=True)


def write(folder: Path, found: evaluation.Evaluation) -> Page:
    pytest.importorskip("matplotlib", reason="matplotlib (extra `train`) is not installed")
    results_page.prepare(folder)
    path = results_page.write(folder, found)
    assert path == folder / "index.html"
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_holds_all_that_it_shows(found: evaluation.Evaluation, tmp_path: Path) -> None:
    page = write(tmp_path / "made" / "results", found)
    assert [address for address in page.addresses if not address.startswith(("data:image/jpeg", "#"))] == []
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert page.tags.count("svg") == 2
    figures = found.figures
    assert figures.bundle in page.text
    assert f"{100 * figures.top1:.1f} % right" in page.text
    for name, value in _headline(figures):
        assert value in page.text
        assert name in page.text or name in ("bundle", "protocol")
    assert f"{100 * (figures.top1_degraded or 0):.1f} %" in page.text
    for one in figures.per_sku:
        assert f"{one.sku} {one.right} of {one.queries}" in page.text
    assert f"threshold {load_bundle(RELEASED).thresholds.score:.3f}" in page.text  # of the plot, whose text is text


def test_confused_pairs_are_shown_with_both_pictures(found: evaluation.Evaluation, tmp_path: Path) -> None:
    page = write(tmp_path, found)
    assert ("green-bar", "red-circle") in [(one.true, one.answered) for one in found.figures.confused]
    words = [words for words, _ in page.pictures]
    for one in found.figures.confused:
        place = words.index(f"Query photo of {one.true}")
        assert f"Reference photo of {one.answered}" in words[place:]
    pairs = dict(zip(words, (picture for _, picture in page.pictures), strict=True))
    red = pairs["Reference photo of red-circle"].convert("RGB")
    r, g, b = red.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert r > g + 10
    assert r > b + 10
    assert all(max(picture.size) <= THUMBNAIL for _, picture in page.pictures)
    assert len(page.pictures) == 2 * len(found.figures.confused) + 2


def test_the_sample_is_one_photo_as_it_is_and_in_low_quality(found: evaluation.Evaluation, tmp_path: Path) -> None:
    page = write(tmp_path, found)
    pictures = dict(page.pictures)
    with Image.open(io.BytesIO(datasets.degrade(found.sample.read_bytes(), found.seed))) as asked:
        assert pictures["The same, low quality"].tobytes() == asked.tobytes()
    with Image.open(found.sample) as original:
        assert pictures["A query photo"].size == original.size


def test_numbers_for_machines(found: evaluation.Evaluation, tmp_path: Path) -> None:
    write(tmp_path, found)
    assert json.loads((tmp_path / "results.json").read_text()) == found.figures.as_dict()


def test_the_same_page_again(found: evaluation.Evaluation, tmp_path: Path) -> None:
    write(tmp_path / "one", found)
    write(tmp_path / "two", found)
    assert (tmp_path / "one" / "index.html").read_bytes() == (tmp_path / "two" / "index.html").read_bytes()


def test_names_are_text_and_never_markup(found: evaluation.Evaluation, tmp_path: Path) -> None:
    strange = replace(found.figures.per_sku[0], sku="<script>alert(1)</script>")
    figures = replace(found.figures, per_sku=[strange], protocol="<i>")
    page = write(tmp_path, replace(found, figures=figures))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text


def test_of_many_skus_the_worst_are_shown_and_it_is_said(found: evaluation.Evaluation, tmp_path: Path) -> None:
    one = found.figures.per_sku[0]
    many = [
        replace(one, sku=f"sku-{number:03}", queries=424, right=number, share=number / 424) for number in range(424)
    ]
    page = write(tmp_path, replace(found, figures=replace(found.figures, per_sku=many)))
    assert "These are the 40 worst" in page.text
    assert "0 of 424 SKUs" in page.text
    assert "sku-039" in page.text
    assert "sku-040" not in page.text


def test_figures_that_there_are_not(released: Embedder, shapes: Path, tmp_path: Path) -> None:
    """One SKU, each photo asking for itself: nothing unknown, confused, degraded, and no step below `all`."""
    (tmp_path / "red-bar").mkdir()
    shutil.copy(shapes / "red-bar" / "0.png", tmp_path / "red-bar")
    found = evaluation.evaluate_protocol(released, protocols.two_sets(tmp_path, tmp_path))
    page = write(tmp_path / "report", found)
    assert "svg" not in page.tags
    assert page.pictures == []
    assert "None: every query" in page.text
    lines = list(results_page.lines(found.figures))
    assert not any(line.startswith(("references", "answers", "worst", "most", "AUROC", "note")) for line in lines)


def test_lines_for_a_terminal(found: evaluation.Evaluation) -> None:
    lines = list(results_page.lines(found.figures))
    assert f"{'top-1':22}  {found.figures.top1:.3f}" in lines
    assert any(line.startswith("AUROC, known/unknown") and "score + margin" in line for line in lines)
    place = next(i for i, line in enumerate(lines) if line.startswith("references"))
    table = lines[place : place + 5]
    assert [line.split()[0] for line in table] == ["references", "1", "3", "8", "all"]
    assert len({len(line) for line in table}) == 1  # aligned
    place = next(i for i, line in enumerate(lines) if line.startswith("most confused"))
    assert {tuple(line.split()) for line in lines[place + 1 :]} == {
        (one.true, one.answered, str(one.count)) for one in found.figures.confused[: results_page.LINES]
    }
    assert max(map(len, lines)) <= 120


def test_without_matplotlib_one_line_names_the_extra(shapes: Path, tmp_path: Path) -> None:
    """In a process of its own, from which it is hidden; nothing is embedded and nothing written."""
    code = "import sys; sys.modules['matplotlib'] = None; from embedder.cli import main; main()"
    words = ["evaluate", RELEASED, "--gallery", shapes, "--queries", shapes, "--report", tmp_path / "report"]
    ran = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "photo-catalog[train]" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert not (tmp_path / "report").exists()
    plain = [*words[:-2], "--json"]
    ran = subprocess.run([sys.executable, "-c", code, *map(str, plain)], capture_output=True, text=True, check=False)
    assert json.loads(ran.stdout)["top1"] == 1.0
