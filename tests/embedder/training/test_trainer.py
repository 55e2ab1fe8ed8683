"""A training of seconds: it learns, tells what it does, refuses what it can't do (test_survival.py: what ends it)."""

from __future__ import annotations

import dataclasses
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.trainings import arguments, losses

tf = pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder import cli, datasets, model_card
from embedder.bundle import load_bundle
from embedder.errors import DataError, ImageError, WeightsError
from embedder.inference import Embedder
from embedder.networks import weights as weights_module
from embedder.networks.weights import START_FILE
from embedder.training import epoch_log, export, recipe, validation, work_folder
from embedder.training.epoch_log import PARTS
from embedder.training.trainer import CHECKPOINTS

pytestmark = pytest.mark.slow


def test_loss_falls(trained: Any) -> None:
    log = epoch_log.read_log(trained.work)
    assert [entry["epoch"] for entry in log] == [1, 2, 3, 4, 5, 6]
    assert [entry["step"] for entry in log] == [5, 10, 15, 20, 25, 30]
    assert log[-1]["triplet"] < 0.8 * log[0]["triplet"]
    assert log[-1]["softmax"] < 0.8 * log[0]["softmax"]
    assert all(entry["loss"] == pytest.approx(entry["triplet"] + 0.5 * entry["softmax"]) for entry in log)
    assert {(entry["cross_entropy"], entry["taught"]) for entry in log} == {(0, 0)}
    assert [entry["rate"] for entry in log] == [trained._rate(entry["step"] - 1) for entry in log]


def test_shares_of_triplets_are_logged_by_epoch(trained: Any) -> None:
    shares = [entry["shares"] for entry in epoch_log.read_log(trained.work)]
    assert all(set(one) == {"easy", "semi_hard", "hard"} for one in shares)
    assert all(sum(one.values()) == pytest.approx(1) for one in shares)
    assert len({one["hard"] for one in shares}) == 6  # each measured anew
    assert all(min(one.values()) >= 0 and one["semi_hard"] > 0 for one in shares)


def test_checkpoints_keep_the_names_of_their_parts(trained: Any) -> None:
    """A training that an older version began must go on: of the default loss these, and no other."""
    stored = tf.train.list_variables(str(trained.work / CHECKPOINTS))
    parts = {name.split("/")[0] for name, _ in stored} - {"_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter"}
    assert parts == {"network", "softmax", "optimizer", "average", "step"}


def test_judged_when_asked_to(trained: Any) -> None:
    judged = {entry["epoch"]: entry["figures"] for entry in epoch_log.read_log(trained.work) if entry["figures"]}
    assert sorted(judged) == [3, 6]
    assert judged[6]["val_top1"] > 1 / 6  # better than a guess, by a network that began with nothing


#: Five steps an epoch and a mining every three: an epoch's end lies between two minings, but for the third.
OFFLINE = {"mine_every": 3, "mine_photos": 24, "mix": 0.2, "schedule": ((32, 4),)}


class Stop(Exception):
    """Ends a training on its way."""


def stop(network: Any) -> dict[str, float]:
    raise Stop


def test_offline_mining_goes_on_as_if_it_had_not_been_stopped(settings: dict[str, Any], tmp_path: Path) -> None:
    """Stopped after 10 steps, with triplets of step 9, and after 15, where the next step mines."""
    config = recipe.TrainConfig(**{**settings, **OFFLINE})
    whole = work_folder.prepare(config, tmp_path / "whole", resume=False, say=print)
    check_first_mining(whole)
    whole.run(quiet=True)
    for resume, every in ((False, 2), (True, 1)):
        trainer = work_folder.prepare(config, tmp_path / "parts", resume=resume, say=print)
        with pytest.raises(Stop):
            trainer.run(validate=stop, validate_every=every, quiet=True)
    last = work_folder.prepare(config, tmp_path / "parts", resume=True, say=print)
    assert last.step == 15
    last.run(quiet=True)
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), rel=1e-3)
    np.testing.assert_array_equal(last._mined.numpy(), whole._mined.numpy())
    for entry in epoch_log.read_log(tmp_path / "whole"):
        assert sum(entry["shares"].values()) == pytest.approx(1)
        assert entry["triplet"] > 0


