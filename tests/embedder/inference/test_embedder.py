"""The released bundle's runtime: vectors, threads, errors."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from embedder import images
from embedder.bundle import RELEASED, BundleParts, load_bundle, write_bundle
from embedder.errors import BundleError, ImageError
from embedder.inference import Embedder


@pytest.fixture(scope="module")
def photos(shapes: Path, released: Embedder) -> list[images.Pixels]:
    paths = sorted(shapes.rglob("*.png"))[::4]
    return [images.load(path.read_bytes(), released.bundle.size) for path in paths]


def test_vectors_have_unit_length_and_the_bundles_width(released: Embedder, photos: list[images.Pixels]) -> None:
    vectors = released.embed(photos)
    assert vectors.shape == (len(photos), released.bundle.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors @ vectors.T)[~np.eye(len(photos), dtype=bool)].min() < 0.98  # not one vector for all


def test_no_photos_one_photo_many_photos(released: Embedder, photos: list[images.Pixels]) -> None:
    assert released.embed([]).shape == (0, released.bundle.dim)
    one = released.embed(photos[:1])
    assert one.shape == (1, released.bundle.dim)
    np.testing.assert_array_equal(one[0], released.embed(photos[:3])[0])


def test_sixteen_threads_give_the_vectors_of_one(released: Embedder, photos: list[images.Pixels]) -> None:
    serial = [released.embed_one(photo) for photo in photos]
    with ThreadPoolExecutor(16) as pool:
        parallel = list(pool.map(released.embed_one, photos * 6))
    np.testing.assert_array_equal(parallel, serial * 6)


def test_files_keep_their_order_and_tell_their_errors(released: Embedder, shapes: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    paths = sorted(shapes.rglob("*.png"))[:12]
    paths.insert(5, broken)
    results = list(released.embed_files(paths))
    assert [path for path, _ in results] == paths
    assert [path for path, result in results if isinstance(result, ImageError)] == [broken]
    np.testing.assert_array_equal(results[2][1], released.embed_bytes(paths[2].read_bytes()))


@pytest.mark.parametrize("views", [("whole",), ("whole", "centre")])
def test_vector_of_a_photo_is_the_mean_of_its_views(views: tuple[str, ...], shapes: Path, tmp_path: Path) -> None:
    old = load_bundle(RELEASED)
    shape = {"dim": old.dim, "size": old.size, "views": views}
    made = write_bundle(tmp_path / "b", BundleParts(old.model_path.read_bytes(), name="n", version="1", **shape))
    embedder = Embedder(made, workers=2)
    photo = next(shapes.rglob("*.png")).read_bytes()
    picture = images.decode(photo)
    mean = embedder.embed([images.view(picture, made.size, name) for name in views]).mean(axis=0)
    np.testing.assert_allclose(embedder.embed_bytes(photo), mean / np.linalg.norm(mean), atol=1e-6)


def test_map_runs_beside_and_keeps_order(released: Embedder) -> None:
    assert list(released.map(lambda number: number * 2, range(50))) == list(range(0, 100, 2))


def test_bytes_that_are_no_photo(released: Embedder) -> None:
    with pytest.raises(ImageError) as caught:
        released.embed_bytes(b"")
    assert caught.value.code == "empty"


@pytest.mark.parametrize("changes", [{"dim": 8}, {"size": 32}])
def test_model_that_is_not_what_the_bundle_says(tmp_path: Path, changes: dict[str, int]) -> None:
    old = load_bundle(RELEASED)
    shape = {"dim": old.dim, "size": old.size, **changes}
    made = write_bundle(tmp_path / "b", BundleParts(old.model_path.read_bytes(), name="lie", version="1", **shape))
    with pytest.raises(BundleError, match="takes"):
        Embedder(made, workers=1)


def test_model_that_is_no_model(tmp_path: Path) -> None:
    made = write_bundle(tmp_path / "b", BundleParts(b"TFL3 it is not", name="text", version="1", dim=8, size=32))
    with pytest.raises(BundleError, match="no LiteRT model"):
        Embedder(made, workers=1)


def test_close_stops_the_threads(shapes: Path) -> None:
    embedder = Embedder.open(RELEASED, workers=2)
    list(embedder.map(str, range(4)))
    embedder.close()
    with pytest.raises(RuntimeError, match="shutdown"):
        embedder.map(str, range(4))


OPEN = "from embedder.inference import Embedder; from embedder.bundle import RELEASED; e = Embedder.open(RELEASED, 2); "


def test_stderr_stays_silent_and_works_afterwards() -> None:
    code = OPEN + "import os; os.write(2, b'still here')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "still here")


def test_other_words_on_stderr_get_through_meanwhile() -> None:
    code = (
        "import os; from embedder.inference.litert import _no_announcement\n"
        "with _no_announcement(): os.write(2, b'INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\\nERROR: x\\n')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stderr == "ERROR: x\n"


def test_opens_without_a_stderr() -> None:
    """As a daemon may run."""
    code = "import os; os.close(2); " + OPEN + "print(e.bundle.dim)"
    ran = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    assert ran.stdout == f"{load_bundle(RELEASED).dim}\n"


def test_serving_imports_no_tensorflow() -> None:
    code = (
        OPEN + "import sys, embedder.cli; print([m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'keras')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    assert ran.stdout == "[]\n"


def test_step_by_step_on_one_thread_the_features_are_the_same(released: Embedder, shapes: Path) -> None:
    data = sorted(shapes.rglob("*.png"))[0].read_bytes()
    steps: list[int] = []

    @contextmanager
    def step() -> Iterator[None]:
        steps.append(threading.get_ident())
        yield

    at_once, stepwise = released.extract_reference(data), released.extract_reference(data, step=step)
    np.testing.assert_array_equal(stepwise.vector, at_once.vector)
    assert stepwise.local is not None and at_once.local is not None
    np.testing.assert_array_equal(stepwise.local.descriptors, at_once.local.descriptors)
    assert steps == [threading.get_ident()] * 3, "the picture, its vector, its local features"
