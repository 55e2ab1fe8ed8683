"""The exported bundle is the trained network, and says how it came to be."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

tf = pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder import cli, datasets, model_card
from embedder.bundle import Bundle, load_bundle
from embedder.errors import BundleError, DataError
from embedder.inference import Embedder, litert, self_test
from embedder.training import batches, export, recipe, work_folder

pytestmark = pytest.mark.slow

NOTE = "shapes: drawn for the tests"


@pytest.fixture(scope="module")
def exported(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """What `embedder export` makes of the trained network's work folder."""
    out = tmp_path_factory.mktemp("export") / "bundle"
    words = ["export", str(trained.work), "--out", str(out), "--version", "3", "--note", NOTE]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 0, result.output
    made = load_bundle(out)
    assert made.id in result.stdout
    return made


def test_litert_gives_the_vectors_of_keras(exported: Bundle, trained: Any, shape_queries: Path) -> None:
    photos = [batches.read(path, 32) for path in sorted(shape_queries.rglob("*.png"))]
    served = Embedder(exported, workers=2).embed(photos)
    saved = work_folder.resumed(trained.config, trained.work, trained.batches.photos)
    saved.use_average()
    kept = saved.network(np.stack(photos).astype(np.float32), training=False).numpy()
    assert served.shape == kept.shape == (24, 16)
    worst, spread = 1 - (served * kept).sum(axis=1).min(), 1 - (kept @ kept.T).min()
    assert worst < 0.001
    # So short a training leaves the vectors near to each other: they must agree far better than they differ.
    assert worst < spread / 50


def test_it_is_the_average_that_is_served(exported: Bundle, trained: Any) -> None:
    """By the Dense layer's weights, [dim, channels] in the file and rounded to float16."""
    interpreter = tf.lite.Interpreter(model_path=str(exported.model_path))
    interpreter.allocate_tensors()
    (dense,) = [one["index"] for one in interpreter.get_tensor_details() if one["shape"].tolist() == [16, 1280]][:1]
    served = interpreter.get_tensor(dense).astype(np.float32).T
    last = work_folder.resumed(trained.config, trained.work, trained.batches.photos)
    raw = last.network.get_layer("embedding").kernel.numpy().copy()
    last.use_average()
    average = last.network.get_layer("embedding").kernel.numpy()
    assert np.abs(served - average).max() < 5e-5
    assert np.abs(raw - average).max() > 2e-4


def test_it_carries_a_self_test_that_serving_passes(exported: Bundle) -> None:
    test = exported.self_test
    assert test is not None
    assert self_test.check_self_test(exported, litert.open_interpreter(exported)) == pytest.approx(1, abs=1e-4)
    assert (len(test.vector), test.cosine) == (16, 0.995)
    assert self_test.draw(test.picture).size == (320, 240)


def test_model_takes_bytes_of_pixels(exported: Bundle) -> None:
    interpreter = tf.lite.Interpreter(model_path=str(exported.model_path))
    photo, vector = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert (photo["dtype"], photo["shape"].tolist()) == (np.uint8, [1, 32, 32, 3])
    assert (vector["dtype"], vector["shape"].tolist()) == (np.float32, [1, 16])


def test_weights_are_stored_in_half_precision(exported: Bundle, trained: Any) -> None:
    floats = sum(int(np.prod(w.shape)) for w in trained.network.weights)
    assert exported.model_path.stat().st_size < 2.3 * floats


def test_bundle_tells_how_it_was_trained(exported: Bundle, settings: dict[str, Any]) -> None:
    assert load_bundle(exported.path) == exported
    assert (exported.name, exported.version, exported.dim, exported.size) == ("efficientnetlite0", "3", 16, 32)
    told = exported.training
    assert told["sets"] == [{"name": "shapes", "photos": 60, "skus": 6}]
    assert (told["photos"], told["skus"], told["steps"]) == (60, 6, 30)
    assert (told["backbone"], told["weights"], told["lr"], told["seed"]) == ("efficientnetlite0", "none", 2e-3, 7)
    assert [epoch for epoch, _ in told["figures_by_epoch"]] == [3, 6]
    assert told["figures"] == told["figures_by_epoch"][-1][1]
    assert told["notes"] == [NOTE]


def test_nothing_in_it_tells_where_it_was_made(exported: Bundle, shapes: Path) -> None:
    for name in ("bundle.json", model_card.CARD_FILE):
        assert str(shapes.parent) not in (exported.path / name).read_text()


def test_card_and_curves_lie_beside_it(exported: Bundle) -> None:
    assert f"- {NOTE}" in (exported.path / model_card.CARD_FILE).read_text()
    curves = exported.path / model_card.CURVES_FILE
    assert curves.stat().st_size < 60_000
    with Image.open(curves) as picture:
        assert picture.format == "PNG"
        assert picture.width > 500


def test_work_folder_without_a_training_or_a_checkpoint(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no training"):
        export.export_work(tmp_path, tmp_path / "out", name=None, version="1")
    work_folder.prepare(recipe.TrainConfig(**settings), tmp_path / "work", resume=False, say=print)
    with pytest.raises(DataError, match="no checkpoint yet"):
        export.export_work(tmp_path / "work", tmp_path / "out", name=None, version="1")
    assert not (tmp_path / "out").exists()


def test_foreign_folder_is_refused_before_the_work(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BundleError, match="left alone"):
        export.export_work(trained.work, tmp_path, name=None, version="1")
    assert os.listdir(tmp_path) == ["mine.txt"]


def test_split_folders_keep_their_parents_name(trained: Any, shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes, tmp_path / "fruit" / "train")
    photos = datasets.find_photos(tmp_path / "fruit" / "train")
    counted = export._count(tmp_path / "fruit" / "train", photos)
    assert counted == {"name": "fruit/train", "photos": 60, "skus": 6}
    assert export._count(tmp_path / "fruit", photos)["name"] == "fruit"
    (tmp_path / "other").mkdir()
    assert export._count(tmp_path / "other", photos) == {"name": "other", "photos": 0, "skus": 0}
