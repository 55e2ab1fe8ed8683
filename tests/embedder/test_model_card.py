"""The model card says what the bundle says, and its command is one that `embedder train` takes."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from embedder import cli, model_card
from embedder.bundle import Bundle, BundleParts, Thresholds, load_bundle, write_bundle
from embedder.calibration.calibrating_thresholds import Calibration, Fold, OutsiderRates, SetLeftOut
from embedder.calibration.rates import Known, Rates, SetRates, Unknown
from embedder.training import epoch_log
from embedder.training.recipe import TrainConfig

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


#: Settings that the bundle above, of an older version, does not tell.
YOUNGER: dict[str, Any] = {
    "balance": 0.75,
    "split": 0.2,
    "left_out": ["cola", "tonic"],
    "loss": "batch-hard",
    "distance": "L2",
    "mine_every": 0,
    "mine_photos": 1000,
    "freeze": 2,
    "teacher": "big-bundle",
    "teaching": 1.5,
    "precision": "mixed",
}


def made(path: Path, training: dict[str, Any], thresholds: Thresholds | None = None) -> Bundle:
    return write_bundle(
        path,
        BundleParts(
            b"model",
            name="packs",
            version="4",
            dim=64,
            size=160,
            training=training,
            thresholds=thresholds or Thresholds(),
        ),
    )


def test_card_of_a_training(tmp_path: Path) -> None:
    bundle = made(tmp_path / "b", TRAINING)
    path = model_card.write_card(bundle)
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
    assert model_card.CURVES_FILE not in card  # there is none
    assert "Frozen" not in card  # nor was anything


def test_card_shows_the_curves_that_are_there(tmp_path: Path) -> None:
    bundle = made(tmp_path / "b", TRAINING)
    (bundle.path / model_card.CURVES_FILE).write_bytes(b"png")
    assert f"]({model_card.CURVES_FILE})" in model_card.write_card(bundle).read_text()


def rates(*known: float, out: tuple[float, float, float]) -> Rates:
    return Rates(Known(*known), Unknown(*out))


def calibration(**changes: Any) -> dict[str, Any]:
    """What `embedder calibrate` finds on two sets and two folds."""
    found = Calibration(
        thresholds=Thresholds(0.8123, 0.035, 0.05),
        wrong=0.04,
        queries=1500,
        seed=1,
        rates=rates(0.75, 0.011, 0.039, 0.2, out=(0.0612, 0.1, 0.8388)),
        sets=[
            SetRates("shop/val in shop/train", 900, 80, 1400, 60, rates(0.7, 0.02, 0.08, 0.2, out=(0.05, 0.05, 0.9))),
            SetRates("covers", 120, 40, 100, 40, rates(0.8, 0.002, 0.0, 0.198, out=(0.0724, 0.15, 0.7776))),
        ],
        by_fold=[
            Fold(0.8, 0.04, 700, 50, rates(0.7, 0.0, 0.1, 0.2, out=(0.021, 0.2, 0.779))),
            Fold(0.83, 0.03, 800, 50, rates(0.8, 0.02, 0.0, 0.18, out=(0.1013, 0.0, 0.8987))),
        ],
        in_sample=rates(0.812, 0.011, 0.0, 0.177, out=(0.0499, 0.0, 0.9501)),
        strangers=None,
        warnings=[],
    )
    return dataclasses.replace(found, **changes).as_dict()


def card_of(path: Path, facts: dict[str, Any]) -> str:
    bundle = made(path, {**TRAINING, "calibration": facts}, Thresholds(0.8123, 0.035, 0.05))
    return model_card.write_card(load_bundle(bundle.path)).read_text()


def test_card_of_calibrated_thresholds(tmp_path: Path) -> None:
    card = card_of(tmp_path / "b", calibration())
    for words in (
        "cosine of 0.8123 and a margin of 0.0350",
        "at most 5.0% of unknown products accepted and 4.0% of the matches",
        "1,500 query photos",
        "the SKUs in 2 folds",
        "| shop/val in shop/train | in the gallery | 60 | 1,400 | 70.0% | 2.0% | 8.0% | 20.0% |",
        "| shop/val in shop/train | held out | 60 | 1,400 | - | 5.0% | 5.0% | 90.0% |",
        "| covers | held out | 40 | 100 | - | 7.2% | 15.0% | 77.8% |",
        "| together | in the gallery |  | 1,500 | 75.0% | 1.1% | 3.9% | 20.0% |",
        "| together | held out |  | 1,500 | - | 6.1% | 10.0% | 83.9% |",
        "- wrong SKUs among the matches: 1.4%",
        "score 0.8000 to 0.8300, margin\n  0.030 to 0.040, accepted 2.1% to 10.1%",
        "to compare: 81.2% matched and right,\n  5.0% accepted",
    ):
        assert words in card, words
    assert "not fitted:" not in card
    assert "in no gallery" not in card
    assert "**" not in card
    table = [line for line in card.splitlines() if "| held out |" in line or "| query photos |" in line]
    assert len({line.count("|") for line in table}) == 1


def test_card_says_what_is_above_the_stated_rate_and_what_strangers_get(tmp_path: Path) -> None:
    strangers = OutsiderRates(["covers", "packs"], 280, Unknown(0.013, 0.1, 0.887))
    card = card_of(tmp_path / "b", calibration(strangers=strangers, warnings=["False accepts are 6.12%."]))
    assert "\n**False accepts are 6.12%.**\n" in card
    assert "| covers, packs | in no gallery |  | 280 | - | 1.3% | 10.0% | 88.7% |" in card
    assert "products in no gallery" in card


def test_card_says_what_was_left_out(tmp_path: Path) -> None:
    assert "were kept: they flatter the rates" in card_of(tmp_path / "kept", calibration())
    sets = [
        SetRates("a", 90, 8, 140, 6, rates(0.6, 0.2, 0.1, 0.1, out=(0.05, 0.05, 0.9)), same_visit=31, not_asked=4),
        SetRates("b", 12, 4, 10, 4, rates(0.8, 0.0, 0.0, 0.2, out=(0.07, 0.15, 0.78)), same_visit=2, not_asked=1),
    ]
    left_out = [
        SetLeftOut("a", 0.81, 0.045, rates(0.57, 0.03, 0.3, 0.1, out=(0.061, 0.039, 0.9))),
        SetLeftOut("b", None, None, None),
    ]
    facts = calibration(same_visit="left-out", sets=sets, sets_left_out=left_out)
    card = card_of(tmp_path / "b", facts)
    assert "were left out: some of\n33 queries. Not asked, since no other reference is left: 5 queries." in card
    assert "| a | in the gallery | 6 | 140 | 60.0% | 20.0% | 10.0% | 10.0% | 25.0% |" in card
    assert "| a | 0.8100 | 0.045 | 57.0% | 5.0% | 6.1% |" in card
    assert "| b | no thresholds keep to the rates on the others |" in card
    older = {key: value for key, value in facts.items() if key not in ("same_visit", "sets_left_out")}
    assert "visit" not in card_of(tmp_path / "older", older)
    assert "set left out" not in card_of(tmp_path / "older2", older)


def test_card_of_rates_that_were_not_cross_validated(tmp_path: Path) -> None:
    old = {"queries": 1500, "matched": 0.9, "wrong": 0.011, "false_accept": 0.05, "unknown_told": 0.7}
    card = card_of(tmp_path / "b", old)
    assert "cosine of 0.8123" in card
    assert "on the data that they were fitted on: run `embedder calibrate`" in card


def test_card_of_a_bundle_that_tells_nothing(tmp_path: Path) -> None:
    card = model_card.write_card(made(tmp_path / "b", {})).read_text()
    assert "# packs 4" in card
    assert "How it was trained" not in card


def test_card_of_a_training_without_val(tmp_path: Path) -> None:
    bundle = made(tmp_path / "b", {**TRAINING, "figures": {}, "figures_by_epoch": []})
    assert "no `--val`" in model_card.write_card(bundle).read_text()


@pytest.mark.parametrize(
    ("changes", "loss"),
    [
        ({}, "batch-hard triplet (margin 0.7, L2) + 0.5 x cosine softmax + 1.5 x (1 - cosine to the vectors of"),
        ({"soft": True, "teacher": None}, "batch-hard triplet (soft margin, L2) + 0.5 x cosine softmax, 25%"),
        ({"soft": True, "loss": "semi-hard"}, "semi-hard triplet (margin 0.7, L2) + 0.5"),
        ({"mine_every": 50}, "batch-hard triplet (margin 0.7, L2, mined among 1,000 photos every 50 steps)"),
        ({"loss": "cross-entropy", "softmax": 0.0, "teacher": None}, "softmax with cross-entropy, 25% of the steps"),
    ],
)
def test_card_of_younger_settings(changes: dict[str, Any], loss: str, tmp_path: Path) -> None:
    card = model_card.write_card(made(tmp_path / "b", {**TRAINING, **YOUNGER, **changes})).read_text()
    for words in (f"- Loss: {loss}", "2 SKUs of this data", "Of every SKU 20% of the photos", "--leave-out FILE"):
        assert words in card, words
    assert "nearest photo among those trained on" in card
    assert "- Frozen: the backbone, in the first 2 of these epochs" in card
    if "teacher" not in changes:
        assert "the teacher `big-bundle`" in card


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"soft": True, "serve_size": None, "softmax": 0.0, "mix": 0.0},
        YOUNGER,
        {**YOUNGER, "left_out": [], "teacher": None, "teaching": 0.0, "mine_every": 50, "mine_photos": 3000},
    ],
)
def test_command_gives_the_settings_back(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {**TRAINING, **changes}
    monkeypatch.chdir(tmp_path)
    for one in training["sets"]:
        Path(one["name"]).mkdir(parents=True)
    program, name, *words = shlex.split(model_card.command(training))
    assert (program, name) == ("embedder", "train")
    given = cli.main.commands["train"].make_context("train", words).params
    assert given["data"] == tuple(Path(one["name"]) for one in training["sets"])
    assert [list(stage) for stage in given["schedule"]] == training["schedule"]
    for key in (*model_card.PLAIN, "soft"):
        if key in training:
            assert given[key] == training[key], key
    assert given["leave_out"] == ("FILE" if training.get("left_out") else None)


def test_every_setting_is_in_the_command() -> None:
    spelled = {*model_card.PLAIN, "schedule", "soft", "left_out", "data"}
    assert {one.name for one in dataclasses.fields(TrainConfig)} == spelled


def test_curves_of_any_log(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra `train`) is not installed")
    log = [
        {"epoch": n, "triplet": 1 / n, "softmax": 4 / n, "figures": {"val_top1": 1 - 1 / n} if n % 5 == 0 else {}}
        for n in range(1, 61)
    ]
    easy = [
        {**entry, "shares": {"easy": 0.5, "semi_hard": 0.5 - 0.5 / n, "hard": 0.5 / n}}
        for n, entry in enumerate(log, 1)
    ]
    sizes = []
    for number, lines in enumerate((log, log[:1], [], easy, easy[:1])):
        epoch_log.draw_curves(lines, tmp_path / f"{number}.png")
        content = (tmp_path / f"{number}.png").read_bytes()
        assert content.startswith(b"\x89PNG")
        sizes.append(len(content))
    assert max(sizes) < 60_000
    assert len(set(sizes)) == 5
    with Image.open(tmp_path / "3.png") as shares, Image.open(tmp_path / "0.png") as older:
        assert shares.width > older.width  # a panel more
