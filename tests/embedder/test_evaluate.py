"""Scores and figures on vectors whose answer is known, on drawn photos, and on real ones."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from embedder import evaluate
from embedder.errors import DataError
from embedder.serve import Embedder


def at(*degrees: float) -> np.ndarray:
    """Unit vectors on the circle: float32 [n, 2]."""
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_sku_scores_takes_each_skus_best_photo() -> None:
    gallery = at(0, 90, 180, 60)
    scores, names = evaluate.sku_scores(at(0, 90), gallery, ["pear", "apple", "pear", "fig"])
    assert names == ["apple", "fig", "pear"]
    expected = [[0, math.cos(math.radians(60)), 1], [1, math.cos(math.radians(30)), 0]]
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_sku_scores_against_a_plain_loop() -> None:
    rng = np.random.default_rng(5)
    gallery, queries = rng.normal(size=(40, 6)).astype(np.float32), rng.normal(size=(9, 6)).astype(np.float32)
    skus = [f"sku-{number}" for number in rng.integers(0, 11, 40)]
    scores, names = evaluate.sku_scores(queries, gallery, skus)
    assert names == sorted(set(skus))
    for i, query in enumerate(queries):
        for j, name in enumerate(names):
            best = max(float(photo @ query) for photo, sku in zip(gallery, skus, strict=True) if sku == name)
            assert scores[i, j] == pytest.approx(best, abs=1e-5)


def test_photos_find_themselves(released: Embedder, shapes: Path) -> None:
    figures = evaluate.evaluate(released, shapes, shapes)
    assert (figures.top1, figures.top5) == (1.0, 1.0)
    assert (figures.queries, figures.gallery, figures.skus, figures.queries_without_sku) == (60, 60, 6, 0)
    assert figures.bundle == released.bundle.id
    assert figures.seconds_gallery > 0
    assert figures.seconds_queries > 0
    assert figures.broken == []


def test_queries_of_other_skus_count_as_wrong(released: Embedder, shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes / "red-square", tmp_path / "red-square")
    shutil.copytree(shapes / "red-square", tmp_path / "never-seen")
    (tmp_path / "red-square" / "bad.jpg").write_bytes(b"text")
    figures = evaluate.evaluate(released, shapes, tmp_path)
    assert (figures.queries, figures.queries_without_sku) == (20, 10)
    assert (figures.top1, figures.top5) == (0.5, 0.5)
    assert len(figures.broken) == 1
    assert "bad.jpg" in figures.broken[0]


def test_top_shares() -> None:
    names = list("abcdefg")
    scores = np.tile(np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3], np.float32), (4, 1))
    assert evaluate.top_shares(scores, names, ["a", "b", "e", "f"]) == (0.25, 0.75)
    assert evaluate.top_shares(scores, names, ["z"] * 4) == (0.0, 0.0)
    assert evaluate.top_shares(scores[:, ::-1], names, ["g", "g", "c", "b"]) == (0.5, 0.75)
    assert evaluate.top_shares(scores[:, :3], names[:3], ["c"] * 4) == (0.0, 1.0)  # fewer SKUs than five


def test_split_references_spreads_them_over_the_names() -> None:
    photos = {
        "many": [Path(f"many/{number}.jpg") for number in range(9)],
        "pair": [Path("pair/b.jpg"), Path("pair/a.jpg")],
        "one": [Path("one/a.jpg")],
    }
    known, asked = evaluate.split_references(photos, 3)
    assert [path.name for path in known["many"]] == ["0.jpg", "4.jpg", "8.jpg"]
    assert sorted(known["many"] + asked["many"]) == photos["many"]
    assert {sku: len(paths) for sku, paths in known.items()} == {"many": 3, "pair": 2, "one": 1}
    assert list(asked) == ["many"]
    assert [path.name for path in evaluate.split_references(photos, 1)[0]["pair"]] == ["a.jpg"]


def test_folder_without_a_usable_photo(released: Embedder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No usable photo"):
        evaluate.embed_folder(released, tmp_path)
    (tmp_path / "bad.jpg").write_bytes(b"text")
    with pytest.raises(DataError, match="No usable photo"):
        evaluate.embed_folder(released, tmp_path)


def test_released_bundle_on_real_groceries(released: Embedder, shared: Path) -> None:
    folder = shared / "data" / "grocery-store"
    if not folder.is_dir():
        pytest.skip("the Grocery Store Dataset is not on this machine")
    figures = evaluate.evaluate(released, folder / "train", folder / "val")
    assert (figures.gallery, figures.queries) == (2640, 296)
    assert figures.broken == []
    assert figures.top1 >= 0.72
    assert figures.top5 >= 0.90
