"""The whole way on photos of real products, taken by phone in shops."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catalog import products, transfer
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.products import listing
from catalog.recognition import recognize
from catalog.transfer import sources
from embedder import datasets

pytestmark = pytest.mark.slow

PHOTOS = Path(__file__).parents[3] / "shared" / "data" / "grocery-store"
#: Share of val photos whose first match is right. More is measured (see docs/); less means that something broke.
TOP1 = 0.72


@pytest.fixture
def groceries(tmp_path: Path) -> Iterator[Catalog]:
    if not PHOTOS.is_dir():
        pytest.skip("no photos at ../shared/data/grocery-store")
    catalog = Catalog.open(Settings.from_env({"CATALOG_DATA": str(tmp_path)}))
    yield catalog
    catalog.close()


def test_grocery_store(groceries: Catalog, record_property: Callable[[str, object], None]) -> None:
    report = transfer.import_items(groceries, sources.from_folder(PHOTOS / "train"), actor="test")
    assert (report.products, report.photos, report.pending, report.errors) == (81, 2640, 0, [])
    right, unknown, times = 0, 0, []
    queries = [(sku, path) for sku, paths in datasets.find_photos(PHOTOS / "val").items() for path in paths]
    for sku, path in queries:
        answer = recognize(groceries, path.read_bytes())
        assert 1 <= len(answer.matches) <= 5
        right += answer.matches[0].sku == sku
        unknown += answer.decision == "unknown"
        times.append(answer.milliseconds)
    figures = {"top1": right / len(queries), "unknown": unknown / len(queries), "p50_ms": statistics.median(times)}
    for name, value in figures.items():
        record_property(name, round(value, 4))
    print(f"{len(queries)} queries: " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items()))
    assert figures["top1"] >= TOP1
    assert products.counts(groceries.database) == listing.Counts(81, report.photos, 0)
