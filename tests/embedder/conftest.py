"""Photos and trainings that several test modules share. Photos are drawn, models are real."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from embedder.bundle import RELEASED
from embedder.datasets import find_photos
from embedder.inference import Embedder

#: Before TensorFlow is imported: it reports the CPU's features, and loads CUDA's absence, on stderr.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as `embedder train` does

SHAPES = ("circle", "square", "bar")
COLORS = {"red": (200, 40, 40), "green": (40, 170, 60), "blue": (40, 70, 200)}
SKUS = [f"{color}-{shape}" for color in COLORS for shape in SHAPES][:6]


def draw(sku: str, rng: np.random.Generator, side: int = 48) -> Image.Image:
    """A photo of a made-up product: a shape of a color, somewhere on a grey ground."""
    color, shape = sku.split("-")
    picture = Image.new("RGB", (side, side), (int(rng.integers(90, 160)),) * 3)
    pen = ImageDraw.Draw(picture)
    wide = int(rng.integers(side // 2, side * 3 // 4))
    high = wide // 3 if shape == "bar" else wide
    left, top = int(rng.integers(0, side - wide)), int(rng.integers(0, side - high))
    box = (left, top, left + wide, top + high)
    (pen.ellipse if shape == "circle" else pen.rectangle)(box, fill=COLORS[color])
    return picture


def write_photos(root: Path, skus: list[str], count: int, seed: int) -> Path:
    """`count` photos of each SKU below root/<SKU>/."""
    rng = np.random.default_rng(seed)
    for sku in skus:
        (root / sku).mkdir(parents=True)
        for number in range(count):
            draw(sku, rng).save(root / sku / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six SKUs with ten photos each."""
    return write_photos(tmp_path_factory.mktemp("data") / "shapes", SKUS, 10, seed=1)


@pytest.fixture(scope="session")
def shape_queries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other photos of the same six SKUs, four each."""
    return write_photos(tmp_path_factory.mktemp("data") / "queries", SKUS, 4, seed=2)


@pytest.fixture(scope="session")
def released() -> Embedder:
    """The bundle that ships, on two interpreters."""
    return Embedder.open(RELEASED, workers=2)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data sets and starting weights that lies beside the clone, where a machine has it."""
    return Path(__file__).parents[3] / "shared"


@pytest.fixture(scope="session")
def settings(shapes: Path) -> dict[str, Any]:
    """A training that takes seconds: a random start, 32 pixels, six epochs of five steps."""
    return {
        "data": (str(shapes),),
        "backbone": "efficientnetlite0",
        "weights": "none",
        "dim": 16,
        "schedule": ((32, 6),),
        "p": 4,
        "k": 3,
        "lr": 2e-3,
        "softmax": 0.5,
        "mix": 0.2,
        "average": 0.95,
        "seed": 7,
    }


@pytest.fixture(scope="session")
def trained(
    settings: dict[str, Any], shapes: Path, shape_queries: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """That training, run from start to end without a break: its Trainer. Skips where TensorFlow is missing."""
    pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")
    from embedder.training import recipe, validation, work_folder

    config = recipe.TrainConfig(**settings)
    trainer = work_folder.prepare(config, tmp_path_factory.mktemp("train") / "work", resume=False, say=_nothing_to_say)
    trainer.run(
        validate=validation.make_validation(find_photos(shapes), find_photos(shape_queries), 32),
        validate_every=3,
        quiet=True,
    )
    return trainer


def _nothing_to_say(line: str) -> None:
    raise AssertionError(line)


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """(picture, format, options) -> the bytes of an image file."""
    import io

    def encode(picture: Image.Image, form: str, **options: Any) -> bytes:
        file = io.BytesIO()
        picture.save(file, form, **options)
        return file.getvalue()

    return encode
