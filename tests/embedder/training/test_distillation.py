"""A teacher gives its own vectors of what the student sees, and the student comes nearer to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder.bundle import RELEASED, load_bundle
from embedder.errors import DataError, WeightsError
from embedder.inference import Embedder
from embedder.networks import backbones, embedding_network, weights
from embedder.training import batches, export, recipe, work_folder
from embedder.training.distillation import open_teacher

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what the trained network was exported to: `bundle` and `start.npz`, both 32 pixels, 16 wide."""
    folder = tmp_path_factory.mktemp("teacher")
    export.export_work(trained.work, folder / "bundle", name=None, version="1", arrays=folder / "start.npz")
    return folder


@pytest.fixture(scope="module")
def photos(shape_queries: Path) -> Any:
    """uint8 [24, 32, 32, 3]."""
    return np.stack([batches.read(path, 32) for path in sorted(shape_queries.rglob("*.png"))])


def test_a_bundle_teaches_what_it_serves(finished: Path, photos: Any) -> None:
    teach = open_teacher(str(finished / "bundle"), "mobilenetv3large", 16, seed=1)  # the student's backbone is its own
    served = Embedder.open(finished / "bundle").embed(list(photos))
    found = teach(photos.astype(np.float32))
    assert (found.shape, found.dtype) == ((24, 16), np.float32)
    np.testing.assert_allclose(found, served, atol=1e-5)
    larger = np.repeat(np.repeat(photos, 2, axis=1), 2, axis=2).astype(np.float32)  # a student that sees more pixels
    assert (teach(larger) * served).sum(axis=1).min() > 0.99


def test_arrays_teach_what_they_were_taken_from(finished: Path, trained: Any, photos: Any) -> None:
    teach = open_teacher(str(finished / "start.npz"), "efficientnetlite0", 16, seed=1)
    source = work_folder.resumed(trained.config, trained.work, trained.batches.photos)
    source.use_average()
    wanted = source.network(photos.astype(np.float32), training=False).numpy()
    found = teach(photos.astype(np.float32))
    spread = 1 - (wanted @ wanted.T).min()
    assert 1 - (found * wanted).sum(axis=1).min() < min(1e-3, spread / 50)


@pytest.mark.parametrize("kind", ["bundle", "start.npz"])
def test_the_student_comes_nearer(kind: str, finished: Path, settings: dict[str, Any], tmp_path: Path) -> None:
    taught = {"teacher": str(finished / kind), "teaching": 2.0, "softmax": 0.0, "mix": 0.3}
    config = recipe.TrainConfig(**{**settings, **taught, "schedule": ((32, 4),), "seed": 11})
    trainer = work_folder.prepare(config, tmp_path / "work", resume=False, say=print)
    history = trainer.run(quiet=True)
    assert history[-1].taught < 0.5 * history[0].taught
    assert all(line.loss == pytest.approx(line.triplet + 2 * line.taught) for line in history)
    facts = export._facts(trainer, [])
    assert (facts["teacher"], facts["teaching"]) == (kind, 2.0)  # by its name: paths stay at home


def test_released_is_the_bundle_that_ships(photos: Any) -> None:
    shipped = load_bundle(RELEASED)
    teach = open_teacher("released", "efficientnetlite0", shipped.dim, seed=1)
    served = Embedder.open(RELEASED).embed([data_at(photos[0], shipped.size)])
    assert (teach(data_at(photos[0], shipped.size)[None].astype(np.float32)) @ served.T)[0, 0] > 0.999


def data_at(photo: Any, size: int) -> Any:
    """A photo of 32 pixels a side as one of `size`, each pixel repeated, cut where it does not divide."""
    times = -(-size // 32)
    return np.ascontiguousarray(np.repeat(np.repeat(photo, times, axis=0), times, axis=1)[:size, :size])


def test_a_bundle_of_another_width_is_refused() -> None:
    with pytest.raises(WeightsError, match=f"have {load_bundle(RELEASED).dim} numbers, --dim asks for 16"):
        open_teacher("released", "efficientnetlite0", 16, seed=1)


@pytest.mark.parametrize("source", ["nowhere", "nowhere.npz", "imagenet", "none"])
def test_a_teacher_that_is_not_there(source: str) -> None:
    with pytest.raises(WeightsError, match=f"--teacher {source}"):
        open_teacher(source, "efficientnetlite0", 16, seed=1)


def test_arrays_of_another_backbone_teach_nobody(finished: Path, tmp_path: Path) -> None:
    with np.load(finished / "start.npz") as stored:
        arrays = {name: stored[name] for name in stored.files if name != "top_conv/kernel"}
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(WeightsError, match=r"--teacher .*other\.npz: no array 'top_conv/kernel'"):
        open_teacher(str(tmp_path / "other.npz"), "efficientnetlite0", 16, seed=1)


def test_arrays_without_a_head_teach_by_the_features_of_the_seed(finished: Path, tmp_path: Path, photos: Any) -> None:
    """Projected as a student of that seed starts out: taught to itself, the start keeps what it knew."""
    with np.load(finished / "start.npz") as stored:
        np.savez(
            tmp_path / "bare.npz", **{name: stored[name] for name in stored.files if name not in weights.HEAD_ARRAYS}
        )
    teach = open_teacher(str(tmp_path / "bare.npz"), "efficientnetlite0", 16, seed=5)
    backbone = backbones.build_backbone("efficientnetlite0", str(tmp_path / "bare.npz"))
    student = embedding_network.build_embedder(backbone, "pooled", 16, seed=5)
    wanted = student(photos.astype(np.float32), training=False).numpy()
    np.testing.assert_allclose(teach(photos.astype(np.float32)), wanted, atol=1e-4)


@pytest.mark.parametrize("changes", [{"teacher": "released"}, {"teaching": 1.0}])
def test_a_teacher_and_its_weight_go_together(
    changes: dict[str, Any], settings: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="--teacher"):
        work_folder.prepare(recipe.TrainConfig(**{**settings, **changes}), tmp_path / "work", resume=False, say=print)
    assert not (tmp_path / "work").exists()
