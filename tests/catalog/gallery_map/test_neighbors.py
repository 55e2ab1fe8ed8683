from __future__ import annotations

import numpy as np

from catalog.gallery_map import neighbors
from catalog.gallery_map.neighbors import find_neighbors
from tests.support.maps import families


def test_all_are_what_a_plain_comparison_finds() -> None:
    vectors, products = families(products=260, photos=3)
    assert len(vectors) > neighbors.BLOCK  # several blocks
    found = find_neighbors(vectors, products, 7)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    for photo in range(len(vectors)):
        by_cosine = np.argsort(-cosines[photo], kind="stable")
        np.testing.assert_allclose(found.cosines[photo], cosines[photo][by_cosine[:7]], atol=1e-6)
        own = products == products[photo]
        own[photo] = False
        np.testing.assert_allclose(found.own[photo], cosines[photo][own].max(), atol=1e-6)
        others = np.where(products == products[photo], -2, cosines[photo])
        assert found.rival[photo] == others.argmax()
        np.testing.assert_allclose(found.rival_cosine[photo], others.max(), atol=1e-6)


def test_of_more_photos_fewer_are_compared_at_once() -> None:
    assert [neighbors.block_for(count) for count in (0, 600, 40_000, 80_000, 10**9)] == [512, 512, 512, 256, 1]


def test_photos_of_the_same_visit_are_left_out_of_what_is_elsewhere() -> None:
    vectors = np.array([[1, 0], [0.95, 0.3122499], [0.8, 0.6]], np.float32)
    found = find_neighbors(vectors, np.zeros(3, np.int32), 2)
    np.testing.assert_allclose(found.own, [0.95, 0.95, 0.9473], atol=1e-4)
    np.testing.assert_allclose(found.own_elsewhere, [0.8, np.nan, 0.8], atol=1e-4)


def test_what_is_not_there_is_not_named() -> None:
    vectors, _ = families(products=1, photos=3)
    alone = find_neighbors(vectors, np.zeros(3, np.int32), 2)
    assert (alone.rival == -1).all() and np.isnan(alone.rival_cosine).all()
    single = find_neighbors(vectors, np.arange(3, dtype=np.int32), 2)
    assert np.isnan(single.own).all() and (single.rival >= 0).all()
    none = find_neighbors(np.empty((0, 256), np.float32), np.empty(0, np.int32), 0)
    assert none.near.shape == (0, 0)


def test_progress_counts_photos() -> None:
    vectors, products = families(products=200, photos=3)
    told: list[tuple[int, int]] = []
    find_neighbors(vectors, products, 5, lambda done, total: told.append((done, total)))
    assert told == [(512, 600), (600, 600)]
