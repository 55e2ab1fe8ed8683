"""Frozen, the backbone stays to the bit what it started as while the head learns; thawed, all of it learns."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.trainings import arguments, losses

pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder import cli, model_card
from embedder.bundle import load_bundle
from embedder.networks import backbones, embedding_network, weights
from embedder.training import epoch_log, recipe, work_folder
from embedder.training.trainer import CHECKPOINTS

pytestmark = pytest.mark.slow

#: Five steps an epoch: the first thawed step is the eleventh.
FREEZE, THAW = 2, 10


@pytest.fixture(scope="module")
def frozen(settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The training of seconds, from the arrays of a backbone alone, frozen for two of its four epochs."""
    start = tmp_path_factory.mktemp("start") / "start.npz"
    backbone = backbones.build_backbone("efficientnetlite0", "none")
    weights.save_arrays(
        embedding_network.build_embedder(backbone, "pooled", 8), start
    )  # 8: a head that fits none of 16
    return {**settings, "weights": str(start), "schedule": ((32, 3), (48, 1)), "freeze": FREEZE}


def prepare(settings: dict[str, Any], work: Path, *, resume: bool = False) -> Any:
    return work_folder.prepare(recipe.TrainConfig(**settings), work, resume=resume, say=lambda line: None)


def parts(trainer: Any, weights: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Weights in the network's order -> (the backbone's that gradients move, its batch-norm statistics, the head's)."""
    named = [(one.name, value.numpy()) for one, value in zip(trainer.network.weights, weights, strict=True)]
    named = [(name, value) for name, value in named if not name.startswith("normalization")]
    moving = [value for name, value in named if "moving_" in name]
    head = [value for name, value in named if name.startswith("embedding/")]
    assert (len(moving), len(head)) == (98, 2)
    rest = [value for name, value in named if "moving_" not in name and not name.startswith("embedding/")]
    return rest, moving, head


def same(one: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"teacher": "its start", "teaching": 1.0},
        {"loss": "cross-entropy", "softmax": 0.0},
        {"precision": "mixed", "loss": "semi-hard"},
        {"mine_every": 3, "mine_photos": 24, "softmax": 0.0, "mix": 0.0},
    ],
    ids=["taught", "cross-entropy", "in float16", "mined"],
)
def test_only_the_head_learns_until_the_thaw(changes: dict[str, Any], frozen: dict[str, Any], tmp_path: Path) -> None:
    if "teacher" in changes:
        changes = {**changes, "teacher": frozen["weights"]}
    trainer = prepare({**frozen, **changes, "schedule": ((32, 4),)}, tmp_path / "work")
    start = parts(trainer, trainer.network.weights)
    thrown_away = [one.numpy() for one in trainer._objective.head()]
    stream = trainer._stream(0)
    for step in range(THAW):
        trainer._feed(step, next(stream))
    held = parts(trainer, trainer.network.weights)
    for now in (held, parts(trainer, trainer._average)):
        assert same(now[0], start[0])
        assert same(now[1], start[1])
        assert not same(now[2], start[2])
    learned = [one.numpy() for one in trainer._objective.head()]
    assert len(learned) > 2
    moves = [not np.array_equal(old, new) for old, new in zip(thrown_away, learned, strict=True)]
    # The prototypes, the third, learn nothing where the softmax weighs nothing.
    assert moves == [index != 2 or trainer.config.softmax > 0 for index in range(len(learned))]

    for step in range(THAW, 20):  # in float16 the first ones overflow, until the loss is scaled by less
        trainer._feed(step, next(stream))
    for now in (parts(trainer, trainer.network.weights), parts(trainer, trainer._average)):
        assert not any(np.array_equal(a, b) for a, b in zip(now[1], start[1], strict=True))
        assert not same(now[0], held[0])
        assert not same(now[2], held[2])


def test_thawed_weights_begin_at_the_learning_rate(frozen: dict[str, Any], tmp_path: Path) -> None:
    """Adam's first step moves by the rate, whatever the gradient; with frozen steps counted, it would be by half."""
    trainer = prepare(frozen, tmp_path / "work")
    for step in range(THAW):
        trainer._feed(step, trainer.batches.batch(step, 32))
    before = parts(trainer, trainer.network.weights)[0]
    trainer._feed(THAW, trainer.batches.batch(THAW, 32))
    after = parts(trainer, trainer.network.weights)[0]
    moved = max(float(np.abs(new - old).max()) for old, new in zip(before, after, strict=True))
    assert moved == pytest.approx(trainer._rate(THAW), rel=0.02)


