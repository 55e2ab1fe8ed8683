"""The commands, as a person or a script meets them: in a process of its own, or through click."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from embedder import cli, model_card
from embedder.bundle import RELEASED, Bundle, load_bundle
from embedder.training import recipe


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
    assert re.search(r"^top-1 +0\.000$", result.stdout, re.M)
    assert "10 queries are of SKUs that the gallery does not hold" in result.stdout
    assert "bad.jpg" in result.stderr


def test_evaluate_one_set_by_share_or_by_references(shapes: Path, tmp_path: Path) -> None:
    """80 of 100 enrolled, the paper's way; or few references, of the SKUs that a file names."""
    result = run("evaluate", RELEASED, "--photos", shapes, "--split", 0.2, "--seed", 3, "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert (figures["gallery"], figures["queries"], figures["skus"]) == (48, 12, 6)
    assert figures["protocol"].endswith("(seed 3)")
    assert figures["top1_degraded"] is None
    file = tmp_path / "skus.txt"
    file.write_text("red-bar\ngreen-bar\nred-square\n")
    words = ("evaluate", RELEASED, "--alone", shapes, "--references", 1, "--skus", file, "--degraded", "--json")
    figures = json.loads(run(*words).stdout)
    assert (figures["gallery"], figures["queries"], figures["skus"]) == (3, 27, 3)
    assert 0 <= figures["top1_degraded"] <= figures["top5_degraded"] == 1.0
    assert "none is left to ask by" in failed("evaluate", RELEASED, "--alone", shapes, "--references", 10)
    file.write_text("red-bar\nred-triangle\n")
    assert "names 'red-triangle'" in failed("evaluate", RELEASED, "--alone", shapes, "--skus", file)
    assert "left none of these SKUs out" in failed("evaluate", RELEASED, "--alone", shapes, "--skus", RELEASED)


def test_evaluate_writes_a_report(shapes: Path, shape_queries: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra `train`) is not installed")
    folder = tmp_path / "new" / "report"
    words = ("evaluate", RELEASED, "--gallery", shapes, "--queries", shape_queries)
    result = run(*words, "--report", folder)
    assert result.exit_code == 0, result.output
    assert str(folder / "index.html") in result.stdout
    figures = json.loads((folder / "results.json").read_text())
    assert figures["top1_degraded"] is not None
    (tmp_path / "file").touch()
    assert "file" in failed(*words, "--report", tmp_path / "file" / "below")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--gallery"],
        ["--queries"],
        ["--gallery", "--photos"],
        ["--gallery", "--queries", "--alone"],
        ["--photos", "--alone"],
    ],
)
def test_evaluate_takes_one_kind_of_sets(words: list[str], shapes: Path) -> None:
    result = run("evaluate", RELEASED, *(part for word in words for part in (word, shapes)))
    assert result.exit_code == 2
    assert "--gallery and --queries, or --photos, or --alone" in result.stderr


@pytest.mark.parametrize("words", [["--split", 0.2], ["--references", 3]])
def test_evaluate_options_of_another_kind_of_sets(words: list[object], shapes: Path) -> None:
    result = run("evaluate", RELEASED, "--gallery", shapes, "--queries", shapes, *words)
    assert result.exit_code == 2
    assert "--split goes with --photos, --references with --alone" in result.stderr
    assert run("evaluate", RELEASED, "--photos", shapes, "--split", 1).exit_code == 2


def test_calibrate_sets_thresholds_and_rewrites_the_card(bundle: Path, shapes: Path, shape_queries: Path) -> None:
    before = load_bundle(bundle)
    (bundle / model_card.CURVES_FILE).write_bytes(b"curves")
    result = run(
        *("calibrate", bundle, "--gallery", shapes, "--queries", shape_queries, "--false-accept", 0.5, "--wrong", 0.5)
    )
    assert result.exit_code == 0, result.output
    after = load_bundle(bundle)
    assert after.id != before.id
    assert after.id in result.stdout
    assert after.thresholds != before.thresholds
    assert after.thresholds.false_accept == 0.5
    found = after.training["calibration"]
    assert found["queries"] == 24
    assert [one["skus"] for one in found["by_fold"]] == [2, 1, 1, 1, 1]
    assert sum(found["rates"]["known"].values()) == pytest.approx(1)
    assert str(shapes.parent.parent) not in (bundle / "bundle.json").read_text()  # names, not paths
    assert {**after.training, "calibration": 0} == {**before.training, "calibration": 0}
    card = (bundle / model_card.CARD_FILE).read_text()
    assert f"cosine of {after.thresholds.score:.4f}" in card
    row = next(line for line in result.stdout.splitlines() if line.startswith("| together | held out"))
    assert row in card
    assert f"| {found['rates']['held_out']['accepted']:.1%} |" in row
    assert (bundle / model_card.CURVES_FILE).read_bytes() == b"curves"
    assert after.model_path.read_bytes() == (RELEASED / "model.tflite").read_bytes()


