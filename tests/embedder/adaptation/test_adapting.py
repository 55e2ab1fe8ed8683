"""An adaptation of seconds: cached views, upper blocks that learn, sets left out, the bundle of the command."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

tf = pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")

from embedder import cli
from embedder.adaptation import activation_cache
from embedder.adaptation.activation_cache import cached_activations
from embedder.adaptation.adapting import Adaptation
from embedder.adaptation.domain_evaluation import ask
from embedder.adaptation.upper_blocks import (
    AdaptationConfig,
    Example,
    PairSampler,
    fit_head,
    split_network,
    train_upper,
)
from embedder.bundle import load_bundle
from embedder.errors import DataError, DivergedError, WeightsError
from embedder.inference import Embedder
from embedder.training import losses

CONFIG = AdaptationConfig("block6d_add", views=2, size=32, serve_size=32, p=3, steps=6, lr=1e-3, dim=12)


@pytest.fixture(scope="module")
def sets(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two sets: three SKUs with three photos each, and three of one photo."""
    root = tmp_path_factory.mktemp("sets")
    for place, sku in enumerate(sorted(shapes.iterdir())):
        folder = root / ("many" if place < 3 else "single") / sku.name
        folder.mkdir(parents=True)
        for photo in sorted(sku.iterdir())[: 3 if place < 3 else 1]:
            shutil.copy(photo, folder)
    return root / "many", root / "single"


