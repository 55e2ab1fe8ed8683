from __future__ import annotations

import numpy as np
import pytest

from catalog.catalog import Catalog
from catalog.margins.leaving_out import MOST, LeftOut, ask, visits
from embedder.bundle import Thresholds
from tests.support.margins import APPLE_1, APPLE_2, PEAR_1, PEAR_2, put, toward

THRESHOLDS = Thresholds(score=0.7, margin=0.08)


def test_photos_of_one_visit_are_linked_by_a_chain_of_near_ones() -> None:
    angles = np.deg2rad([0, 20, 40, 100, 110, 170])  # cosines of neighbours: 0.94, 0.94, 0.5, 0.98, 0.5
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert visits(vectors).tolist() == [0, 0, 0, 3, 3, 5]
    assert visits(vectors[:1]).tolist() == [0]


def asked(catalog: Catalog, sku: str, place: int) -> tuple[LeftOut, dict[str, str]]:
    """The answer to the photo of this place of a product, and the SKUs of products by id."""
    live = catalog.generations.ready()
    vectors = {"A": [APPLE_1, APPLE_2], "P": [PEAR_1, PEAR_2]}
    ids = {name: put(catalog, name, own) for name, own in vectors.items()}
    points = {str(identity): vector for identity, vector in zip(ids[sku], vectors[sku], strict=True)}
    hits = catalog.gallery.search(live.collection, APPLE_1, 10)
    names = {hit.product: hit.sku for hit in hits}
    own = next(product for product, name in names.items() if name == sku)
    photo = str(ids[sku][place])
    return ask(catalog.gallery, live.collection, THRESHOLDS, own, points, [photo])[photo], names


def test_a_photo_of_another_visit_is_answered_by_its_look_alike(catalog: Catalog) -> None:
    answer, names = asked(catalog, "P", 1)
    assert answer.first and answer.second
    assert (names[answer.first], names[answer.second]) == ("A", "P")
    assert answer.margin == pytest.approx(0.85 - 0.5, abs=1e-4)
    assert len(answer.near) == 2  # both photos of A are within the score of a match


def test_what_the_thresholds_refuse_is_no_match(catalog: Catalog) -> None:
    answer, names = asked(catalog, "A", 0)  # 0.88 to its own other visit, 0.85 to the look-alike
    assert answer.first and (names[answer.first], answer.margin) == ("A", None)


def test_photos_of_one_visit_alone_say_nothing(catalog: Catalog) -> None:
    (only, _) = put(catalog, "ONE", [toward(x5=1.0), toward(x5=0.97)])
    live = catalog.generations.ready()
    vectors = {str(only): toward(x5=1.0), "other": toward(x5=0.97)}
    assert ask(catalog.gallery, live.collection, THRESHOLDS, "ONE", vectors, [str(only)])[str(only)].first is None


def test_the_only_product_has_no_second(catalog: Catalog) -> None:
    one, two = put(catalog, "ONE", [toward(x5=1.0), toward(x5=0.8)])
    live = catalog.generations.ready()
    product = catalog.gallery.search(live.collection, toward(x5=1.0), 1)[0].product
    vectors = {str(one): toward(x5=1.0), str(two): toward(x5=0.8)}
    answer = ask(catalog.gallery, live.collection, THRESHOLDS, product, vectors, [str(one)])[str(one)]
    assert (answer.first, answer.second, answer.margin) == (product, None, MOST)
