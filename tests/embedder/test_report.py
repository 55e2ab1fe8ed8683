"""The model card says what the bundle says, and its command is one that `embedder train` takes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from embedder import cli, report
from embedder.bundle import Bundle, Thresholds, write_bundle

TRAINING: dict[str, Any] = {
    "backbone": "efficientnetlite0",
    "weights": "start.npz",
    "head": "pooled",
    "dim": 64,
    "schedule": [[96, 3], [128, 2]],
    "serve_size": 160,
    "p": 8,
    "k": 3,
    "lr": 5e-4,
    "margin": 0.7,
    "soft": False,
    "softmax": 0.5,
    "mix": 0.25,
    "average": 0.99,
    "seed": 11,
    "sets": [{"name": "shop/train", "photos": 1200, "skus": 80}, {"name": "my packs", "photos": 40, "skus": 20}],
    "photos": 1240,
    "skus": 95,
    "steps": 260,
    "figures": {"val_top1": 0.8125},
    "figures_by_epoch": [[3, {"val_top1": 0.75}], [5, {"val_top1": 0.8125}]],
    "date": "2024-02-29",
    "notes": ["shop: by the tests, MIT"],
}


def made(path: Path, training: dict[str, Any], thresholds: Thresholds | None = None) -> Bundle:
    return write_bundle(
        path, b"model", name="packs", version="4", dim=64, size=160, training=training, thresholds=thresholds
    )


def test_card_of_a_training(tmp_path: Path) -> None:
    bundle = made(tmp_path / "b", TRAINING)
    path = report.write_card(bundle)
    assert path == bundle.path / "CARD.md"
    card = path.read_text()
    for words in (
        "# packs 4",
        bundle.id,
        "| shop/train | 1,200 | 80 |",
        "| my packs | 40 | 20 |",
        "| together | 1,240 | 95 |",
        "- shop: by the tests, MIT",
        "efficientnetlite0, weights `start.npz`, pooled head",
        "triplet (margin 0.7) + 0.5 x cosine softmax, 25% of the steps",
        "3 at 96 px, 2 at 128 px; 260 steps of 8 SKUs x 3 photos",
        "seed 11",
        "Date: 2024-02-29",
        "| 3 | 75.0% |",
        "| 5 | 81.2% |",
        "## Limits",
        "defaults, not fitted",
    ):
        assert words in card, words
    assert report.CURVES_FILE not in card  # there is none


def test_card_shows_the_curves_that_are_there(tmp_path: Path) -> None:
    bundle = made(tmp_path / "b", TRAINING)
    (bundle.path / report.CURVES_FILE).write_bytes(b"png")
    assert f"]({report.CURVES_FILE})" in report.write_card(bundle).read_text()


def test_card_of_calibrated_thresholds(tmp_path: Path) -> None:
    rates = {"queries": 1500, "matched": 0.9, "wrong": 0.011, "false_accept": 0.05, "unknown_told": 0.7}
    bundle = made(tmp_path / "b", {**TRAINING, "calibration": rates}, Thresholds(0.8123, 0.035, 0.05))
    card = report.write_card(bundle).read_text()
    assert "cosine of 0.8123 and a margin of 0.0350" in card
    assert "1,500 query photos" in card
    assert "matched and right: 90.0%" in card
    assert "wrong SKU among the matches: 1.1%" in card
    assert "accepted: 5.0%; told unknown: 70.0%" in card
    assert "not fitted" not in card


def test_card_of_a_bundle_that_tells_nothing(tmp_path: Path) -> None:
    card = report.write_card(made(tmp_path / "b", {})).read_text()
    assert "# packs 4" in card
    assert "How it was trained" not in card


def test_card_of_a_training_without_val(tmp_path: Path) -> None:
    bundle = made(tmp_path / "b", {**TRAINING, "figures": {}, "figures_by_epoch": []})
    assert "no `--val`" in report.write_card(bundle).read_text()


@pytest.mark.parametrize("changes", [{}, {"soft": True, "serve_size": None, "softmax": 0.0, "mix": 0.0}])
def test_command_gives_the_settings_back(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {**TRAINING, **changes}
    monkeypatch.chdir(tmp_path)
    for one in training["sets"]:
        Path(one["name"]).mkdir(parents=True)
    program, name, *words = shlex.split(report.command(training))
    assert (program, name) == ("embedder", "train")
    given = cli.main.commands["train"].make_context("train", words).params
    assert given["data"] == tuple(Path(one["name"]) for one in training["sets"])
    assert [list(stage) for stage in given["schedule"]] == training["schedule"]
    for key in (*report.PLAIN, "soft"):
        assert given[key] == training[key], key


def test_curves_of_any_log(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra `train`) is not installed")
    log = [
        {"epoch": n, "triplet": 1 / n, "softmax": 4 / n, "figures": {"val_top1": 1 - 1 / n} if n % 5 == 0 else {}}
        for n in range(1, 61)
    ]
    sizes = []
    for number, lines in enumerate((log, log[:1], [])):
        report.draw_curves(lines, tmp_path / f"{number}.png")
        content = (tmp_path / f"{number}.png").read_bytes()
        assert content.startswith(b"\x89PNG")
        sizes.append(len(content))
    assert max(sizes) < 60_000
    assert len(set(sizes)) == 3
