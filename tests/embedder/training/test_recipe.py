"""Settings of a training: what excludes each other, what older trainings leave unsaid, and TOML files of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from embedder import cli
from embedder.errors import DataError
from embedder.training.recipe import CONFIG_FILE, DISTANCES, LOSSES, TrainConfig, read_config, read_toml


def config(**settings: Any) -> TrainConfig:
    return TrainConfig(data=("photos",), **settings)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"loss": "contrastive"}, "--loss contrastive"),
        ({"distance": "L1"}, "--distance L1"),
        ({"margin": -0.5}, "--margin -0.5"),
        ({"mix": 0.5}, "--softmax or a --teacher"),
        ({"mix": 0.5, "loss": "semi-hard"}, "--softmax or a --teacher"),
        ({"teacher": "released"}, "--teaching above 0"),
        ({"teaching": 1.0}, "needs a --teacher"),
        ({"head": "flatten", "schedule": ((128, 2), (160, 1))}, "one size"),
        ({"mine_every": 50, "loss": "semi-hard"}, "--loss batch-hard, not semi-hard"),
        ({"mine_every": 50, "loss": "cross-entropy"}, "--loss batch-hard, not cross-entropy"),
        ({"mine_every": 50, "balance": 0.5}, "without --balance"),
        ({"mine_every": 50, "mine_photos": 63}, "a batch alone has 64"),
        ({"freeze": 1, "weights": "none"}, "--weights none it knows nothing"),
        ({"freeze": 4, "schedule": ((128, 2), (160, 1))}, "--freeze 4: the --schedule has 3 epochs"),
        ({"freeze": -1}, "--freeze -1"),
    ],
)
def test_settings_that_exclude_each_other(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        config(**settings).check()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        *({"loss": loss, "distance": distance} for loss in LOSSES for distance in DISTANCES),
        {"mix": 0.5, "softmax": 1.0},
        {"mix": 0.5, "loss": "cross-entropy"},
        {"mix": 0.5, "teacher": "released", "teaching": 1.0},
        {"mine_every": 50, "mine_photos": 64, "distance": "angular", "soft": False},
        {"weights": "none", "freeze": 0},
        {"freeze": 3, "schedule": ((128, 2), (160, 1))},
    ],
)
def test_settings_that_go_together(settings: dict[str, Any]) -> None:
    config(**settings).check()


def test_settings_make_the_trip_through_json(tmp_path: Path) -> None:
    asked = config(
        left_out=("a", "b"), schedule=((128, 2), (160, 1)), teacher="x", teaching=0.5, mine_every=7, freeze=1
    )
    (tmp_path / CONFIG_FILE).write_text(json.dumps(dataclasses.asdict(asked)))
    assert read_config(tmp_path) == asked


def test_older_trainings_are_read_with_the_defaults_of_today(tmp_path: Path) -> None:
    """As the first version wrote it."""
    older = {
        "data": ["photos"], "backbone": "efficientnetlite0", "weights": "none", "head": "pooled", "dim": 16,
        "schedule": [[32, 6]], "serve_size": None, "p": 4, "k": 3, "lr": 0.002, "margin": 1.0, "soft": True,
        "softmax": 0.5, "mix": 0.2, "average": 0.95, "seed": 7,
    }  # fmt: skip
    (tmp_path / CONFIG_FILE).write_text(json.dumps(older))
    found = read_config(tmp_path)
    assert (found.loss, found.distance, found.mine_every, found.balance) == ("batch-hard", "squared-L2", 0, 0.0)
    assert (found.left_out, found.teacher, found.dim, found.freeze) == ((), None, 16, 0)


def given(tmp_path: Path, text: str, *words: str) -> dict[str, Any]:
    """What `embedder train --config FILE` understands of a TOML file and of further words."""
    file, photos = tmp_path / "recipe.toml", tmp_path / "photos"
    file.write_text(text)
    photos.mkdir(exist_ok=True)
    command = cli.main.commands["train"]
    return command.make_context("train", [str(photos), "--out", "bundle", "--config", str(file), *words]).params


RECIPE = """
backbone = "efficientnetlite0"
schedule = "64:2,96:1"
serve-size = 128
dim = 64
lr = 5e-4
soft = false
loss = "semi-hard"
mine_photos = 2000
note = ["one", "two"]
"""


def test_toml_takes_the_place_of_the_defaults(tmp_path: Path) -> None:
    found = given(tmp_path, RECIPE)
    assert found["schedule"] == ((64, 2), (96, 1))
    assert (found["backbone"], found["serve_size"], found["dim"], found["lr"]) == ("efficientnetlite0", 128, 64, 5e-4)
    assert (found["soft"], found["loss"], found["mine_photos"]) == (False, "semi-hard", 2000)
    assert found["notes"] == ("one", "two")
    assert (found["p"], found["k"], found["seed"]) == (16, 4, 1)  # not in the file


def test_the_command_line_goes_before_the_toml(tmp_path: Path) -> None:
    found = given(tmp_path, RECIPE, "--dim", "32", "--soft", "--schedule", "48:1")
    assert (found["dim"], found["soft"], found["schedule"]) == (32, True, ((48, 1),))
    assert found["lr"] == 5e-4


@pytest.mark.parametrize("key", ["colour", "out", "data", "config", "left_out"])
def test_an_unknown_option_is_named(key: str, tmp_path: Path) -> None:
    with pytest.raises(click.BadParameter, match=f"no option --{key.replace('_', '-')}"):
        given(tmp_path, f'{key} = "x"')


@pytest.mark.parametrize("line", ["dim = 'wide'", "schedule = [[64, 2]]", "schedule = 5", "loss = 'none'", "p = 1"])
def test_values_that_an_option_does_not_take(line: str, tmp_path: Path) -> None:
    with pytest.raises(click.BadParameter):
        given(tmp_path, line)


@pytest.mark.parametrize("content", [b"dim = ", b"[", b"\xff\xfe", b"a = 1\na = 2"])
def test_broken_toml_is_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"recipe\.toml is no TOML"):
        read_toml(file)
    result = CliRunner().invoke(cli.main, ["train", str(tmp_path), "--out", "bundle", "--config", str(file)])
    assert result.exit_code == 1
    assert result.stderr.startswith("embedder: ")
    assert result.stderr.count("\n") == 1
