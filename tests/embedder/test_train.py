"""A training of seconds: it learns, it resumes as if it had never stopped, it refuses what it can't do."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

tf = pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder import cli, images, report, train  # noqa: E402
from embedder.bundle import load_bundle  # noqa: E402
from embedder.errors import DataError, EmbedderError, ImageError  # noqa: E402

COMMAND = [sys.executable, "-c", "from embedder.cli import main; main()", "train"]


def arguments(settings: dict[str, Any]) -> list[str]:
    """The settings of a training as `embedder train` takes them."""
    words = list(settings["data"])
    for key, value in settings.items():
        if key == "schedule":
            words += ["--schedule", ",".join(f"{size}:{epochs}" for size, epochs in value)]
        elif key != "data":
            words += [f"--{key}", str(value)]
    return words


def losses(work: Path) -> dict[int, float]:
    return {entry["epoch"]: entry["loss"] for entry in train.read_log(work)}


def test_loss_falls(trained: Any) -> None:
    log = train.read_log(trained.work)
    assert [entry["epoch"] for entry in log] == [1, 2, 3, 4, 5, 6]
    assert [entry["step"] for entry in log] == [5, 10, 15, 20, 25, 30]
    assert log[-1]["triplet"] < 0.8 * log[0]["triplet"]
    assert log[-1]["softmax"] < 0.8 * log[0]["softmax"]
    assert all(entry["loss"] == pytest.approx(entry["triplet"] + 0.5 * entry["softmax"]) for entry in log)


def test_judged_when_asked_to(trained: Any) -> None:
    judged = {entry["epoch"]: entry["figures"] for entry in train.read_log(trained.work) if entry["figures"]}
    assert sorted(judged) == [3, 6]
    assert judged[6]["val_top1"] > 1 / 6  # better than a guess, by a network that began with nothing


def test_killed_training_resumes_as_if_it_had_not_been(trained: Any, settings: dict[str, Any], tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "bundle"
    asked = [*arguments(settings), "--work", str(work), "--out", str(out)]
    running = subprocess.Popen([*COMMAND, *asked], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (work / train.CHECKPOINTS / "checkpoint").exists():
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert running.returncode == -signal.SIGKILL

    resumed = CliRunner().invoke(cli.main, ["train", *asked, "--resume", "--note", "shapes: drawn"])
    assert resumed.exit_code == 0, resumed.output
    (done,) = re.findall(r"going on from step (\d+)", resumed.stderr)
    assert 5 <= int(done) < 30  # killed on the way
    assert losses(work) == pytest.approx(losses(trained.work), rel=1e-3)
    again = train.prepare(trained.config, work, resume=True, say=lambda line: None)
    assert again.step == 30
    assert int(again._optimizer.iterations.numpy()) == 30
    for one, other in zip(again._average, trained._average, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-2, atol=1e-3)
    assert again.run(quiet=True) == []  # finished already: nothing is left to do

    bundle = load_bundle(out)
    assert bundle.id in resumed.stdout
    assert bundle.training["notes"] == ["shapes: drawn"]
    assert bundle.training["steps"] == 30
    assert "- shapes: drawn" in (out / report.CARD_FILE).read_text()
    assert (out / report.CURVES_FILE).is_file()


def test_resume_needs_a_training(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no training to go on with"):
        train.prepare(train.TrainConfig(**settings), tmp_path / "work", resume=True, say=print)
    assert not (tmp_path / "work").exists()


def test_begun_training_is_not_overwritten(trained: Any) -> None:
    before = losses(trained.work)
    with pytest.raises(DataError, match="--resume"):
        train.prepare(trained.config, trained.work, resume=False, say=print)
    assert losses(trained.work) == before


def test_other_settings_are_named(trained: Any) -> None:
    other = dataclasses.replace(trained.config, lr=1.0, seed=8)
    with pytest.raises(DataError, match=r"other settings \(lr, seed\)"):
        train.prepare(other, trained.work, resume=True, say=print)


def test_other_data_below_the_same_name_is_noticed(trained: Any, shapes: Path) -> None:
    photos = images.find_photos(shapes)
    del photos["red-bar"]
    with pytest.raises(EmbedderError, match="does not fit this training"):
        train.resumed(trained.config, trained.work, photos)


def test_config_makes_the_trip_through_json(settings: dict[str, Any]) -> None:
    config = train.TrainConfig(**settings)
    assert train.TrainConfig.from_dict(json.loads(json.dumps(dataclasses.asdict(config)))) == config
    assert config.size == 32
    assert dataclasses.replace(config, serve_size=64).size == 64


@pytest.mark.parametrize("text", ["", "{}", '{"data": [], "schedule": [], "color": 1}', "[1]"])
def test_settings_of_something_else_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / train.CONFIG_FILE).write_text(text)
    with pytest.raises(DataError, match="no settings that this version reads"):
        train.read_config(tmp_path)


def test_settings_that_exclude_each_other(settings: dict[str, Any], tmp_path: Path) -> None:
    mixed = train.TrainConfig(**{**settings, "softmax": 0.0})
    with pytest.raises(DataError, match="--softmax"):
        train.prepare(mixed, tmp_path / "a", resume=False, say=print)
    flat = train.TrainConfig(**{**settings, "head": "flatten", "schedule": ((32, 1), (64, 1))})
    with pytest.raises(DataError, match="one size"):
        train.prepare(flat, tmp_path / "b", resume=False, say=print)
    wide = train.TrainConfig(**{**settings, "p": 7})
    with pytest.raises(DataError, match="7 SKUs"):
        train.prepare(wide, tmp_path / "c", resume=False, say=print)
    assert list(tmp_path.iterdir()) == []


def test_learning_rate_rises_then_falls(trained: Any) -> None:
    rates = [trained._rate(step) for step in range(30)]
    assert max(rates) == pytest.approx(2e-3)
    assert rates.index(max(rates)) <= 1
    assert rates[-1] < 0.05 * max(rates)
    assert all(late < early for early, late in pairwise(rates[1:]))


def test_broken_and_lonely_photos_are_told(shapes: Path, settings: dict[str, Any], tmp_path: Path) -> None:
    for sku in ("a", "b"):
        (tmp_path / "photos" / sku).mkdir(parents=True)
    (tmp_path / "photos/a/bad.jpg").write_bytes(b"text")
    (tmp_path / "photos/b/good.png").write_bytes(next(shapes.rglob("*.png")).read_bytes())
    said: list[str] = []
    config = train.TrainConfig(**{**settings, "data": (str(tmp_path / "photos"),)})
    with pytest.raises(DataError, match="the data has 1"):
        train.prepare(config, tmp_path / "work", resume=False, say=said.append)
    assert "skipped" in said[0]
    assert "bad.jpg" in said[0]
    assert said[1].startswith("b has one photo")


@pytest.mark.parametrize("seed", range(6))
def test_mix_keeps_the_share_of_pixels_and_targets(seed: int) -> None:
    """Photo i is all i, so that a mixed photo's mean tells the share of the other."""
    rng = np.random.default_rng(seed)
    other = np.random.default_rng(seed).permutation(8)
    pixels = np.tile(np.arange(8, dtype=np.float32)[:, None, None, None], (1, 32, 32, 3))
    mixed, targets = train.mix(pixels, np.eye(8, dtype=np.float32), rng)
    assert (mixed.dtype, targets.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), targets @ np.arange(8), atol=1e-4)
    assert all(set(np.flatnonzero(row)) <= {i, other[i]} for i, row in enumerate(targets))


def test_judge_needs_photos(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no photo"):
        train.make_judge(shapes, tmp_path, 32)
    (tmp_path / "sku").mkdir()
    (tmp_path / "sku" / "bad.jpg").write_bytes(b"text")
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        train.make_judge(shapes, tmp_path, 32)


def test_judge_counts_nearest_neighbours(shapes: Path) -> None:
    """Compared pixel by pixel, photos find themselves."""
    judge = train.make_judge(shapes, shapes, 32)

    def network(pixels: Any, *, training: bool) -> Any:
        assert not training
        flat = tf.reshape(tf.constant(pixels), (len(pixels), -1)) - 127.0
        return tf.math.l2_normalize(flat, axis=1)

    assert judge(network) == {"val_top1": 1.0}


def test_log_keeps_the_last_line_of_an_epoch(tmp_path: Path) -> None:
    assert train.read_log(tmp_path) == []
    lines = [{"epoch": 1, "loss": 3}, {"epoch": 2, "loss": 2}, {"epoch": 2, "loss": 1.5}]
    (tmp_path / train.LOG_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert train.read_log(tmp_path) == [lines[0], lines[2]]