@pytest.fixture(scope="module")
def adaptation(sets: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Adaptation:
    return Adaptation(sets, tmp_path_factory.mktemp("work"), CONFIG, backbone="efficientnetlite0", start="none")


def test_what_is_cached_is_what_the_network_gives(adaptation: Adaptation) -> None:
    assert adaptation.activations.maps.shape[:2] == (12, 2)
    lower, upper = split_network(adaptation.backbone, "block6d_add")
    photo = activation_cache._views([one.path for one in adaptation.examples], 5, views=2, size=32, seed=1)
    maps, pooled = lower(photo.astype(np.float32), training=False)
    np.testing.assert_allclose(adaptation.activations.maps[5], maps, rtol=5e-3, atol=5e-3)
    np.testing.assert_allclose(upper(maps, training=False), pooled, rtol=1e-4, atol=1e-5)


def test_a_stopped_cache_goes_on_and_another_seed_begins_anew(
    adaptation: Adaptation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lower, _ = split_network(adaptation.backbone, "block6d_add")
    photos = [one.path for one in adaptation.examples]
    monkeypatch.setattr(activation_cache, "BATCH", 4)
    drawn: list[int] = []
    real = activation_cache._views

    def counted(photos: Any, place: int, **settings: Any) -> Any:
        if len(drawn) == 7:
            raise KeyboardInterrupt
        drawn.append(place)
        return real(photos, place, **settings)

    monkeypatch.setattr(activation_cache, "_views", counted)
    with pytest.raises(KeyboardInterrupt):
        cached_activations(lower, photos, tmp_path, origin={"weights": "a"}, views=2, size=32, seed=1)
    monkeypatch.setattr(activation_cache, "_views", real)
    done = json.loads((tmp_path / activation_cache.DONE_FILE).read_text())["done"]
    assert done == 4
    whole = cached_activations(lower, photos, tmp_path, origin={"weights": "a"}, views=2, size=32, seed=1)
    np.testing.assert_array_equal(whole.maps, adaptation.activations.maps)
    other = cached_activations(lower, photos, tmp_path, origin={"weights": "a"}, views=2, size=32, seed=2)
    assert (np.asarray(other.maps) != adaptation.activations.maps).any()
    other.maps[:] = 0
    again = cached_activations(lower, photos, tmp_path, origin={"weights": "b"}, views=2, size=32, seed=2)
    assert np.asarray(again.maps).any()


def test_pairs_are_two_photos_or_two_views_of_one(adaptation: Adaptation) -> None:
    sampler = PairSampler(adaptation.examples, views=3, p=4, seed=1)
    one_set = 0
    for step in range(60):
        photos, views, products = sampler.draw(step)
        pairs = list(zip(photos.reshape(-1, 2), views.reshape(-1, 2), products.reshape(-1, 2), strict=True))
        for (photo, other), (view, seen), (product, same) in pairs:
            assert product == same
            example, second = adaptation.examples[photo], adaptation.examples[other]
            assert example.sku == second.sku == sampler.skus[product]
            assert photo != other if example.dataset == "many" else (photo == other and view != seen)
        one_set += len({adaptation.examples[photo].dataset for photo in photos}) == 1
    assert one_set >= 12
    assert all((a == b).all() for a, b in zip(sampler.draw(7), sampler.draw(7), strict=True))


def test_folders_of_one_name_are_one_sku_in_any_set() -> None:
    examples = [
        Example(Path("1"), "milk", "catalog"),
        Example(Path("2"), "milk", "shop"),
        Example(Path("3"), "tea", "shop"),
    ]
    sampler = PairSampler(examples, views=2, p=2, seed=1)
    assert sampler.skus == ["milk", "tea"]
    photos, _, products = sampler.draw(next(step for step in range(20) if len(sampler.draw(step)[0]) == 4))
    assert {int(photo) for photo, product in zip(photos, products, strict=True) if product == 0} == {0, 1}


def test_supervised_contrastive_against_a_plain_sum() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels, temperature = np.array([0, 0, 1, 1, 1, 2]), 0.2
    total = 0.0
    for anchor in range(6):
        similar = np.exp(vectors @ vectors[anchor] / temperature)
        positives = [i for i in range(6) if i != anchor and labels[i] == labels[anchor]]
        denominator = similar.sum() - similar[anchor]
        total += -np.mean([np.log(similar[i] / denominator) for i in positives]) if positives else 0.0
    found = losses.supervised_contrastive(tf.constant(labels), tf.constant(vectors), temperature)
    assert float(found) == pytest.approx(total / 6, rel=1e-4)


def test_references_are_first_photos_and_others_ask() -> None:
    vectors = np.zeros((4, 2, 2), np.float32)
    vectors[0, 0], vectors[1, 0], vectors[2, 0], vectors[3, 0] = (1, 0), (0.9, 0.1), (0, 1), (1, 0.1)
    assert ask(vectors, ["a", "a", "b", "b"]) == (2, 2, True, 0.5)
    vectors[:, 1] = vectors[:, 0]
    assert ask(vectors, ["a", "b", "c", "d"]) == (4, 4, False, 1.0)


def test_each_set_is_left_out_and_the_start_comes_back(adaptation: Adaptation) -> None:
    before = [weight.copy() for weight in adaptation.upper.get_weights()]
    told: list[str] = []
    found = adaptation.evaluate_each(lambda one: told.append(one.dataset))
    assert told == ["many", "single"]
    assert [(one.products, one.queries, one.photos) for one in found] == [(3, 6, True), (3, 3, False)]
    assert all(0 <= value <= 1 for one in found for value in (one.start, one.adapted))
    for old, new in zip(before, adaptation.upper.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_set_that_there_is_not_can_not_be_left_out(adaptation: Adaptation) -> None:
    with pytest.raises(DataError, match="--leave-out fruit: the sets are many, single"):
        adaptation.without(["fruit"])


def test_a_layer_that_there_is_not_is_named(adaptation: Adaptation) -> None:
    with pytest.raises(WeightsError, match="--frozen-until block9"):
        split_network(adaptation.backbone, "block9")


def test_more_numbers_than_features_are_refused_before_any_work(sets: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--dim 2000: efficientnetlite0 has 1,280 pooled features"):
        Adaptation(sets, tmp_path / "work", replace(CONFIG, dim=2000), backbone="efficientnetlite0", start="none")
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
def test_the_command_writes_a_bundle_its_card_and_its_figures(sets: tuple[Path, Path], tmp_path: Path) -> None:
    options = ["--weights", "none", "--views", 2, "--size", 32, "--serve-size", 32, "--p", 3, "--steps", 3, "--dim", 12]
    ran = CliRunner().invoke(
        cli.main,
        list(
            map(
                str,
                ["adapt", *sets, *options, "--each-left-out", tmp_path / "each.json", "--out", tmp_path / "made"],
            )
        ),
    )
    assert ran.exit_code == 0, ran.output
    assert "single left out: top-1" in ran.output and "3 synthetic views" in ran.output
    assert [one["dataset"] for one in json.loads((tmp_path / "each.json").read_text())] == ["many", "single"]
    made = load_bundle(tmp_path / "made")
    assert (made.dim, made.size, made.training["skus"]) == (12, 32, 6)
    assert made.self_test is not None and len(made.self_test.vector) == 12
    vector = Embedder.open(tmp_path / "made").embed_bytes(next(sets[0].rglob("*.png")).read_bytes())
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    card = (tmp_path / "made" / "CARD.md").read_text()
    assert "embedder adapt many single --backbone efficientnetlite0" in card
    assert "| single | 3 | 3 |" in card


def test_after_the_training_it_goes_back(sets: tuple[Path, Path], tmp_path: Path) -> None:
    from embedder.networks import backbones, folded_weights
    from embedder.networks.weights import save_arrays

    other = backbones.build_backbone("efficientnetlite0", "none")
    save_arrays(other, tmp_path / "other.npz")
    adaptation = Adaptation(
        sets,
        tmp_path / "work",
        replace(CONFIG, back=1.0),
        backbone="efficientnetlite0",
        start="none",
        toward=str(tmp_path / "other.npz"),
    )
    made = adaptation.write(tmp_path / "made", leave_out=(), name=None, version="1", notes=())
    assert made.training["back"] == 1.0
    assert "100% of the way to `other.npz`, all blocks" in (tmp_path / "made" / "CARD.md").read_text()
    wanted = folded_weights.fold(other)
    for layer, (kernel, bias) in folded_weights.fold(adaptation.backbone).items():
        np.testing.assert_allclose(kernel, wanted[layer][0], rtol=2e-3, atol=2e-3)
        np.testing.assert_allclose(bias, wanted[layer][1], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("rate", [1e30, 1e38])
def test_an_adaptation_that_diverges(adaptation: Adaptation, rate: float) -> None:
    """In its loss, or in the features that a last step leaves; the network's start is not touched by either."""
    start = adaptation.upper.get_weights()
    try:
        config = replace(CONFIG, lr=rate)
        with pytest.raises(DivergedError, match="finite"):
            train_upper(adaptation.upper, adaptation.activations, adaptation.examples, config)
            fit_head(adaptation.upper, adaptation.activations, config)
    finally:
        adaptation.upper.set_weights(start)


def test_the_command_of_an_adaptation_that_diverges(sets: tuple[Path, Path], tmp_path: Path) -> None:
    words = ["--weights", "none", "--views", "2", "--size", "32", "--serve-size", "32"]
    words += ["--p", "3", "--steps", "3", "--dim", "12", "--lr", "1e30"]
    result = CliRunner().invoke(cli.main, ["adapt", *map(str, sets), *words, "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, SystemExit) and result.exit_code == 1, result.output
    assert [line for line in result.stderr.splitlines() if "finite" in line] == result.stderr.splitlines()[-1:]
    assert not (tmp_path / "out").exists()
