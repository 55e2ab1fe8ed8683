"""SKUs that people and file systems take for one: the second is refused, wherever it comes from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from catalog import feedback, products, transfer
from catalog.catalog import Catalog
from catalog.errors import InvalidInputError, NotFoundError, SkuAlikeError, SkuExistsError
from catalog.normalization import check_sku, sku_key
from catalog.products import Facts, Intake
from catalog.recognition import Scope, recognize
from catalog.storage.tables import Product
from tests.support.imports import errors_of
from tests.support.pictures import jpeg
from tests.support.steps import create, rows, shots

ALIKE = [
    "tea 1",
    "Tea 1",
    "\uff34\uff25\uff21 \uff11",
    "TEA  1",
    "T\u200dEA 1",
    "TEA\ufe0f 1",
    "TEA \u00b9",
]
#: The same SKU: what was typed is stored without what nobody sees.
SAME = ["TEA\u00a01", "TEA\u20091", " TEA 1 ", "\ufeffTEA 1", "TEA\u200b 1", "T\u00adEA 1", "TEA 1\u200e"]


@pytest.mark.parametrize("sku", ALIKE)
def test_it_is_refused_and_names_the_other(catalog: Catalog, sku: str) -> None:
    create(catalog, "TEA 1", 1)
    before = rows(catalog)
    with pytest.raises(SkuAlikeError, match="'TEA 1', which is in the catalog") as caught:
        create(catalog, sku, 2)
    assert caught.value.other == "TEA 1"
    create(catalog, "other", 3)
    with pytest.raises(SkuAlikeError):
        products.rename(catalog, "other", sku, actor="anna")
    assert rows(catalog)["product"] == before["product"] + 1
    products.rename(catalog, "TEA 1", sku, actor="anna")  # one product may change its own
    assert products.get(catalog.database, sku).sku == sku
    with pytest.raises(SkuAlikeError):
        create(catalog, "TEA 1", 2)


@pytest.mark.parametrize("sku", SAME)
def test_it_is_the_same_wherever_it_comes_in(catalog: Catalog, sku: str) -> None:
    create(catalog, "TEA 1", 1)
    assert check_sku(sku) == "TEA 1"
    with pytest.raises(SkuExistsError):
        create(catalog, sku, 2)
    assert products.get(catalog.database, sku).sku == "TEA 1"
    assert recognize(catalog, jpeg(1), among=Scope(skus=(sku,))).matches[0].sku == "TEA 1"
    answer = recognize(catalog, jpeg(1), asked_by="till")
    feedback.give(catalog, answer.id, feedback.Judgement(True, sku), actor="till")
    products.set_active(catalog, sku, False, actor="anna")
    assert not products.get(catalog.database, "TEA 1").active


def test_what_no_product_has_narrows_to_nothing(catalog: Catalog) -> None:
    create(catalog, "TEA 1", 1)
    for sku in ("tea 1", "x" * 100, "", "a\nb"):
        with pytest.raises(InvalidInputError) as caught:
            recognize(catalog, jpeg(1), among=Scope(skus=(sku,)))
        assert caught.value.field == "sku"


def test_other_skus_are_others() -> None:
    different = ["TEA-1", "TEA 1", "TEA1", "TÉA-1", "TEA_1", "TEA-I", "चाय-1", "चय-1", "\u3164", "\u115f x"]
    assert len({sku_key(sku) for sku in different}) == len(different)
    assert all(sku_key(sku) for sku in different)


def test_older_skus_stay_reachable(catalog: Catalog) -> None:
    create(catalog, "TEA-1", 1)
    create(catalog, "other", 2)
    with catalog.database.write() as session:  # as before such SKUs were refused
        session.execute(update(Product).where(Product.sku == "other").values(sku="tea-1", sku_key="tea-1"))
    for sku, seed in (("TEA-1", 3), ("tea-1", 4)):
        products.add_photos(catalog, sku, shots(seed), Intake("anna"))
        products.change(catalog.database, Facts(sku, f"name of {sku}"), actor="anna")
        assert products.get(catalog.database, sku).name == f"name of {sku}"
    products.rename(catalog, "tea-1", "tea-2", actor="anna")
    assert {product.sku for product in products.list_page(catalog.database).products} == {"TEA-1", "tea-2"}


def test_two_at_once_are_not_both_accepted(open_catalog: Callable[[], Catalog]) -> None:
    catalog = open_catalog()
    refused: list[str] = []
    start = threading.Barrier(2)

    def add(sku: str, seed: int) -> None:
        start.wait()
        try:
            create(catalog, sku, seed)
        except SkuAlikeError as error:
            refused.append(error.other)

    threads = [threading.Thread(target=add, args=(sku, seed)) for seed, sku in enumerate(("TEA-1", "tea-1"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(catalog)["product"] == 1
    assert len(refused) == 1


def test_an_import_leaves_the_second_out(catalog: Catalog, tmp_path: Path) -> None:
    for seed, sku in enumerate(("TEA-1", "tea-1")):
        (tmp_path / "photos" / sku).mkdir(parents=True)
        (tmp_path / "photos" / sku / "front.jpg").write_bytes(jpeg(seed))
    with transfer.open_source(tmp_path / "photos") as source:
        assert "only in capitals, width or blanks" in errors_of(catalog.database, source.items)[0]
        report = transfer.import_items(catalog, source.items, actor="t")
        assert (report.products, report.photos, len(report.errors)) == (1, 1, 1)
        assert "'tea-1' differs from 'TEA-1'" in report.errors[0]
        assert "'tea-1' differs from 'TEA-1'" in errors_of(catalog.database, source.items)[0]
    assert len(products.get(catalog.database, "TEA-1").photos) == 1
    with pytest.raises(NotFoundError):
        products.get(catalog.database, "tea-1")
