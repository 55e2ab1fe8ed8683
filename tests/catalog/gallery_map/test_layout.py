from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("openTSNE", reason="openTSNE (extra `map`) is not installed")

from catalog.gallery import Vector
from catalog.gallery_map import layout
from catalog.gallery_map.layout import Places, lay_out, near_of, place_beside
from catalog.gallery_map.neighbors import Neighbors, find_neighbors
from tests.support.maps import families

#: Nearest photos that are asked for.
K = 10


def neighbors_of(vectors: Vector) -> Neighbors:
    return find_neighbors(vectors, np.zeros(len(vectors), np.int32), near_of(len(vectors)))


def trustworthiness(vectors: Vector, places: Places) -> float:
    """Whether the K nearest on the map are near in truth, 0 to 1 (Venna and Kaski, 2001)."""
    count = len(vectors)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, 2)
    rank = np.empty((count, count), int)  # 0: the photo itself
    rank[np.arange(count)[:, None], np.argsort(-cosines, axis=1)] = np.arange(count)
    apart = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    shown = np.argsort(apart, axis=1)[:, :K]
    too_far = np.maximum(0, np.take_along_axis(rank, shown, axis=1) - K).sum()
    return 1 - 2 * float(too_far) / (count * K * (2 * count - 3 * K - 1))


@pytest.fixture(scope="module")
def drawn() -> Vector:
    return families(products=150, photos=4)[0]


@pytest.fixture(scope="module")
def places(drawn: Vector) -> Places:
    return lay_out(drawn, neighbors_of(drawn))


def test_what_is_near_stays_near(drawn: Vector, places: Places) -> None:
    assert trustworthiness(drawn, places) > 0.97
    assert trustworthiness(drawn, np.random.default_rng(0).normal(size=places.shape).astype(np.float32)) < 0.6


def test_the_same_photos_give_the_same_map(drawn: Vector, places: Places) -> None:
    assert np.array_equal(lay_out(drawn, neighbors_of(drawn)), places)


def test_new_photos_come_beside_what_they_look_like(drawn: Vector, places: Places) -> None:
    new = np.arange(0, len(drawn), 8)
    old = np.setdiff1d(np.arange(len(drawn)), new)
    beside = places.copy()
    beside[new] = place_beside(drawn[new], drawn[old], places[old])
    assert trustworthiness(drawn, beside) > 0.97


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 9, 10, 11, 46])
@pytest.mark.parametrize("equal", [False, True])
def test_few_photos_have_finite_places(count: int, equal: bool) -> None:
    vectors = families(products=max(1, count), photos=1)[0][:count]
    if equal:
        vectors[:] = vectors[:1]
    found = lay_out(vectors, neighbors_of(vectors))
    assert found.shape == (count, 2) and found.dtype == np.float32
    assert np.isfinite(found).all()
    if count > 1 and not equal:
        assert len(np.unique(found, axis=0)) == count


def test_progress_counts_iterations(drawn: Vector) -> None:
    told: list[tuple[int, int]] = []
    few = drawn[:40]
    lay_out(few, neighbors_of(few), lambda done, total: told.append((done, total)))
    assert told[0] == (10, 750) and told[-1] == (750, 750) and len(told) == 75


def test_without_the_extra_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert layout.is_installed()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not layout.is_installed()