def check_first_mining(trainer: Any) -> None:
    """What the network as it is mines for its first batch, looked for again among the same photos one by one."""
    batch = next(trainer._stream(0))
    mined = trainer._mined.numpy()
    among = sorted(mined[:, 0].tolist())
    assert len(set(among)) == 24
    labels = trainer._miner.labels
    vectors = dict(zip(among, trainer._embed(32, [trainer._miner.photos[i][1] for i in among]), strict=True))
    for anchor, positive, negative in mined.tolist():
        apart = {i: float(((vectors[i] - vectors[anchor]) ** 2).sum()) for i in among}
        same = [apart[i] for i in among if labels[i] == labels[anchor]]
        others = [apart[i] for i in among if labels[i] != labels[anchor]]
        assert labels[anchor] == labels[positive] != labels[negative]
        assert apart[positive] == pytest.approx(max(same), abs=1e-5)
        assert apart[negative] == pytest.approx(min(others), abs=1e-5)
    assert len(batch.labels) == 12  # four triplets
    assert (batch.labels[:4] == batch.labels[4:8]).all()
    assert (batch.labels[:4] != batch.labels[8:]).all()


def test_cross_entropy_learns_and_keeps_its_classifier_over_a_break(settings: dict[str, Any], tmp_path: Path) -> None:
    config = recipe.TrainConfig(**{**settings, "loss": "cross-entropy", "softmax": 0.0, "schedule": ((32, 1),)})
    trainer = work_folder.prepare(config, tmp_path / "work", resume=False, say=print)
    (line,) = trainer.run(quiet=True)
    assert line.loss == line.cross_entropy > 0
    assert (line.triplet, line.softmax) == (0, 0)
    assert sum(line.shares.values()) == pytest.approx(1)  # what it does to triplets is logged all the same
    again = work_folder.prepare(config, tmp_path / "work", resume=True, say=print)
    np.testing.assert_array_equal(
        again._objective.classifier.kernel.numpy(), trainer._objective.classifier.kernel.numpy()
    )
    batch = trainer.batches.batch(0, 32)
    for step in [0] * 10:  # the same batch again and again is soon known by heart
        parts, _ = trainer._feed(step, batch)
    assert parts[PARTS.index("cross_entropy")] < 0.2


