from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from catalog.gallery import Vector
from catalog.gallery_map.look_alikes import APART, LookAlikes, find_look_alikes
from catalog.gallery_map.neighbors import find_neighbors
from tests.support.margins import APPLE_1, APPLE_2, PEAR_1, PEAR_2, toward

SCORE, MARGIN = 0.7, 0.08


def found(photos: Sequence[tuple[int, Vector]], margin: float = MARGIN) -> LookAlikes:
    """Of photos: (product, vector) each."""
    products = np.array([product for product, _ in photos], np.int32)
    vectors = np.stack([vector for _, vector in photos])
    neighbors = find_neighbors(vectors, products, len(photos) - 1)
    return find_look_alikes(neighbors, products, SCORE, np.full(len(photos), margin, np.float32))


def test_a_photo_that_is_nearer_to_another_product_joins_the_two() -> None:
    alike = found([(0, APPLE_1), (0, APPLE_2), (1, PEAR_1), (1, PEAR_2)])
    assert alike.pairs.tolist() == [[3, 0]]
    np.testing.assert_allclose(alike.leads, [0.5 - 0.85], atol=1e-3)
    assert [APART[kind] for kind in alike.apart] == ["", "", "", "beside"]


def test_products_that_are_told_apart_by_the_margin_are_not_joined() -> None:
    one, near, other = toward(x1=1.0), toward(x1=0.89, x2=0.4559), toward(x1=0.8, x3=0.6)
    photos = [(0, one), (0, near), (1, other)]  # 0.89 to its own, 0.8 to the other
    assert len(found(photos, margin=0.05).pairs) == 0
    assert found(photos, margin=0.1).pairs[0].tolist() == [0, 2]


def test_each_photo_asks_by_the_margin_of_its_own_product() -> None:
    one, near, other = toward(x1=1.0), toward(x1=0.89, x2=0.4559), toward(x1=0.8, x3=0.6)
    products = np.array([0, 0, 1], np.int32)
    neighbors = find_neighbors(np.stack([one, near, other]), products, 2)
    margins = np.array([0.1, 0.1, 0], np.float32)
    assert find_look_alikes(neighbors, products, SCORE, margins).pairs.tolist() == [[0, 2]]


def test_a_product_of_one_photo_looks_like_one_that_is_within_the_margin() -> None:
    one, twin, other = toward(x1=1.0), toward(x1=0.93), toward(x1=0.9, x2=0.4)
    alike = found([(0, one), (1, twin)])
    assert alike.pairs.tolist() == [[0, 1]]
    assert len(found([(0, one), (1, other)]).pairs) == 0


def test_below_the_score_of_a_match_nothing_looks_alike() -> None:
    assert len(found([(0, toward(x1=1.0)), (0, toward(x1=0.5, x2=0.866)), (1, toward(x1=0.6, x3=0.8))]).pairs) == 0


def test_two_products_are_joined_once_by_the_photos_that_are_least_told_apart() -> None:
    near = [(0, toward(x1=1.0)), (1, toward(x1=0.96)), (0, toward(x3=0.5, x2=0.8)), (1, toward(x3=0.45, x2=0.85))]
    alike = found(near)
    assert len(alike.pairs) == 1
    assert {int(photo) for photo in alike.pairs[0]} == {2, 3}  # 0.99 and more between them


def test_a_photo_that_no_other_of_its_product_would_find_lies_alone() -> None:
    three = [(0, toward(x1=1.0)), (0, toward(x1=0.9, x2=0.1)), (0, toward(x5=1.0))]
    assert [APART[kind] for kind in found(three).apart] == ["", "", "alone"]
    assert not found(three[1:]).apart.any(), "of two photos none is the one that lies apart"
