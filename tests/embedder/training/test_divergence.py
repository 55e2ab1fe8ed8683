"""A training that diverges ends at once: one line, status 1, no bundle, and what was good stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

tf = pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder import cli
from embedder.errors import DataError, DivergedError
from embedder.training import export, recipe, work_folder
from embedder.training.epoch_log import LOG_FILE
from embedder.training.trainer import CHECKPOINTS, Trainer
from tests.support.trainings import arguments


def refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def log_of(work: Path) -> list[dict[str, Any]]:
    """The log, each line of which is JSON: NaN and Infinity are not."""
    path = work / LOG_FILE
    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("schedule", [((32, 3),), ((32, 1),)], ids=["some epochs", "one"])
def test_a_learning_rate_that_is_far_too_high(settings: dict[str, Any], tmp_path: Path, schedule: Any) -> None:
    work, out = tmp_path / "work", tmp_path / "bundle"
    asked = arguments({**settings, "lr": 1e30, "schedule": schedule, "k": 2})
    result = CliRunner().invoke(cli.main, ["train", *asked, "--work", str(work), "--out", str(out)])
    assert isinstance(result.exception, SystemExit) and result.exit_code == 1, result.output
    told = [line for line in result.stderr.splitlines() if line.startswith("embedder:")]
    assert len(told) == 1 and "is not finite" in told[0] and "--lr" in told[0]
    assert told[0] == result.stderr.splitlines()[-1]
    assert not out.exists()
    assert log_of(work) == []
    assert not list((work / CHECKPOINTS).glob("ckpt-*"))


@pytest.mark.slow
def test_the_last_good_checkpoint_is_kept(settings: dict[str, Any], tmp_path: Path) -> None:
    config = replace(recipe.TrainConfig(**settings), schedule=((32, 4),), k=2)
    trainer = work_folder.prepare(config, tmp_path, resume=False, say=lambda line: None)
    every = trainer.batches.steps_per_epoch

    def harm(network: Any) -> dict[str, float]:
        """After the second epoch, in place of a step that goes wrong."""
        trainer._objective.softmax.prototypes.assign(np.nan * trainer._objective.softmax.prototypes)
        return {"val_top1": 0.5}

    with pytest.raises(DivergedError, match=rf"Step {2 * every + 1}: the loss .* ckpt-{2 * every} is of the last good"):
        trainer.run(validate=harm, validate_every=2, quiet=True)
    assert [entry["epoch"] for entry in log_of(tmp_path)] == [1, 2, 2]
    again = work_folder.resumed(config, tmp_path, trainer.batches.photos)
    assert again.step == 2 * every and again._is_finite(np.zeros((2, 32, 32, 3), np.uint8))
    again.run(quiet=True)
    assert [entry["epoch"] for entry in log_of(tmp_path)] == [1, 2, 2, 3, 4]


@pytest.mark.slow
def test_a_network_that_is_no_longer_finite_is_neither_kept_nor_written(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    config = replace(recipe.TrainConfig(**settings), schedule=((32, 1),), k=2)
    trainer = work_folder.prepare(config, tmp_path / "work", resume=False, say=lambda line: None)
    floats = [weight for weight in trainer.network.weights if weight.dtype.is_floating]
    good = [weight.numpy() for weight in floats]
    photos = np.full((2, 32, 32, 3), 128, np.uint8)
    assert trainer._is_finite(photos)
    for harm in (np.nan, np.inf):
        for weight, value in zip(floats, good, strict=True):
            weight.assign(np.full_like(value, harm))
        assert not trainer._is_finite(photos)
    for average in trainer._average:
        average.assign(average * average.dtype.as_numpy_dtype(np.nan) if average.dtype.is_floating else average)
    with pytest.raises(DivergedError, match="no bundle is written"):
        export.export_trainer(trainer, tmp_path / "out", name=None, version="1")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["lr", "margin", "softmax", "average"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_setting_that_is_no_number(settings: dict[str, Any], tmp_path: Path, name: str, value: float) -> None:
    with pytest.raises(DataError, match=f"--{name} (nan|inf)"):
        Trainer(recipe.TrainConfig(**{**settings, name: value}), tmp_path / "work", {})
    assert not (tmp_path / "work").exists()
