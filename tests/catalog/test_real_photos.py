"""The whole way on photos of real products, taken by phone in shops."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from catalog import margins, products, transfer
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.recognition import decide, recognize
from catalog.recognition.candidates import nearest_products
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


def margins_refuse_wrong_matches(catalog: Catalog, queries: list[tuple[str, Path]]) -> bool:
    """By the vector alone: never more wrong matches than with the bundle's margin, and few right ones fewer."""
    live = catalog.generations.ready()
    assert margins.refresh(catalog, live) >= 2640
    counts = {"usual": [0, 0], "own": [0, 0]}
    for sku, path in queries:
        matches = nearest_products(catalog, live, live.embedder.embed_bytes(path.read_bytes()))
        usual = [replace(match, margin=0.0) for match in matches]
        for name, seen in (("usual", usual), ("own", matches)):
            if decide(seen, live.embedder.bundle.thresholds) == "match":
                counts[name][seen[0].sku != sku] += 1
    needed = list(margins.needed_margins(catalog.database))
    print(f"{len(needed)} products need more: [right, wrong] {counts}")
    right, wrong = ([counts[name][place] for name in ("usual", "own")] for place in (0, 1))
    return bool(needed) and wrong[1] <= wrong[0] and 0.9 * right[0] <= right[1] <= right[0]


def test_grocery_store(groceries: Catalog, record_property: Callable[[str, object], None]) -> None:
    report = transfer.import_items(groceries, sources.from_folder(PHOTOS / "train").items, actor="test")
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
    assert margins_refuse_wrong_matches(groceries, queries)
    assert products.counts(groceries.database) == products.Counts(81, report.photos, 0)