def test_the_rate_warms_up_again_at_the_thaw(frozen: dict[str, Any], tmp_path: Path) -> None:
    schedule = ((32, 20), (48, 20))  # 200 steps, of which 3 % warm up
    thawing = prepare({**frozen, "schedule": schedule, "freeze": 20}, tmp_path / "a")
    never = prepare({**frozen, "schedule": schedule, "freeze": 0}, tmp_path / "b")
    rates = np.array([[one._rate(step) for step in range(200)] for one in (thawing, never)])
    np.testing.assert_allclose(rates[0, 100:106] / rates[1, 100:106], np.arange(1, 7) / 6)
    np.testing.assert_array_equal(np.delete(rates[0], range(100, 105)), np.delete(rates[1], range(100, 105)))


def killed_at(step: int, words: list[str], work: Path) -> None:
    """Run `embedder train` until it has written the checkpoint of a step, and kill it."""
    command = [sys.executable, "-c", "from embedder.cli import main; main()", "train", *words]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 900
    state = work / CHECKPOINTS / "checkpoint"
    try:
        while not (state.exists() and f'"ckpt-{step}"' in state.read_text()):
            assert running.poll() is None, running.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        running.send_signal(signal.SIGKILL)
        running.communicate()
    assert running.returncode == -signal.SIGKILL


def test_killed_on_either_side_of_the_thaw_it_comes_to_the_same_losses(frozen: dict[str, Any], tmp_path: Path) -> None:
    whole = prepare(frozen, tmp_path / "whole")
    whole.run(quiet=True)
    assert [line["frozen"] for line in epoch_log.read_log(tmp_path / "whole")] == [True, True, False, False]

    work, out = tmp_path / "work", tmp_path / "bundle"
    words = [*arguments(frozen), "--work", str(work), "--out", str(out)]
    killed_at(5, words, work)
    for step in (THAW, THAW + 5):  # as it thaws, which takes seconds to compile, and thawed
        killed_at(step, [*words, "--resume"], work)
    ended = CliRunner().invoke(cli.main, ["train", *words, "--resume"])
    assert ended.exit_code == 0, ended.output
    assert losses(work) == pytest.approx(losses(tmp_path / "whole"), rel=1e-3)
    assert [line["frozen"] for line in epoch_log.read_log(work)] == [True, True, False, False]
    again = prepare(frozen, work, resume=True)
    assert again.step == 20
    assert [int(learner.optimizer.iterations) for learner in (again._frozen, again._thawed)] == [10, 10]
    for one, other in zip(again._average, whole._average, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-2, atol=1e-3)

    assert load_bundle(out).training["freeze"] == FREEZE
    card = (out / model_card.CARD_FILE).read_text()
    assert "- Frozen: the backbone, in the first 2 of these epochs" in card
    assert "--freeze 2" in card


def test_frozen_to_the_end_is_a_probe_of_the_start(frozen: dict[str, Any], tmp_path: Path) -> None:
    """Every epoch frozen: the command says so, and what it serves is the start's backbone with a head that learned."""
    probe = {**frozen, "schedule": ((32, 3),), "freeze": 3}
    work = tmp_path / "work"
    words = [*arguments(probe), "--work", str(work), "--out", str(tmp_path / "bundle")]
    result = CliRunner().invoke(cli.main, ["train", *words])
    assert result.exit_code == 0, result.output
    assert "epoch 1, 32 px, frozen, loss" in result.stderr
    log = epoch_log.read_log(work)
    assert all(line["frozen"] for line in log)
    assert log[-1]["softmax"] < log[0]["softmax"]
    served = prepare(probe, work, resume=True)
    served.use_average()
    start = backbones.build_backbone("efficientnetlite0", frozen["weights"])
    arrays = [one.numpy() for one in start.weights if not one.name.startswith("normalization")]
    rest, moving, _ = parts(served, served.network.weights)
    kinds = ["moving_" in one.name for one in start.weights if not one.name.startswith("normalization")]
    assert same(rest, [one for one, statistic in zip(arrays, kinds, strict=True) if not statistic])
    assert same(moving, [one for one, statistic in zip(arrays, kinds, strict=True) if statistic])