def test_calibrate_elsewhere_leaves_the_bundle(bundle: Path, shapes: Path, tmp_path: Path) -> None:
    before = load_bundle(bundle)
    (bundle / model_card.CURVES_FILE).write_bytes(b"curves")
    out = tmp_path / "new"
    words = ("calibrate", bundle, "--alone", shapes, "--false-accept", 0.5, "--wrong", 0.5, "--folds", 3)
    result = run(*words, "--out", out)
    assert result.exit_code == 0, result.output
    assert load_bundle(bundle) == before
    found = load_bundle(out).training["calibration"]
    assert found["queries"] == 6 * 7  # three of ten photos are references
    assert len(found["by_fold"]) == 3
    assert (out / model_card.CURVES_FILE).read_bytes() == b"curves"
    # The same again is the same bundle.
    assert run(*words, "--out", tmp_path / "again").exit_code == 0
    assert load_bundle(tmp_path / "again").id == load_bundle(out).id


def test_calibrate_as_json_with_strangers_and_split_files(shapes: Path, shape_queries: Path, tmp_path: Path) -> None:
    strangers = tmp_path / "strangers"
    for sku in ("red-bar", "red-circle"):
        shutil.copytree(shape_queries / sku, strangers / f"other-{sku}")
    (strangers / "other-red-bar" / "bad.png").write_bytes(b"text")
    listed = tmp_path / "asked.txt"
    names = sorted(path for path in shape_queries.rglob("*.png") if path.stem in "012")
    listed.write_text("".join(f"{os.path.relpath(path, tmp_path)}, 7\n" for path in names))
    result = run(
        *("calibrate", RELEASED, "--gallery", shapes, "--queries", listed, "--unknown", strangers, "--json"),
        *("--false-accept", 0.5, "--wrong", 0.5, "--folds", 2, "--seed", 5, "--out", tmp_path / "out"),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    found = json.loads(result.stdout)
    made = load_bundle(tmp_path / "out")
    assert found == {"bundle": made.id, **made.training["calibration"]}
    assert (found["queries"], found["seed"], len(found["by_fold"])) == (18, 5, 2)
    assert found["sets"][0]["name"].startswith("asked in ")
    assert (found["strangers"]["names"], found["strangers"]["photos"]) == (["strangers"], 8)
    assert sum(found["strangers"]["rates"].values()) == pytest.approx(1)
    assert "| strangers | in no gallery |" in (tmp_path / "out" / model_card.CARD_FILE).read_text()
    assert result.stderr.count("skipped") == 1
    assert "bad.png" in result.stderr


def test_calibrate_with_the_visit_kept_and_with_low_quality(shapes: Path, shape_queries: Path, tmp_path: Path) -> None:
    words = ("calibrate", RELEASED, "--gallery", shapes, "--queries", shape_queries, "--folds", 2, "--json")
    result = run(
        *words, "--false-accept", 1, "--wrong", 1, "--same-visit", "kept", "--degraded", "--out", tmp_path / "out"
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["same_visit"], found["queries"]) == ("kept", 48)
    plain, worse = found["sets"]
    assert worse["name"] == f"{plain['name']}, in low quality"
    assert (plain["same_visit"], plain["not_asked"], worse["queries"]) == (0, 0, 24)
    card = (tmp_path / "out" / model_card.CARD_FILE).read_text()
    assert "in low quality | in the gallery |" in card
    assert "were kept: they flatter" in card


def test_calibrate_needs_pairs(shapes: Path) -> None:
    for words in ([], ["--gallery", shapes], ["--gallery", shapes, "--queries", shapes, "--queries", shapes]):
        result = run("calibrate", RELEASED, *words)
        assert result.exit_code == 2
        assert "in pairs" in result.stderr
    result = run("calibrate", RELEASED, "--alone", shapes, "--unknown", shapes / ".." / shapes.name)
    assert result.exit_code == 2
    assert "that no gallery holds" in result.stderr


def test_calibrate_with_too_little(shapes: Path, shape_queries: Path, tmp_path: Path) -> None:
    words = ("calibrate", RELEASED, "--gallery", shapes, "--queries", shape_queries, "--out", tmp_path / "out")
    assert "--folds 6" in failed(*words, "--folds", 7)
    assert "--references" in failed("calibrate", RELEASED, "--alone", shapes, "--references", 10)
    assert not (tmp_path / "out").exists()


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
    from embedder.networks import backbones

    assert tuple(recipe.BACKBONES) == tuple(backbones.BACKBONES)


def test_defaults_are_those_of_the_training(shapes: Path) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")
    from embedder.networks import embedding_network
    from embedder.training.recipe import TrainConfig

    command = cli.main.commands["train"]
    given = command.make_context("train", [str(shapes), "--out", "bundle"]).params
    for name, default in dataclasses.asdict(TrainConfig(data=(shapes,))).items():
        if name not in ("left_out", "teaching"):  # worked out of what is given
            assert given[name] == default, name
    heads = next(option.type for option in command.params if option.name == "head")
    assert tuple(heads.choices) == embedding_network.HEADS


@pytest.mark.slow
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
    assert "no photo to judge by" in failed(*small, "--val", empty)
    assert "no training" in failed("export", empty, "--out", tmp_path / "out")
    (empty / "mine.txt").touch()
    assert "left alone" in failed("train", shapes, "--out", empty)
    assert not (tmp_path / "out").exists()


def test_folders_of_a_nas_are_the_skus_that_people_made(shapes: Path, shape_queries: Path, tmp_path: Path) -> None:
    for name, source in (("gallery", shapes), ("queries", shape_queries)):
        shutil.copytree(source, tmp_path / name)
        shutil.copytree(source / "red-bar", tmp_path / name / "#recycle" / "gone")
        shutil.copytree(source / "red-bar", tmp_path / name / "green-bar" / "@eaDir" / "0.png")
    result = run("evaluate", RELEASED, "--gallery", tmp_path / "gallery", "--queries", tmp_path / "queries", "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert (figures["skus"], figures["queries"], figures["gallery"]) == (6, 24, 60)
    assert len(result.stderr.splitlines()) == 2
    for line, name in zip(result.stderr.splitlines(), ("gallery", "queries"), strict=True):
        root = tmp_path / name
        assert line.startswith(f"note      {root}: 2 hidden and system files and folders: {root}/#recycle, ")


def test_what_a_folder_leaves_out_is_told_before_the_command_runs(shapes: Path, tmp_path: Path) -> None:
    for sku in ("red-bar", "green-bar"):
        shutil.copytree(shapes / sku, tmp_path / "in" / sku)
        shutil.copytree(shapes / sku, tmp_path / "in" / sku / "back")
    (tmp_path / "in" / "MILK-1").mkdir()
    (tmp_path / "in" / "MILK-1" / "1.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (tmp_path / "in" / "TEA-1").symlink_to(shapes / "red-bar")
    (tmp_path / "in" / "list.txt").write_text("a list")
    result = run("evaluate", RELEASED, "--alone", tmp_path / "in", "--references", 1, "--json")
    assert result.exit_code == 0, result.output
    said = result.stderr
    assert "left out  " in said and "MILK-1/1.heic: HEIC is a format of pictures that can't be read" in said
    assert "TEA-1: it is a link that leads out of" in said
    assert "note      the SKU 'back' comes from 2 folders" in said
    assert f"1 files that are no photos: {tmp_path}/in/list.txt" in said


def test_a_bundle_whose_vectors_are_not_finite_is_refused(shapes: Path, numberless_bundle: Bundle) -> None:
    bad = numberless_bundle.path
    assert "not finite" in failed("evaluate", bad, "--gallery", shapes, "--queries", shapes)
    assert "not finite" in failed("evaluate", bad, "--photos", shapes, "--json")
    assert "not finite" in failed("calibrate", bad, "--alone", shapes)
    assert load_bundle(bad).id == numberless_bundle.id, "it is as it was"
