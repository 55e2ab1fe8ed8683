"""A bundle's self-test: another machine, another model, a model that sees nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedder import images
from embedder.bundle import Bundle, load_bundle, rewrite_bundle
from embedder.errors import BundleError
from embedder.inference import Embedder, check_model, self_test
from embedder.inference.litert import open_interpreter
from tests.support.models import SHIPPED, blind, made, spoiled, with_self_test


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return with_self_test(tmp_path_factory.mktemp("tested") / "bundle")


def test_picture_is_drawn_pixel_by_pixel_as_it_is_described() -> None:
    picture = {"width": 4, "height": 2, "ground": "#010203", "rectangles": ["1 0 3 1 #ff0000", "2 0 9 9 #00ff00"]}
    ground, red, green = (1, 2, 3), (255, 0, 0), (0, 255, 0)
    drawn = np.asarray(self_test.draw(picture)).tolist()
    assert [[tuple(pixel) for pixel in row] for row in drawn] == [
        [ground, red, green, green],
        [ground, ground, green, green],
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"height": 1_000_000},
        {"width": "wide"},
        {"ground": "no color"},
        {"ground": None},
        {"rectangles": None},
        {"rectangles": [17]},
        {"rectangles": ["1 2 3 4"]},
        {"rectangles": ["a b c d #ff0000"]},
        {"rectangles": ["0 0 1 1 #ff0000"] * 1001},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_picture_that_can_not_be_drawn(changes: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match="can't be drawn"):
        self_test.draw({**self_test.describe(0), **changes})


def test_machine_that_exported_it_reproduces_it_and_so_does_serving(bundle: Bundle) -> None:
    assert bundle.self_test is not None
    assert check_model(bundle) == pytest.approx(1, abs=1e-5)
    vector = Embedder(bundle, workers=1).embed_picture(self_test.draw(bundle.self_test.picture))
    np.testing.assert_allclose(vector, bundle.self_test.vector, atol=1e-5)


def test_another_runtime_reproduces_it(bundle: Bundle) -> None:
    tf = pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")
    plain = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    for options in ({}, {"experimental_op_resolver_type": plain}):
        other = tf.lite.Interpreter(model_path=str(bundle.model_path), **options)
        other.allocate_tensors()
        cosine = self_test.check_self_test(bundle, other)
        assert cosine is not None
        assert cosine > 0.9999


def test_self_test_of_another_model_is_failed(bundle: Bundle, tmp_path: Path) -> None:
    released = load_bundle(SHIPPED.path.with_name("released"))
    lie = made(tmp_path / "lie", released.model_path.read_bytes(), self_test=bundle.self_test)
    for use in (check_model, Embedder):
        with pytest.raises(BundleError, match="fails its self-test"):
            use(lie)


def test_machine_that_prepares_photos_another_way_fails_it(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    view = images.view
    monkeypatch.setattr(images, "view", lambda *given: np.ascontiguousarray(view(*given)[:, :, ::-1]))
    with pytest.raises(BundleError, match="fails its self-test"):
        check_model(bundle)


def test_tolerance_is_the_bundles(bundle: Bundle) -> None:
    """A vector that is a little off, as on another processor, and one that is more off."""
    assert bundle.self_test is not None
    off = np.array(bundle.self_test.vector)
    off[0] += 0.05
    moved = replace(bundle, self_test=replace(bundle.self_test, vector=tuple(off)))
    assert 0.998 < (check_model(moved) or 0) < 0.9995
    strict = replace(moved, self_test=replace(bundle.self_test, vector=tuple(off), cosine=0.9999))
    with pytest.raises(BundleError, match=r"not 0\.9999"):
        check_model(strict)


def test_calibrating_and_words_keep_it(bundle: Bundle, tmp_path: Path) -> None:
    again = rewrite_bundle(bundle, tmp_path / "again", training={"note": "calibrated"})
    assert again.id != bundle.id
    assert again.self_test == bundle.self_test
    assert check_model(again) == pytest.approx(1, abs=1e-5)


def test_bundles_that_ship_carry_none_and_tell_pictures_apart() -> None:
    """They are far from where a bundle is refused."""
    for name in ("released", "released-mobilenetv3large"):
        shipped = load_bundle(SHIPPED.path.with_name(name))
        assert check_model(shipped) is None
        interpreter = open_interpreter(shipped)
        vectors = [
            self_test._embed(interpreter, self_test.describe(seed), shipped.size, shipped.views) for seed in range(6)
        ]
        assert (np.array(vectors) @ np.array(vectors).T).min() < 0.9


def test_model_that_maps_everything_to_one_point_is_refused(tmp_path: Path) -> None:
    """Its vectors are finite and of unit length: nothing else would notice."""
    bundle = made(tmp_path / "blind", blind())
    vectors = Embedder(bundle, workers=1).embed(
        [images.fit(self_test.draw(self_test.describe(seed)), bundle.size) for seed in range(3)]
    )
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    with pytest.raises(BundleError, match="to one point"):
        check_model(bundle)


@pytest.mark.parametrize("weight", [b"\x00\x7e", b"\x00\x7c"], ids=["NaN", "infinite"])
def test_model_whose_vectors_are_not_finite_is_refused(tmp_path: Path, weight: bytes) -> None:
    with pytest.raises(BundleError, match="not finite"):
        check_model(made(tmp_path / "bundle", spoiled(weight)))


@pytest.mark.parametrize("changes", [{"dim": 8}, {"size": 32}, {"views": ("whole", "corner")}], ids=str)
def test_model_that_is_not_what_the_bundle_says_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match=r"takes|no such view"):
        check_model(made(tmp_path / "bundle", **changes))


def test_model_or_words_that_can_not_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no LiteRT model"):
        check_model(made(tmp_path / "text", b"TFL3 it is not"))
    with pytest.raises(BundleError, match="no visual words"):
        check_model(made(tmp_path / "words", words=b"not one"))
