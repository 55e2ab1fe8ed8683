"""The commands, as a person or a script meets them: in a process of its own, or through click."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from embedder import cli, report
from embedder.bundle import RELEASED, load_bundle


def run(*words: object) -> Result:
    return CliRunner().invoke(cli.main, [str(word) for word in words])


def failed(*words: object) -> str:
    """The one line that a command says when it fails."""
    result = run(*words)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)  # and no other, which would be a traceback
    assert result.stdout == ""
    assert result.stderr.startswith("embedder: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the released bundle, free to change."""
    shutil.copytree(RELEASED, tmp_path / "bundle")
    return tmp_path / "bundle"


def test_evaluate_as_json(shapes: Path, shape_queries: Path) -> None:
    result = run("evaluate", RELEASED, "--gallery", shapes, "--queries", shape_queries, "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    figures = json.loads(result.stdout)
    assert {"top1", "top5", "queries", "gallery", "seconds_gallery", "seconds_queries"} <= set(figures)
    assert (figures["queries"], figures["gallery"]) == (24, 60)
    assert 0.5 < figures["top1"] <= figures["top5"] <= 1
    assert figures["bundle"] == load_bundle(RELEASED).id


def test_evaluate_for_people(shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes / "red-bar", tmp_path / "unheard-of")
    (tmp_path / "unheard-of" / "bad.jpg").write_bytes(b"text")
    result = run("evaluate", RELEASED, "--gallery", shapes, "--queries", tmp_path)
    assert result.exit_code == 0, result.output
    assert "top-1    0.000" in result.stdout
    assert "10 queries are of SKUs that the gallery does not hold" in result.stdout
    assert "bad.jpg" in result.stderr


def test_calibrate_sets_thresholds_and_rewrites_the_card(bundle: Path, shapes: Path, shape_queries: Path) -> None:
    before = load_bundle(bundle)
    (bundle / report.CURVES_FILE).write_bytes(b"curves")
    result = run(
        *("calibrate", bundle, "--gallery", shapes, "--queries", shape_queries, "--false-accept", 0.5, "--wrong", 0.5)
    )
    assert result.exit_code == 0, result.output
    after = load_bundle(bundle)
    assert after.id != before.id
    assert after.id in result.stdout
    assert after.thresholds != before.thresholds
    assert after.thresholds.false_accept == 0.5
    assert after.training["calibration"]["queries"] == 24
    assert {**after.training, "calibration": 0} == {**before.training, "calibration": 0}
    assert f"cosine of {after.thresholds.score:.4f}" in (bundle / report.CARD_FILE).read_text()
    assert (bundle / report.CURVES_FILE).read_bytes() == b"curves"
    assert after.model_path.read_bytes() == (RELEASED / "model.tflite").read_bytes()


def test_calibrate_elsewhere_leaves_the_bundle(bundle: Path, shapes: Path, tmp_path: Path) -> None:
    before = load_bundle(bundle)
    (bundle / report.CURVES_FILE).write_bytes(b"curves")
    out = tmp_path / "new"
    result = run("calibrate", bundle, "--alone", shapes, "--false-accept", 0.5, "--wrong", 0.5, "--out", out)
    assert result.exit_code == 0, result.output
    assert load_bundle(bundle) == before
    assert load_bundle(out).training["calibration"]["queries"] == 6 * 7  # three of ten photos are references
    assert (out / report.CURVES_FILE).read_bytes() == b"curves"


def test_calibrate_needs_pairs(shapes: Path) -> None:
    for words in ([], ["--gallery", shapes], ["--gallery", shapes, "--queries", shapes, "--queries", shapes]):
        result = run("calibrate", RELEASED, *words)
        assert result.exit_code == 2
        assert "in pairs" in result.stderr


def test_info_of_the_released_bundle() -> None:
    result = run("info")
    assert result.exit_code == 0
    assert load_bundle(RELEASED).id in result.stdout


def test_info_of_a_tampered_bundle(bundle: Path) -> None:
    (bundle / "model.tflite").write_bytes(b"else")
    assert "model.tflite is damaged" in failed("info", bundle)


def test_errors_are_one_line(bundle: Path, shapes: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no model bundle" in failed("info", empty)
    assert "No usable photo" in failed("evaluate", bundle, "--gallery", shapes, "--queries", empty)
    assert "No usable photo" in failed("calibrate", bundle, "--gallery", empty, "--queries", shapes)
    (empty / "mine.txt").touch()
    words = ("calibrate", bundle, "--gallery", shapes, "--queries", shapes, "--out", empty)
    assert "left alone" in failed(*words)


def test_folders_that_are_not_there_are_a_usage_error(bundle: Path, tmp_path: Path) -> None:
    result = run("evaluate", bundle, "--gallery", tmp_path / "nowhere", "--queries", tmp_path)
    assert result.exit_code == 2
    assert "nowhere" in result.stderr


def test_no_traceback_in_a_process_of_its_own(tmp_path: Path) -> None:
    code = "from embedder.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, "info", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("embedder: ")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("schedule", ["128", "128:0", "16:3", "a:b", "128:3,", ""])
def test_schedules_that_are_none(schedule: str, shapes: Path, tmp_path: Path) -> None:
    result = run("train", shapes, "--out", tmp_path / "out", "--schedule", schedule)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize("words", [["-p", 1], ["-k", 1], ["--lr", 0], ["--mix", 1.5], ["--average", 1], ["--dim", 0]])
def test_settings_out_of_range(words: list[object], shapes: Path, tmp_path: Path) -> None:
    assert run("train", shapes, "--out", tmp_path / "out", *words).exit_code == 2


def test_every_command_and_option_says_what_it_is_for() -> None:
    assert set(cli.main.commands) >= {"train", "export", "evaluate", "calibrate", "info"}
    for name, command in cli.main.commands.items():
        assert command.help, name
        assert run(name, "--help").exit_code == 0


def test_backbones_are_those_of_the_model_module() -> None:
    """Named twice, because the command must not import TensorFlow to tell them."""
    pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")
    from embedder import model

    assert tuple(cli.BACKBONES) == tuple(model.BACKBONES)


def test_defaults_are_those_of_the_training(shapes: Path) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")
    from embedder import model, train

    command = cli.main.commands["train"]
    given = command.make_context("train", [str(shapes), "--out", "bundle"]).params
    for name, default in dataclasses.asdict(train.TrainConfig(data=(shapes,))).items():
        assert given[name] == default, name
    heads = next(option.type for option in command.params if option.name == "head")
    assert tuple(heads.choices) == model.HEADS


def test_train_errors_are_one_line(shapes: Path, shape_queries: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")
    words = ("train", shapes, "--out", tmp_path / "out", "--backbone", "efficientnetlite0")
    small = (*words, "--weights", "none", "-p", 2)
    assert "lower --p" in failed(*words, "--weights", "none", "-p", 16)
    assert "no such file" in failed(*words, "--weights", tmp_path / "nowhere.npz", "-p", 2)
    assert "--weights PATH" in failed(*words, "--weights", "imagenet", "-p", 2)
    assert "no training to go on with" in failed(*small, "--resume")
    assert "--softmax" in failed(*small, "--mix", 0.5)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no photo" in failed(*small, "--val", empty)
    assert "no training" in failed("export", empty, "--out", tmp_path / "out")
    (empty / "mine.txt").touch()
    assert "left alone" in failed("train", shapes, "--out", empty)
    assert not (tmp_path / "out").exists()