def test_a_training_shows_and_tells_what_it_does(settings: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    """One run of the command: SKUs left out, photos kept aside, semi-hard; its progress bar, TensorBoard, bundle."""
    out, board = tmp_path / "bundle", tmp_path / "board"
    asked = {**settings, "schedule": ((32, 3),), "p": 3, "softmax": 0.0, "mix": 0.0, "lr": 1e-3}
    words = [*arguments(asked), "--loss", "semi-hard", "--distance", "L2", "--split", "0.2", "--leave-out", "2"]
    words += ["--val-every", "2", "--tensorboard", str(board), "--out", str(out)]
    result = CliRunner().invoke(cli.main, ["train", *words])
    assert result.exit_code == 0, result.output

    bar = r"\d+/\d+ \[\d+:\d+<\d+:\d+, .*epoch \d, 32 px, loss \d+\.\d+, \d+ images/s\]"  # 00:12<00:34: left
    assert re.search(bar, result.stderr)

    told = load_bundle(out).training
    assert (told["loss"], told["distance"], told["split"]) == ("semi-hard", "L2", 0.2)
    assert len(told["left_out"]) == 2
    assert set(told["left_out"]) < set(datasets.find_photos(shapes))
    assert (told["skus"], told["photos"]) == (4, 32)  # two of ten photos of each SKU were kept to judge by
    assert [epoch for epoch, _ in told["figures_by_epoch"]] == [2, 3]
    card = (out / model_card.CARD_FILE).read_text()
    assert "--leave-out FILE" in card
    assert "--loss semi-hard --distance L2" in card

    log = epoch_log.read_log(tmp_path / "bundle.work")
    written: dict[str, dict[int, float]] = {}
    for file in board.iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                written.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    assert {
        *("loss", "loss/triplet", "rate", "speed/images_per_second"),
        *("triplets/easy", "triplets/semi_hard", "triplets/hard", "figures/val_top1"),
    } <= set(written)
    assert written["loss"] == pytest.approx({entry["step"]: entry["loss"] for entry in log}, rel=1e-5)
    judged = {entry["step"]: entry["figures"]["val_top1"] for entry in log if entry["figures"]}
    assert written["figures/val_top1"] == pytest.approx(judged, rel=1e-5)


def test_a_training_starts_from_the_arrays_of_another(
    trained: Any, settings: dict[str, Any], shape_queries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`embedder export --arrays`, then `--weights` of it, or `released` where it lies beside the released bundle: the
    same vectors as what was exported, to the half precision that arrays are kept in."""
    arrays = tmp_path / START_FILE
    words = ["export", str(trained.work), "--out", str(tmp_path / "bundle"), "--arrays", str(arrays)]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 0, result.output
    source = work_folder.resumed(trained.config, trained.work, trained.batches.photos)
    source.use_average()
    paths = sorted(shape_queries.rglob("*.png"))
    wanted = source._embed(32, paths)
    monkeypatch.setattr(weights_module, "RELEASED", tmp_path)
    for weights in (str(arrays), "released"):
        config = recipe.TrainConfig(**{**settings, "weights": weights, "seed": 3})
        started = work_folder.prepare(config, tmp_path / weights.replace("/", "-"), resume=False, say=print)
        found = started._embed(32, paths)
        worst, spread = 1 - (wanted * found).sum(axis=1).min(), 1 - (wanted @ wanted.T).min()
        assert worst < 1e-3
        assert worst < spread / 50
    assert export._facts(started, [])["weights"] == "released"
    other = recipe.TrainConfig(**{**settings, "weights": str(arrays), "dim": 8})  # a head that does not fit: a new one
    assert work_folder.prepare(other, tmp_path / "other", resume=False, say=print)._embed(32, paths[:1]).shape == (1, 8)


def test_released_start_that_is_not_there(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_module, "RELEASED", tmp_path)
    config = recipe.TrainConfig(**{**settings, "weights": "released"})
    with pytest.raises(WeightsError, match=r"start\.npz: no such file"):
        work_folder.prepare(config, tmp_path / "work", resume=False, say=print)


def test_config_makes_the_trip_through_json(settings: dict[str, Any]) -> None:
    config = recipe.TrainConfig(**settings)
    assert recipe.TrainConfig.from_dict(json.loads(json.dumps(dataclasses.asdict(config)))) == config
    assert config.size == 32
    assert dataclasses.replace(config, serve_size=64).size == 64


@pytest.mark.parametrize("text", ["", "{}", '{"data": [], "schedule": [], "color": 1}', "[1]"])
def test_settings_of_something_else_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / recipe.CONFIG_FILE).write_text(text)
    with pytest.raises(DataError, match="no settings that this version reads"):
        recipe.read_config(tmp_path)


def test_settings_that_exclude_each_other(settings: dict[str, Any], tmp_path: Path) -> None:
    mixed = recipe.TrainConfig(**{**settings, "softmax": 0.0})
    with pytest.raises(DataError, match="--softmax"):
        work_folder.prepare(mixed, tmp_path / "a", resume=False, say=print)
    flat = recipe.TrainConfig(**{**settings, "head": "flatten", "schedule": ((32, 1), (64, 1))})
    with pytest.raises(DataError, match="one size"):
        work_folder.prepare(flat, tmp_path / "b", resume=False, say=print)
    wide = recipe.TrainConfig(**{**settings, "p": 7})
    with pytest.raises(DataError, match="7 SKUs"):
        work_folder.prepare(wide, tmp_path / "c", resume=False, say=print)
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
    config = recipe.TrainConfig(**{**settings, "data": (str(tmp_path / "photos"),)})
    with pytest.raises(DataError, match="the data has 1"):
        work_folder.prepare(config, tmp_path / "work", resume=False, say=said.append)
    assert "skipped" in said[0]
    assert "bad.jpg" in said[0]
    assert said[1] == "1 of 1 SKUs have one photo: their positives are other views of the same one"
    said.clear()
    with pytest.raises(DataError, match=r"bad\.jpg.*--strict"):
        work_folder.prepare(config, tmp_path / "work", resume=False, say=said.append, strict=True)
    assert said == []
    (tmp_path / "photos" / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(DataError, match=r"a\.heic: HEIC.*--strict"):
        work_folder.prepare(config, tmp_path / "work", resume=False, say=said.append, strict=True)
    assert not (tmp_path / "work").exists()


def test_judge_needs_photos(shapes: Path, tmp_path: Path) -> None:
    photos = datasets.find_photos(shapes)
    with pytest.raises(DataError, match="no photo to judge by"):
        validation.make_validation(photos, {}, 32)
    with pytest.raises(DataError, match="no photo to judge against"):
        validation.make_validation({}, photos, 32)
    (tmp_path / "bad.jpg").write_bytes(b"text")
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        validation.make_validation(photos, {"sku": [tmp_path / "bad.jpg"]}, 32)


def test_judge_counts_nearest_neighbours(shapes: Path) -> None:
    """Compared pixel by pixel, photos find themselves."""
    photos = datasets.find_photos(shapes)
    validate = validation.make_validation(photos, photos, 32)

    def network(pixels: Any, *, training: bool) -> Any:
        assert not training
        flat = tf.reshape(tf.constant(pixels), (len(pixels), -1)) - 127.0
        return tf.math.l2_normalize(flat, axis=1)

    assert validate(network) == {"val_top1": 1.0}


def test_log_keeps_the_last_line_of_an_epoch(tmp_path: Path) -> None:
    assert epoch_log.read_log(tmp_path) == []
    lines = [{"epoch": 1, "loss": 3}, {"epoch": 2, "loss": 2}, {"epoch": 2, "loss": 1.5}]
    (tmp_path / epoch_log.LOG_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert epoch_log.read_log(tmp_path) == [lines[0], lines[2]]


def test_a_line_cut_short_costs_no_other(tmp_path: Path) -> None:
    line = epoch_log.EpochLog(
        epoch=2, step=10, size=32, loss=1, triplet=1, cross_entropy=0, softmax=0, taught=0, rate=1e-3,
        images_per_second=9, seconds=3, shares={"easy": 1.0, "semi_hard": 0.0, "hard": 0.0}, figures={},
    )  # fmt: skip
    (tmp_path / epoch_log.LOG_FILE).write_text('{"epoch": 1, "loss": 3}\n{"epoch": 2, "lo')
    assert [entry["epoch"] for entry in epoch_log.read_log(tmp_path)] == [1]
    epoch_log.write_line(tmp_path, line)
    assert epoch_log.read_log(tmp_path) == [{"epoch": 1, "loss": 3}, dataclasses.asdict(line)]


def test_mixed_precision_learns_and_exports_in_float32(settings: dict[str, Any], tmp_path: Path) -> None:
    """What a GPU does by itself, asked for here: float16 inside, XLA, the loss scaled; served as any other."""
    config = recipe.TrainConfig(**{**settings, "precision": "mixed", "schedule": ((32, 4),)})
    trainer = work_folder.prepare(config, tmp_path / "work", resume=False, say=lambda line: None)
    history = trainer.run(quiet=True)
    assert all(np.isfinite(epoch.loss) for epoch in history) and history[-1].loss < history[0].loss
    assert {str(layer.compute_dtype) for layer in trainer.network.layers[1].layers} >= {"float16"}
    made = export.export_trainer(trainer, tmp_path / "bundle", name=None, version="1")
    photo = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    served = Embedder(made).embed_one(photo)
    assert np.dot(served, trainer.serving_network()(photo[None].astype(np.float32)).numpy()[0]) > 0.999
    assert np.dot(served, trainer.network(photo[None].astype(np.float32)).numpy()[0]) > 0.99
    assert work_folder.resumed(config, tmp_path / "work", trainer.batches.photos).step == trainer.step
