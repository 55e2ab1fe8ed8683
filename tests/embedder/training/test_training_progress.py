"""What a training says and does before its first step: photos checked, SKUs of one photo, class means."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder import datasets
from embedder.networks import weights
from embedder.training import batches, recipe, work_folder


def test_many_skus_of_one_photo_are_one_line(shapes: Path, settings: dict[str, Any], tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / "photos" / str(number)).mkdir(parents=True)
        shutil.copy(next(shapes.rglob("*.png")), tmp_path / "photos" / str(number) / "photo.png")
    said: list[str] = []
    config = recipe.TrainConfig(**{**settings, "data": (str(tmp_path / "photos"), *settings["data"])})
    work_folder.prepare(config, tmp_path / "work", resume=False, say=said.append)
    assert said == ["12 of 18 SKUs have one photo: their positives are other views of the same one"]


@pytest.mark.slow
def test_progress_is_shown_before_the_first_step(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = recipe.TrainConfig(**{**settings, "softmax": 1.0})
    first = work_folder.prepare(config, tmp_path / "first", resume=False, say=print)
    assert "photo" not in capsys.readouterr().err  # a library call is silent unless asked
    weights.save_arrays(first.network, tmp_path / "start.npz")
    again = recipe.TrainConfig(**{**settings, "softmax": 1.0, "weights": str(tmp_path / "start.npz")})
    work_folder.prepare(again, tmp_path / "log", resume=False, say=print, quiet=False)
    assert "photo" not in capsys.readouterr().err  # nor does a bar fill a log
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    work_folder.prepare(again, tmp_path / "work", resume=False, say=print, quiet=False)
    shown = capsys.readouterr().err
    assert shown.index("checking photos") < shown.index("class means")


@pytest.mark.slow
def test_class_means_are_those_of_each_skus_photos(settings: dict[str, Any], tmp_path: Path) -> None:
    config = recipe.TrainConfig(**{**settings, "softmax": 1.0})
    weights.save_arrays(
        work_folder.prepare(config, tmp_path / "a", resume=False, say=print).network, tmp_path / "s.npz"
    )
    trainer = work_folder.prepare(
        recipe.TrainConfig(**{**settings, "softmax": 1.0, "weights": str(tmp_path / "s.npz")}),
        tmp_path / "b",
        resume=False,
        say=print,
    )
    means = trainer._objective.softmax.prototypes.numpy()
    known, _ = datasets.split_references(trainer.batches.photos, trainer.batches.k)
    for label, sku in enumerate(trainer.batches.skus):
        pixels = np.stack([batches.read(path, trainer.config.schedule[0][0]) for path in known[sku]])
        alone = trainer.network(pixels.astype(np.float32), training=False).numpy().mean(axis=0)
        np.testing.assert_allclose(means[label], alone, atol=1e-5)
