from __future__ import annotations

from typing import Any

import pytest

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import AddResult, Facts, Intake
from tests.support.drawn import DRAWN, front
from tests.support.pictures import jpeg


def add(catalog: Catalog, sku: str, data: bytes, check: Any = "report") -> AddResult:
    return products.create(
        catalog, Facts(sku, f"Name of {sku}"), [NewPhoto("p.jpg", data)], Intake("test", check=check)
    )


def test_the_same_file_under_another_sku_is_said(catalog: Catalog) -> None:
    add(catalog, "A", jpeg(1))
    like = add(catalog, "B", jpeg(1)).photos[0].like
    assert like is not None
    assert (like.sku, like.name, like.points) == ("A", "Name of A", None)


def test_the_same_pack_in_another_picture_is_said_with_how_much_agrees(catalog: Catalog) -> None:
    for place in range(4):
        assert add(catalog, f"P{place}", front(DRAWN[place])).photos[0].like is None
    like = add(catalog, "again", front(DRAWN[2], 20, "gray")).photos[0].like
    assert like is not None
    assert like.sku == "P2"
    assert like.points is not None and like.points >= 30
    # It is said, and not refused.
    assert products.get(catalog.database, "again").photos


def test_a_products_own_photos_and_retired_products_are_not_look_alikes(catalog: Catalog) -> None:
    add(catalog, "A", front(DRAWN[1]))
    more = products.add_photos(catalog, "A", [NewPhoto("2.jpg", front(DRAWN[1], 15))], Intake("test"))
    assert more.photos[0].like is None
    products.set_active(catalog, "A", False, actor="test")
    assert add(catalog, "B", front(DRAWN[1], 30)).photos[0].like is None
    assert add(catalog, "C", front(DRAWN[1])).photos[0].like is not None  # of B


def test_an_import_does_not_compare(catalog: Catalog) -> None:
    add(catalog, "A", jpeg(1))
    assert add(catalog, "B", jpeg(1), check="off").photos[0].like is None


def test_a_gallery_that_is_away_costs_the_advice_and_nothing_else(catalog: Catalog) -> None:
    add(catalog, "A", front(DRAWN[1]))
    catalog.gallery.on = False  # type: ignore[attr-defined]  # see conftest: the test's gallery can be switched off
    added = add(catalog, "B", front(DRAWN[1], 30))
    assert (added.photos[0].state, added.photos[0].like) == ("pending", None)


@pytest.mark.parametrize("place", [0, 3])
def test_another_product_of_the_catalog_is_none(catalog: Catalog, place: int) -> None:
    add(catalog, "A", front(DRAWN[place]))
    assert add(catalog, "B", front(DRAWN[place + 1])).photos[0].like is None
